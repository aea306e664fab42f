"""Every second sample, after a low-pass that damps what would alias."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.padding import pad_map

__all__ = ["Decimation"]


class Decimation(nn.Module):
    """A separable binomial low-pass and a stride of 2, every channel by itself.

    Args:
        taps: length of the filter. An odd one is centred on the even samples, an even one
            between each of them and its right neighbour.
        padding: see `pad_map`; None where the caller brings ``(taps - 1) // 2`` samples more on
            each side.

    Source:
        Zhang 2019 ("Making convolutional networks shift-invariant again").
    """

    kernel: Tensor

    def __init__(self, taps: int, padding: str | None) -> None:
        super().__init__()
        self.taps, self.border = taps, padding
        self.register_buffer("kernel", torch.empty(1, 1, taps, taps), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fills the fixed filter: after `to_empty` of a model that was made on ``meta``."""
        row = torch.tensor(
            [math.comb(self.taps - 1, k) / 2.0 ** (self.taps - 1) for k in range(self.taps)]
        )
        with torch.no_grad():
            self.kernel.copy_(torch.outer(row, row)[None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C, ⌈H/2⌉, ⌈W/2⌉); an even filter takes even sides only."""
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(channels, 1, self.taps, self.taps)
        if self.border is not None:
            x = pad_map(x, (self.taps - 1) // 2, self.border)
        return F.conv2d(x, kernel, stride=2, groups=channels)
