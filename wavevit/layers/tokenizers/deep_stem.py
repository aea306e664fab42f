"""Deep stem (Wave-ViT): convolutions at half resolution."""

from __future__ import annotations

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

__all__ = ["DeepStemTokenizer"]


@register_tokenizer("deep_stem")
class DeepStemTokenizer(Part):
    """Convolutions 7, 3, 3 at stride 2, then one of 3 that brings the stride to 4.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of a token; the convolutions before the last have
            half of them.
        patch_size: total stride, which is 4.
        padding: borders, ``"zeros"`` or ``"circular"``.
        eps: of the norms.

    Raises:
        ValueError: another patch size.

    Source:
        Yao et al., ECCV 2022 (Wave-ViT), their code; batch norms are LayerNorms over channels
        here, so that images of a batch do not meet.
    """

    def __init__(
        self, in_chans: int, embed_dim: int, patch_size: int, padding: str, eps: float = 1e-6
    ) -> None:
        super().__init__()
        if patch_size != 4:
            fail("patch_size", "4 for tokenizer='deep_stem'", patch_size)
        width = max(embed_dim // 2, 1)
        self.padding, self.in_chans = padding, in_chans
        self.convs = nn.ModuleList(
            nn.Conv2d(chans, width, kernel, stride=stride, bias=False)
            for chans, kernel, stride in ((in_chans, 7, 2), (width, 3, 1), (width, 3, 1))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=eps) for _ in range(3))
        self.proj = nn.Conv2d(width, embed_dim, 3, stride=2)
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
        """Images (B, C, H, W), sides divisible by 4, to tokens (B, H/4, W/4, D)."""
        for reach, conv, norm in zip((3, 1, 1), self.convs, self.norms, strict=True):
            x = conv(pad_map(x, reach, self.padding)).permute(0, 2, 3, 1)
            x = F.relu(norm(x)).permute(0, 3, 1, 2)
        return self.proj(pad_map(x, 1, self.padding)).permute(0, 2, 3, 1)

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """Channels fitted by `fit_channels`."""
        return fit_first(state, "convs.0.weight", self.in_chans, source)

    def linear_part(self, x: Tensor) -> Tensor:
        """The first convolution."""
        return F.pixel_unshuffle(self.convs[0](pad_map(x, 3, self.padding)), 2)
