"""Small models of several libraries for tests of grafts, by name; without weights to download."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import wavevit

SMALL: dict[str, Any] = {"depth": 2, "embed_dim": 32, "num_heads": 2, "num_classes": 5}


def timm_model(name: str, **arguments: Any) -> nn.Module:
    import timm

    torch.manual_seed(0)
    return timm.create_model(name, **{**SMALL, "img_size": 32, **arguments}).eval()


def timm_swin() -> nn.Module:
    import timm

    torch.manual_seed(0)
    small = {"depths": (1, 1), "embed_dim": 16, "num_heads": (1, 1), "num_classes": 5}
    return timm.create_model("swin_tiny_patch4_window7_224", img_size=28, **small).eval()


def torchvision_vit() -> nn.Module:
    from torchvision.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    model = VisionTransformer(32, 16, 2, 2, 32, 64, num_classes=5).eval()
    nn.init.normal_(model.heads.head.weight)  # it starts at zero
    return model


def ours(name: str = "test_vit", **arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    return wavevit.create_model(name, **{"num_classes": 5, "img_size": 32, **arguments}).eval()


# By name: how to build it, its image, and the name of its patch embedding.
Family = tuple[Callable[[], nn.Module], tuple[int, int], str]
FAMILIES: dict[str, Family] = {
    "vit": (lambda: timm_model("vit_tiny_patch16_224"), (32, 32), "patch_embed"),
    "any size": (
        lambda: timm_model("vit_tiny_patch16_224", dynamic_img_size=True),
        (48, 80),
        "patch_embed",
    ),
    "padded": (
        lambda: timm_model("vit_tiny_patch16_224", dynamic_img_size=True, dynamic_img_pad=True),
        (37, 50),
        "patch_embed",
    ),
    "deit": (lambda: timm_model("deit_tiny_distilled_patch16_224"), (32, 32), "patch_embed"),
    "dinov2 with registers": (
        lambda: timm_model("vit_small_patch14_reg4_dinov2", img_size=42),
        (42, 42),
        "patch_embed",
    ),
    "dinov3": (lambda: timm_model("vit_small_patch16_dinov3"), (32, 48), "patch_embed"),
    "clip": (lambda: timm_model("vit_base_patch16_clip_224"), (32, 32), "patch_embed"),
    "siglip": (lambda: timm_model("vit_base_patch16_siglip_224"), (32, 32), "patch_embed"),
    "swin": (timm_swin, (28, 28), "patch_embed"),
    "torchvision": (torchvision_vit, (32, 32), "conv_proj"),
    "ours": (ours, (32, 32), "tokenizer"),
    "ours without sizes": (lambda: ours(position="conv"), (37, 64), "tokenizer"),
}


def images(size: tuple[int, int], batch: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, *size, generator=generator, dtype=dtype)


@torch.no_grad()
def trained(grafted: nn.Module, size: float = 0.3) -> nn.Module:
    """The model with random weights of its branch, in place, as training would leave them."""
    generator = torch.Generator().manual_seed(2)
    for parameter in wavevit.grafting.branch_parameters(grafted):
        drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.add_(size * drawn.to(parameter))
    return grafted
