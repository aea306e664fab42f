"""Linear map of the known neighbours of each value, shared by all places."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
    taps: Tensor

    def __init__(self, channels: int, side: int, reach: int, width: int) -> None:
        super().__init__()
        self.channels, self.side, self.reach, self.width = channels, side, reach, width
        window = 2 * reach + 1
        self.weight = nn.Parameter(torch.empty(channels * width, channels * window**2))
        nn.init.normal_(self.weight, std=(channels * window**2) ** -0.5)
        self.register_buffer("mask", self._mask(), persistent=False)
        self.register_buffer("taps", self._taps(), persistent=False)

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

    def _taps(self) -> Tensor:
        """Where in a value's window each position of its cell's surroundings is.

        The surroundings are the rows of a cell and `reach` above it, its columns and `reach` on
        each side: all that any of its values may read.

        Returns:
            (positions of a cell, channels of the surroundings times their positions): places in the
            window, one after the last for those outside it.
        """
        window = 2 * self.reach + 1
        wide = torch.arange(-self.reach, self.side + self.reach)
        tall, steps = wide[: self.side + self.reach], torch.arange(self.side)
        y, x, row, column = torch.meshgrid(steps, steps, tall, wide, indexing="ij")
        dy, dx = row - y + self.reach, column - x + self.reach
        seen = ((dy >= 0) & (dy < window) & (dx >= 0) & (dx < window)).flatten(2).flatten(0, 1)
        place = (dy * window + dx).flatten(2).flatten(0, 1)
        channel = torch.arange(self.channels)[:, None] * window**2
        after = self.channels * window**2
        return torch.where(seen[:, None], place[:, None] + channel, after).flatten(1)

    def weights(self) -> Tensor:
        """Masked weights (positions of a cell, channels · width, window)."""
        weight = self.weight.unflatten(0, (self.channels, self.width))
        return (weight * self.mask[:, :, None]).flatten(1, 2)

    def padded(self, x: Tensor) -> Tensor:
        """A map with a border of zeros, as `at` takes it."""
        return F.pad(x, (self.reach,) * 4)

    def forward(self, x: Tensor) -> Tensor:
        """A map (B, V, h, w) to (B, N, n, width), values of a cell in their order."""
        around = F.pad(x, (self.reach, self.reach, self.reach, 0))
        size = (self.side + self.reach, self.side + 2 * self.reach)
        seen = F.unfold(around, size, stride=self.side).transpose(1, 2)  # a row for each cell
        # One product for all values of a cell: a window for each would copy the map many times.
        weights = F.pad(self.weights(), (0, 1))
        taps = self.taps[:, None].expand(-1, weights.shape[1], -1)
        found = seen @ weights.gather(2, taps).flatten(0, 1).T
        return found.unflatten(2, (-1, self.width))

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
