"""Low-pass attention (ours): global attention to the approximation band, local mixing of bands."""

from __future__ import annotations

from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_multiple
from wavevit.layers.context import PartContext
from wavevit.layers.heads import split_heads
from wavevit.layers.options import NoOptions
from wavevit.layers.padding import DepthwiseConv
from wavevit.layers.registry import register_mixer
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.wavelets import dwt2, idwt2

__all__ = ["LowPassAttention"]


@register_mixer("lowpass_kv")
class LowPassAttention(Part):
    """Attention of every token to the approximation band, beside local mixing of all bands.

    One transform serves both. Its approximation, with a quarter of the tokens and without fine
    details, gives keys and values: the scores cost a quarter. Each of its four bands passes a
    depthwise 3 x 3 convolution and is transformed back: details mix with their
    neighbours, over 6 x 6 tokens at the cost of 3 x 3.

    Args:
        dim: channels of a token.
        num_heads: number of heads, a divisor of `dim`.
        wavelet: name of the filter.
        qkv_bias: whether queries, keys and values have a bias.
        padding: borders of the convolution; ``"circular"`` keeps shifts by 2 exactly.

    Raises:
        ValueError: `num_heads` does not divide `dim`.

    Guarantees:
        The formula and the symmetry (tests/unit/test_lowpass_attention.py).

    Source:
        After Wave-ViT (Yao et al. 2022), whose keys and values see all bands through a dense
        3 x 3 convolution (for D channels 2.25 D² multiply-accumulates of a token; all linear maps
        here have 2.5 D²), and HiLo (Pan et al. 2022), whose fine half are windows.
    """

    reads_heads = True

    def __init__(
        self,
        dim: int,
        num_heads: int,
        wavelet: str = "haar",
        qkv_bias: bool = True,
        padding: str = "circular",
    ) -> None:
        super().__init__()
        check_multiple("embed_dim", dim, num_heads)
        self.num_heads, self.wavelet = num_heads, wavelet
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        self.kv = nn.Linear(dim, 2 * dim, bias=qkv_bias)
        self.bands = DepthwiseConv(4 * dim, 3, padding)
        self.proj = nn.Linear(dim, dim)
        self.symmetry = Symmetry(2, circular=padding == "circular")

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(
            context.dim,
            context.num_heads,
            context.wavelet,
            context.qkv_bias,
            context.padding,
        )

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, h·w, D) on their grid (h, w) to the same shape."""
        # Bands before channels: the order that channels-last coefficients have in memory.
        bands = dwt2(x.transpose(1, 2).unflatten(2, grid), self.wavelet).transpose(1, 2)
        # Halved, the orthonormal approximation is the mean: as strong as a token is.
        approx = 0.5 * bands[:, 0].flatten(2).transpose(1, 2).contiguous()
        q = self.q(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        k, v = split_heads(self.kv(approx), 2, self.num_heads)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        mixed = self.bands(bands.flatten(1, 2)).unflatten(1, (4, -1)).transpose(1, 2)
        local = idwt2(mixed, self.wavelet, output_size=grid)
        return self.proj(attended + local.flatten(2).transpose(1, 2))
