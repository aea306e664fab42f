"""Wavelet attention (Wave-ViT): all queries, keys and values from the subbands of the map."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_multiple
from wavevit.layers.context import PartContext
from wavevit.layers.heads import split_heads
from wavevit.layers.options import NoOptions
from wavevit.layers.padding import pad_map, pad_to_multiple
from wavevit.layers.registry import register_mixer
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.wavelets import dwt2, idwt2

__all__ = ["WaveletAttention"]


@register_mixer("wavelet_kv")
class WaveletAttention(Part):
    """Attention of every token to the wavelet coefficients of a map of fewer channels.

    Channels are reduced to a quarter, one transform level turns (D/4, h, w) into (D, h/2, w/2)
    without loss, a 3 x 3 convolution mixes the four bands of a neighbourhood. Keys and values
    are read from there; the inverse transform of the same coefficients, a wide local context, is
    put beside the attention's output before the last projection.

    Args:
        dim: channels of a token, a multiple of 4.
        num_heads: number of heads, a divisor of `dim`.
        reduction: stride of a further convolution of the coefficients for keys and values. 1 is
            the paper's text; the authors' code has 4 and 2 in stages 1 and 2. Maps that the
            stride does not divide are repeated at their edge: nothing is cropped.
        wavelet: name of the filter.
        qkv_bias: whether queries, keys and values have a bias.
        padding: borders of the 3 x 3 convolution, ``"zeros"`` or ``"circular"``.
        eps: of the norms.

    Raises:
        ValueError: `num_heads` does not divide `dim`, or 4 does not.

    Source:
        Yao et al., ECCV 2022 (Wave-ViT), section 3.3. The batch norms of their code are
        LayerNorms over channels here, so that images of a batch do not meet.
    """

    reads_heads = True

    def __init__(
        self,
        dim: int,
        num_heads: int,
        reduction: int = 1,
        wavelet: str = "haar",
        qkv_bias: bool = True,
        padding: str = "zeros",
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        check_multiple("embed_dim", dim, num_heads)
        check_multiple("embed_dim (mixer='wavelet_kv')", dim, 4)
        self.num_heads, self.reduction = num_heads, reduction
        self.wavelet, self.padding = wavelet, padding
        self.narrow = nn.Linear(dim, dim // 4)
        self.narrow_norm = nn.LayerNorm(dim // 4, eps=eps)
        self.filter = nn.Conv2d(dim, dim, 3)
        self.filter_norm = nn.LayerNorm(dim, eps=eps)
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        self.reduce = nn.Conv2d(dim, dim, reduction, stride=reduction) if reduction > 1 else None
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.kv = nn.Linear(dim, 2 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim + dim // 4, dim)
        self.symmetry = Symmetry(2 * reduction, circular=padding == "circular")

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(
            context.dim,
            context.num_heads,
            context.reduction,
            context.wavelet,
            context.qkv_bias,
            context.padding,
            context.norm_eps,
        )

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, h·w, D) on their grid (h, w) to the same shape."""
        q = self.q(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        narrow = F.relu(self.narrow_norm(self.narrow(x))).transpose(1, 2).unflatten(2, grid)
        bands = dwt2(narrow, self.wavelet).flatten(1, 2)
        bands = self.filter(pad_map(bands, 1, self.padding)).permute(0, 2, 3, 1)
        bands = F.relu(self.filter_norm(bands)).permute(0, 3, 1, 2)
        local = idwt2(bands.unflatten(1, (-1, 4)), self.wavelet, output_size=grid)
        if self.reduce is not None:
            bands = self.reduce(pad_to_multiple(bands, self.reduction))
        context = self.norm(bands.flatten(2).transpose(1, 2))
        k, v = split_heads(self.kv(context), 2, self.num_heads)
        x = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.proj(torch.cat([x, local.flatten(2).transpose(1, 2)], dim=2))
