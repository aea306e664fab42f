"""Our backbones as vision towers of LLaVA and FastVLM: a projector is trained, saved, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import wavevit
from wavevit.interop.vision_tower import register, vision_tower

BACKBONES = (
    *("test_vit", "test_haar_vit", "test_dtcwt_vit"),
    *("test_haar_pyramid", "test_dtcwt_pyramid", "test_swin"),
)
IMAGE = 90  # token that stands for a piece of the image


def backbone(name: str) -> wavevit.Backbone:
    torch.manual_seed(0)
    return wavevit.create_model(name, img_size=32, num_classes=3).eval()


def text_config() -> Any:
    from transformers import LlamaConfig

    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    return LlamaConfig(**size, num_attention_heads=2, num_key_value_heads=2, vocab_size=96)


def llava(name: str) -> Any:
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    tower = vision_tower(backbone(name))
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=text_config(),
        image_token_index=IMAGE,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    torch.manual_seed(1)
    model = LlavaForConditionalGeneration(config).eval()
    model.model.vision_tower = tower
    return model


def inputs(tokens: int, channels: int = 3) -> dict[str, torch.Tensor]:
    """Two images, each before the same text."""
    text = torch.tensor([[1] + [IMAGE] * tokens + [5, 6, 7]]).expand(2, -1).contiguous()
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randn(2, channels, 32, 32, generator=generator)
    return {"input_ids": text, "pixel_values": pixels}


def train_projector(model: Any, batch: dict[str, torch.Tensor]) -> list[float]:
    model.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    optimizer = torch.optim.AdamW(model.model.multi_modal_projector.parameters(), lr=0.02)
    labels = batch["input_ids"].clone()
    labels[1, -2:] = torch.tensor([8, 9])  # what the second image shows, so the image matters
    labels[labels == IMAGE] = -100
    losses = []
    for _ in range(8):
        loss = model(**batch, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("name", BACKBONES)
def test_projector_is_trained_saved_and_read_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import LlavaForConditionalGeneration

    model, own = llava(name), backbone(name)
    options = {"indices": 1, "norm": True, "intermediates_only": True, "output_fmt": "NLC"}
    with torch.no_grad():
        (tokens,) = own.forward_intermediates(inputs(1)["pixel_values"], **options)
    batch = inputs(tokens.shape[1])
    with torch.no_grad():
        seen = model.model.get_image_features(batch["pixel_values"])
        assert torch.equal(seen.last_hidden_state, tokens)
        projected = model.model.multi_modal_projector(tokens)
        assert torch.equal(torch.stack(list(seen.pooler_output)), projected)
    losses = train_projector(model, batch)
    assert losses[-1] < losses[0]
    model.requires_grad_(False)  # torch's linear rounds otherwise for weights with a gradient
    with torch.no_grad():
        expected = model(**batch).logits
        other = model(**{**batch, "pixel_values": batch["pixel_values"].flip(0)}).logits
        assert not torch.equal(other[:, -1], expected[:, -1])  # negative control
        model.save_pretrained(tmp_path)
        read = LlavaForConditionalGeneration.from_pretrained(tmp_path).eval().requires_grad_(False)
        assert torch.equal(read(**batch).logits, expected)
    for key, value in own.state_dict().items():
        if not key.startswith("head."):
            assert torch.equal(read.model.vision_tower.backbone.state_dict()[key], value)


def test_a_model_writes_text_about_an_image() -> None:
    model = llava("test_haar_vit")
    tokens = 4
    batch = inputs(tokens)
    written = model.generate(**batch, max_new_tokens=3, do_sample=False, pad_token_id=0)
    assert written.shape == (2, batch["input_ids"].shape[1] + 3)


def test_gradients_reach_the_tower_with_and_without_checkpointing() -> None:
    model = llava("test_haar_pyramid").train()
    batch = inputs(4)
    found = []
    for checkpointing in (False, True):
        if checkpointing:
            names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
            getattr(model, next(n for n in names if hasattr(model, n)))()  # new, or of before
        assert model.model.vision_tower.backbone.stages[0].grad_checkpointing == checkpointing
        model.zero_grad()
        model(**batch, labels=batch["input_ids"]).loss.backward()
        tower = model.model.vision_tower.backbone
        found.append([p.grad.clone() for p in tower.parameters()])
    assert all(grad.isfinite().all() for grad in found[0])
    for one, two in zip(*found, strict=True):
        assert torch.allclose(one, two, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", ["test_haar_pyramid", "test_dtcwt_pyramid", "test_swin"])
def test_fast_vlm_takes_a_registered_pyramid(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers' own wrapper of timm's models; FastVLM reads maps, so columns do not fit."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import FastVlmConfig, FastVlmForConditionalGeneration, TimmWrapperConfig

    from wavevit.interop.timm import register as register_in_timm

    names = register_in_timm()
    width = wavevit.model_config(name).stages[-1].embed_dim
    vision = TimmWrapperConfig(architecture=names[name], model_args={"img_size": 32})
    vision.hidden_size = width
    torch.manual_seed(0)
    config = FastVlmConfig(vision_config=vision, text_config=text_config(), image_token_index=IMAGE)
    model = FastVlmForConditionalGeneration(config).eval()
    batch = inputs(
        model.model.vision_tower(inputs(1)["pixel_values"]).last_hidden_state[0, 0].numel()
    )
    losses = train_projector(model, batch)
    assert losses[-1] < losses[0]
    model.requires_grad_(False)  # torch's linear rounds otherwise for weights with a gradient
    with torch.no_grad():
        expected = model(**batch).logits
        model.save_pretrained(tmp_path)
        read = (
            FastVlmForConditionalGeneration.from_pretrained(tmp_path).eval().requires_grad_(False)
        )
        assert torch.equal(read(**batch).logits, expected)


def test_registering_twice_and_bad_towers() -> None:
    assert register() is register()
    with pytest.raises(ValueError, match=r"backbone: expected a wavevit\.Backbone, got Linear"):
        vision_tower(torch.nn.Linear(2, 2))
    classes = register()
    with pytest.raises(ValueError, match=r"config\.backbone: expected a BackboneConfig"):
        classes.model(classes.config())


@pytest.mark.parametrize("pool", ["avg", "power", ""])
def test_the_tower_pools_as_the_backbone_does(pool: str, tmp_path: Path) -> None:
    own, pixels = backbone("test_vit"), inputs(1)["pixel_values"]
    assert own.config.pool == "token"
    own.reset_classifier(0, pool)
    tower = vision_tower(own)
    tower.save_pretrained(tmp_path)
    read = type(tower).from_pretrained(tmp_path).eval()
    own.reset_classifier(0, pool or "token")
    with torch.no_grad():
        for model in (tower, read):
            assert torch.equal(model(pixels).pooler_output, own(pixels))
