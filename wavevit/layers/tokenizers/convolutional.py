"""Convolutional tokenizers: overlapping patches, and a stem of small convolutions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import fail
from wavevit.layers.channels import Source, fit_first
from wavevit.layers.context import PartContext
from wavevit.layers.options import NoOptions
from wavevit.layers.padding import pad_map
from wavevit.layers.registry import register_tokenizer
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.layers.tokenizers.start import start_at_pixel_size

__all__ = ["ConvStemTokenizer", "OverlapTokenizer"]


@register_tokenizer("overlap")
class OverlapTokenizer(Part):
    """One convolution whose kernel is almost twice its stride.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of a token.
        patch_size: stride in pixels; the kernel is ``2 * patch_size - 1``.
        padding: borders, ``"zeros"`` or ``"circular"``.

    Source:
        Wang et al. 2022 (PVT v2, with a norm behind it: ``token_norm``) and Li et al. 2022
        (MViT v2, without): kernel 7 at stride 4.
    """

    any_patch = True

    def __init__(self, in_chans: int, embed_dim: int, patch_size: int, padding: str) -> None:
        super().__init__()
        self.in_chans, self.padding, self.reach = in_chans, padding, patch_size - 1
        self.proj = nn.Conv2d(in_chans, embed_dim, 2 * patch_size - 1, stride=patch_size)
        self.symmetry = Symmetry(patch_size, circular=padding == "circular")

    def reset_parameters(self) -> None:
        """Tokens of photographs as large as the pixels (`start_at_pixel_size`)."""
        start_at_pixel_size(self, self.proj, self.proj.in_channels)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(context.in_chans, context.dim, context.patch_size, context.padding)

    @classmethod
    def first_conv(cls, options: NoOptions) -> str | tuple[()]:
        return "proj"

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """Channels fitted by `fit_channels`."""
        return fit_first(state, "proj.weight", self.proj.in_channels, source)

    def linear_part(self, x: Tensor) -> Tensor:
        """All of it, (B, D, h, w)."""
        return self.proj(pad_map(x, self.reach, self.padding))

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W), sides divisible by the stride, to tokens (B, H/P, W/P, D)."""
        return self.linear_part(x).permute(0, 2, 3, 1)


@register_tokenizer("conv_stem")
class ConvStemTokenizer(Part):
    """3 x 3 convolutions of stride 2, each followed by a norm and GELU, then a linear map.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of a token.
        patch_size: total stride, a power of two; its logarithm is the number of convolutions.
        padding: borders, ``"zeros"`` or ``"circular"``.
        eps: of the norms.

    Raises:
        ValueError: a patch size that is no power of two, or below 2.

    Source:
        Xiao et al. 2021 ("Early convolutions help transformers see better"); their batch norm is
        a LayerNorm over channels here, so that images of a batch do not meet.
    """

    def __init__(
        self, in_chans: int, embed_dim: int, patch_size: int, padding: str, eps: float = 1e-6
    ) -> None:
        super().__init__()
        steps = patch_size.bit_length() - 1
        if patch_size < 2 or patch_size != 1 << steps:
            expected = "a power of two from 2 on for tokenizer='conv_stem'"
            fail("patch_size", expected, patch_size)
        # Channels double on the way, so that every step costs about the same.
        widths = [in_chans, *(max(embed_dim >> (steps - 1 - i), 8) for i in range(steps))]
        self.padding, self.in_chans = padding, in_chans
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2) for before, after in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=eps) for width in widths[1:])
        self.proj = nn.Linear(widths[-1], embed_dim)
        self.symmetry = Symmetry(patch_size, circular=padding == "circular")

    def reset_parameters(self) -> None:
        """Tokens of photographs as large as the pixels (`start_at_pixel_size`)."""
        start_at_pixel_size(self, self.proj, self.in_chans)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(
            context.in_chans,
            context.dim,
            context.patch_size,
            context.padding,
            context.norm_eps,
        )

    @classmethod
    def first_conv(cls, options: NoOptions) -> str | tuple[()]:
        return "convs.0"

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W), sides divisible by the stride, to tokens (B, H/P, W/P, D)."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            tokens = F.gelu(norm(conv(pad_map(x, 1, self.padding)).permute(0, 2, 3, 1)))
            x = tokens.permute(0, 3, 1, 2)  # what the next convolution reads
        return self.proj(tokens)

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """Channels fitted by `fit_channels`."""
        return fit_first(state, "convs.0.weight", self.in_chans, source)

    def linear_part(self, x: Tensor) -> Tensor:
        """The first convolution."""
        stride = 1 << len(self.convs)
        return F.pixel_unshuffle(self.convs[0](pad_map(x, 1, self.padding)), stride // 2)
