"""Patch tokenizer (ViT): one linear map of each square patch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.channels import Source, fit_channels
from wavevit.layers.context import PartContext
from wavevit.layers.options import NoOptions
from wavevit.layers.registry import register_tokenizer
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.layers.tokenizers.start import start_projection

__all__ = ["PatchTokenizer", "resize_patch"]


@register_tokenizer("patch")
class PatchTokenizer(Part):
    """Cuts the image into patches and maps each linearly: a convolution of stride = kernel.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of a token.
        patch_size: side of a patch in pixels.

    Source:
        Dosovitskiy et al. 2021, section 3.1.
    """

    any_patch = resizes_patch = True

    def __init__(self, in_chans: int, embed_dim: int, patch_size: int) -> None:
        super().__init__()
        self.in_chans = in_chans
        self.proj = nn.Conv2d(in_chans, embed_dim, patch_size, stride=patch_size)
        self.symmetry = Symmetry(patch_size)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(context.in_chans, context.dim, context.patch_size)

    @classmethod
    def first_conv(cls, options: NoOptions) -> str | tuple[()]:
        return "proj"

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """Channels fitted by `fit_channels`, kernels of another side by `resize_patch`."""
        kernel = state.get("proj.weight")
        if kernel is None or kernel.ndim != 4 or kernel.shape == self.proj.weight.shape:
            return {}
        if source.channels not in (None, kernel.shape[1]):
            return {}
        kernel = fit_channels(kernel, self.proj.in_channels)
        return {"proj.weight": resize_patch(kernel, self.proj.kernel_size[0])}

    def resize(self, side: int) -> None:
        """Another patch, in place: the kernel is resized by `resize_patch`."""
        kernel = resize_patch(self.proj.weight.detach(), side)
        self.proj.weight = nn.Parameter(kernel, self.proj.weight.requires_grad)
        self.proj.kernel_size = self.proj.stride = (side, side)
        self.symmetry = Symmetry(side)

    def reset_parameters(self) -> None:
        """Tokens of the size of their inputs: variance one over the fan-in; no bias."""
        start_projection(self.proj)

    def resize_to(self, context: PartContext, options: NoOptions) -> None:
        """The patch of the context."""
        if self.proj.kernel_size[0] != context.patch_size:
            self.resize(context.patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W), sides divisible by the patch, to tokens (B, H/P, W/P, D)."""
        return self.proj(x).permute(0, 2, 3, 1)

    def linear_part(self, x: Tensor) -> Tensor:
        """All of it, (B, D, h, w)."""
        return self.proj(x)


def resize_patch(kernel: Tensor, side: int) -> Tensor:
    """Kernels (D, C, p, p) for patches of another side, which give the tokens that they gave.

    With B the antialiased bicubic resampling of a patch, ``⟨B x, k'⟩ = ⟨x, k⟩`` is solved for k' by
    the pseudo-inverse: exact for larger patches, least squares for smaller ones.

    Source:
        Beyer et al. 2023 (FlexiViT), section 3.4; timm's ``resample_patch_embed``.
    """
    source = kernel.shape[-1]
    if source == side:
        return kernel
    basis = torch.eye(source**2, dtype=torch.float64).reshape(-1, 1, source, source)
    moved = F.interpolate(basis, size=(side, side), mode="bicubic", antialias=True)
    matrix = torch.linalg.pinv(moved.reshape(source**2, side**2)).to(kernel.device)  # (q², p²)
    resized = kernel.double().flatten(2) @ matrix.mT
    return resized.unflatten(2, (side, side)).to(kernel.dtype)
