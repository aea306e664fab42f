"""Our backbones as image towers of open_clip: its factory, its loss, a step, and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from wavevit.interop.timm import register

NAMES = register()
BACKBONES = (
    *("test_vit", "test_haar_vit", "test_dtcwt_vit"),
    *("test_haar_pyramid", "test_dtcwt_pyramid", "test_swin"),
)


@pytest.mark.parametrize("name", BACKBONES)
def test_model_of_the_factory_is_trained_and_read_back(name: str, tmp_path: Path) -> None:
    import open_clip

    vision = {"timm_model_name": NAMES[name], "timm_model_pretrained": False}
    vision |= {"timm_pool": "avg", "timm_proj": "linear", "image_size": 64}
    text = {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
    settings = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}
    path = tmp_path / f"wavevit_{name}.json"
    path.write_text(json.dumps(settings))
    open_clip.add_model_config(path)

    def build(seed: int) -> Any:
        torch.manual_seed(seed)
        return open_clip.create_model(path.stem)

    model = build(0).train()
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(4, 3, 64, 64, generator=generator)
    tokens = torch.randint(1, 63, (4, 8), generator=generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        loss = open_clip.ClipLoss()(*model(images, tokens))
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in model.parameters())
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    read = build(2)
    read.load_state_dict(load_file(tmp_path / "model.safetensors"))
    with torch.no_grad():
        expected = model.eval().encode_image(images)
        assert torch.equal(read.eval().encode_image(images), expected)
        assert not torch.equal(build(2).eval().encode_image(images), expected)
