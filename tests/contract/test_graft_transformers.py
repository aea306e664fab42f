"""`wavevit.graft` on models of transformers and open_clip, built from small configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.grafted_models import images, trained
from wavevit.grafting import find_embedding, first_blocks, graft, ungraft
from wavevit.testing import assert_close_relative

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 16,
}


def vit() -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification

    return ViTForImageClassification(ViTConfig(**SMALL, num_labels=5))


def dinov2() -> nn.Module:
    from transformers import Dinov2Config, Dinov2ForImageClassification

    return Dinov2ForImageClassification(
        Dinov2Config(**{**SMALL, "patch_size": 14, "image_size": 28}, num_labels=5)
    )


def dinov2_features() -> nn.Module:
    from transformers import Dinov2Config, Dinov2Model

    return Dinov2Model(Dinov2Config(**{**SMALL, "patch_size": 14, "image_size": 28}))


def vit_features() -> nn.Module:
    from transformers import ViTConfig, ViTModel

    return ViTModel(ViTConfig(**SMALL))


def dinov3() -> nn.Module:
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    return DINOv3ViTModel(DINOv3ViTConfig(**SMALL))


def clip() -> nn.Module:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    return CLIPVisionModel(CLIPVisionConfig(**SMALL))


def siglip() -> nn.Module:
    from transformers import SiglipVisionConfig, SiglipVisionModel

    return SiglipVisionModel(SiglipVisionConfig(**SMALL))


def swin() -> nn.Module:
    from transformers import SwinConfig, SwinModel

    return SwinModel(
        SwinConfig(image_size=56, patch_size=4, embed_dim=16, depths=[1, 2], num_heads=[1, 1])
    )


def open_clip() -> nn.Module:
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    vision = CLIPVisionCfg(layers=3, width=64, head_width=32, patch_size=16, image_size=32)
    return CLIP(16, vision, CLIPTextCfg(width=32, heads=2, layers=1)).visual


HERE = "embeddings.patch_embeddings"
NIGHTLY = pytest.mark.nightly
FAMILIES = [  # how to build it, side of its image, name of its patch embedding
    (vit, 32, f"vit.{HERE}"),
    (dinov2, 28, f"dinov2.{HERE}"),
    pytest.param(vit_features, 32, HERE, marks=NIGHTLY),
    pytest.param(dinov2_features, 42, HERE, marks=NIGHTLY),
    pytest.param(dinov3, 32, HERE, marks=NIGHTLY),
    pytest.param(clip, 32, "embeddings.patch_embedding", marks=NIGHTLY),
    pytest.param(siglip, 32, "embeddings.patch_embedding", marks=NIGHTLY),
    pytest.param(swin, 56, HERE, marks=NIGHTLY),
    pytest.param(open_clip, 32, "conv1", marks=NIGHTLY),
]


def tensor_of(output: Any) -> Tensor:
    if isinstance(output, Tensor):
        return output
    logits = getattr(output, "logits", None)
    return output.last_hidden_state if logits is None else logits


@pytest.mark.parametrize(("build", "side", "place"), FAMILIES)
@torch.no_grad()
def test_outputs_names_and_classes_stay(
    build: Callable[[], nn.Module], side: int, place: str
) -> None:
    torch.manual_seed(0)
    model, x = build().eval(), images((side, side))
    found, _ = find_embedding(model)
    assert found.endswith(place)
    grafted, expected = graft(model), tensor_of(model(x))
    assert type(grafted) is type(model)
    assert_close_relative(tensor_of(grafted(x)), expected, bound=1e-6)
    new = set(grafted.state_dict()) - set(model.state_dict())
    assert new
    assert all(name.startswith(f"{found}.graft.") for name in new)
    assert set(model.load_state_dict(grafted.state_dict(), strict=False).unexpected_keys) == new
    changed = tensor_of(trained(grafted)(x))
    assert float((changed - expected).norm()) > 1e-3 * float(expected.norm())
    assert torch.equal(tensor_of(ungraft(grafted)(x)), expected)
    blocks = first_blocks(grafted, 3)
    assert len({id(block) for block in blocks}) == 3
    assert len({type(block) for block in blocks}) == 1


def test_saved_by_transformers_and_read_into_the_plain_model(tmp_path) -> None:
    torch.manual_seed(0)
    model = vit().eval()
    trained(graft(model)).save_pretrained(tmp_path)
    read = type(model).from_pretrained(tmp_path).eval()
    for name, tensor in read.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
