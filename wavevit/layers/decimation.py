"""Decimation by two with a binomial low-pass against aliasing."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.padding import pad_map
from wavevit.wavelets._engine.tensor_cache import remember

__all__ = ["Decimation"]


class Decimation(nn.Module):
    """A separable binomial low-pass and a stride of 2, every channel by itself.

    The filter is a number and no buffer: a buffer that no state dict carries would be left empty
    where a model is built on the meta device (transformers, FSDP) and then loaded.

    Args:
        taps: length of the filter. An odd one is centred on the even samples, an even one
            between each of them and its right neighbour.
        padding: see `pad_map`; None where the caller brings ``(taps - 1) // 2`` samples more on
            each side.

    Source:
        Zhang 2019 ("Making convolutional networks shift-invariant again").
    """

    def __init__(self, taps: int, padding: str | None) -> None:
        super().__init__()
        self.taps, self.padding = taps, padding

    def kernel(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The filter, (taps, taps); its numbers are sums of powers of two: exact in any dtype."""

        def build() -> Tensor:
            row = [math.comb(self.taps - 1, k) / 2.0 ** (self.taps - 1) for k in range(self.taps)]
            return torch.tensor([[a * b for b in row] for a in row], dtype=dtype, device=device)

        if torch.compiler.is_compiling():  # a constant of the graph; a cache would leak tracers
            return build()
        return remember((Decimation, self.taps, dtype, device), build)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C, ⌈H/2⌉, ⌈W/2⌉); an even filter takes even sides only."""
        channels = x.shape[1]
        kernel = self.kernel(x.dtype, x.device).expand(channels, 1, self.taps, self.taps)
        if self.padding is not None:
            x = pad_map(x, (self.taps - 1) // 2, self.padding)
        return F.conv2d(x, kernel, stride=2, groups=channels)
