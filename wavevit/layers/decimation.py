"""Decimation by two with a binomial low-pass against aliasing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.padding import pad_map
from wavevit.wavelets._engine.banded_maps import Banded, resampled, resamples
from wavevit.wavelets._engine.tensor_cache import remember

__all__ = ["Decimation", "chained"]


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
        # Autocast rounds as for every convolution, timm's low-passes too, whatever the layout.
        narrows = torch.is_autocast_enabled("cpu")
        if self.padding is not None and not narrows and resamples(x):
            return resampled(x, *chained((self,), x.shape[-2:]))
        channels = x.shape[1]
        kernel = self.kernel(x.dtype, x.device).expand(channels, 1, self.taps, self.taps)
        if self.padding is not None:
            x = pad_map(x, (self.taps - 1) // 2, self.padding)
        return F.conv2d(x, kernel, stride=2, groups=channels)

    def matrix(self, side: int) -> np.ndarray:
        """What `forward` does along one axis, (outputs, side); samples beyond zeros are none."""
        reach = 0 if self.padding is None else (self.taps - 1) // 2
        outputs = (side + 2 * reach - self.taps) // 2 + 1
        places = 2 * np.arange(outputs)[:, None] + np.arange(self.taps) - reach
        weights = [math.comb(self.taps - 1, k) / 2.0 ** (self.taps - 1) for k in range(self.taps)]
        inside = (places >= 0) & (places < side)
        kept = np.where(inside, weights, 0.0) if self.padding == "zeros" else weights
        places = places % side if self.padding == "circular" else np.clip(places, 0, side - 1)
        result = np.zeros((outputs, side))
        np.add.at(result, (np.arange(outputs)[:, None], places), kept)
        return result


def chained(
    steps: tuple[Decimation, ...], size: Sequence[int], margin: int = 0
) -> tuple[Banded, Banded]:
    """Several decimations of maps as one banded matrix for each axis.

    Args:
        steps: in the order in which they are applied.
        size: (H, W) of the first input.
        margin: samples on each side that the first step does not see.
    """
    filters = tuple((step.taps, step.padding) for step in steps)
    return _chained(filters, size[0], margin), _chained(filters, size[1], margin)


@lru_cache(maxsize=256)
def _chained(steps: tuple[tuple[int, str | None], ...], side: int, margin: int) -> Banded:
    inside = side - 2 * margin
    matrix = np.eye(inside)
    for taps, padding in steps:
        matrix = Decimation(taps, padding).matrix(len(matrix)) @ matrix
    return Banded.of(np.pad(matrix, ((0, 0), (margin, margin))))
