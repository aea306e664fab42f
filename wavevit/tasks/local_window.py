"""Linear map of the known neighbours of each value, shared by all places."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.tasks.patches import to_patches

__all__ = ["LocalWindow"]


class LocalWindow(nn.Module):
    """Reads around each value what comes before it in the order of cells.

    Of a window around a value only these positions count: all in cells above, all in the cell on
    the left, the earlier ones of its own cell, and the earlier channels of its own position. The
    weights are the same at all places, as in a masked convolution; which of them count depends on
    the place in the cell.

    Args:
        channels: of the map.
        side: of a cell.
        reach: positions on each side of a value, at most `side`.
        width: outputs for each value.
    """

    mask: Tensor

    def __init__(self, channels: int, side: int, reach: int, width: int) -> None:
        super().__init__()
        self.channels, self.side, self.reach, self.width = channels, side, reach, width
        window = 2 * reach + 1
        self.weight = nn.Parameter(torch.empty(channels * width, channels * window**2))
        nn.init.normal_(self.weight, std=(channels * window**2) ** -0.5)
        self.register_buffer("mask", self._mask(), persistent=False)

    @torch.no_grad()
    def start_as_mean(self) -> None:
        """Sets the weights so that the output is the mean of the values above and on the left."""
        window = 2 * self.reach + 1
        weight = torch.zeros(self.channels, self.width, self.channels, window, window)
        if self.reach:
            for channel in range(self.channels):
                weight[channel, :, channel, self.reach - 1, self.reach] = 0.5
                weight[channel, :, channel, self.reach, self.reach - 1] = 0.5
        self.weight.copy_(weight.reshape(self.weight.shape))

    def _mask(self) -> Tensor:
        """(positions of a cell, channels, channels of the window times its positions)."""
        steps = torch.arange(self.side)
        offsets = torch.arange(-self.reach, self.reach + 1)
        y, x, dy, dx = torch.meshgrid(steps, steps, offsets, offsets, indexing="ij")
        row, column = y + dy, x + dx
        inside = (row >= 0) & (row < self.side) & (column >= 0) & (column < self.side)
        earlier = (dy < 0) | ((dy == 0) & (dx < 0))
        left = (row >= 0) & (row < self.side) & (column < 0)
        known = ((row < 0) | left | (inside & earlier)).flatten(2).flatten(0, 1)
        same = ((dy == 0) & (dx == 0)).flatten(2).flatten(0, 1)
        channel = torch.arange(self.channels)
        before = channel[None, :] < channel[:, None]  # (of the value, of the window)
        found = known[:, None, None] | (same[:, None, None] & before[None, :, :, None])
        return found.flatten(2).float()

    def weights(self) -> Tensor:
        """Masked weights (positions of a cell, channels · width, window)."""
        weight = self.weight.unflatten(0, (self.channels, self.width))
        return (weight * self.mask[:, :, None]).flatten(1, 2)

    def padded(self, x: Tensor) -> Tensor:
        """A map with a border of zeros, as `at` takes it."""
        return F.pad(x, (self.reach,) * 4)

    def forward(self, x: Tensor) -> Tensor:
        """A map (B, V, h, w) to (B, N, n, width), values of a cell in their order."""
        windows = F.unfold(self.padded(x), 2 * self.reach + 1).unflatten(2, x.shape[-2:])
        cells = to_patches(windows, self.side).flatten(3).transpose(2, 3)
        found = torch.einsum("bnpk,pok->bnpo", cells, self.weights())
        return found.unflatten(3, (self.channels, self.width)).flatten(2, 3)

    def at(self, padded: Tensor, row: int, column: int, weights: Tensor) -> Tensor:
        """The same for all channels of one position: (B, channels, width).

        Args:
            padded: what `padded` gives.
            row: of the position in the map.
            column: of it.
            weights: what `weights` gives.
        """
        window = 2 * self.reach + 1
        seen = padded[:, :, row : row + window, column : column + window].flatten(1)
        place = row % self.side * self.side + column % self.side
        return (seen @ weights[place].T).unflatten(1, (self.channels, self.width))
