"""Exact model of integer maps: cell by cell, and value by value inside a cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.tasks.integer_distributions import Categorical, LogisticMixture
from wavevit.tasks.local_window import LocalWindow
from wavevit.tasks.patches import from_patches, to_patches

__all__ = ["CellModel", "Conditionals"]


class Conditionals(NamedTuple):
    """Distributions of values in their order: cells, then values of a cell.

    Attributes:
        distribution: their kind.
        values: (B, N, n) integers.
        parameters: (B, N, n, P).
        low: smallest possible values, (B, N, n).
        high: largest.
    """

    distribution: Categorical | LogisticMixture
    values: Tensor
    parameters: Tensor
    low: Tensor
    high: Tensor

    def log_prob(self) -> Tensor:
        """Natural logarithm of the probability of all values of an example, (B,)."""
        found = self.distribution.log_prob(self.parameters, self.values, self.low, self.high)
        return found.flatten(1).sum(1)


Bounds = Callable[[Tensor], tuple[Tensor, Tensor]]
Context = Callable[[Tensor], Tensor]


class CellModel(nn.Module):
    """Conditional distributions of the values of a map, in the order in which they are written.

    Cells of ``side`` x ``side`` positions follow row by row, positions in a cell row by row, and
    the channels of a position one after the other. A value depends on its cell's context, on the
    earlier values of its cell, on earlier values within `margin` positions, and on a guide: maps
    that are known before. Masked linear layers, one hidden layer for each value, and a layer that
    all values share: a MADE (Germain et al. 2015) for a cell, with context and neighbours.

    Args:
        channels: of the map.
        side: of a cell.
        context: channels of a context.
        distribution: of the integers.
        scale: integers are read as ``(v − centre) / scale``.
        centre: see `scale`.
        guide: channels of the guide; 0 for none.
        margin: positions around a value that are read, at most `side`.
        width: hidden channels of a value.
        smooth: neighbours are alike: at the start, distributions that can be moved are around
            the mean of the values above and on the left.

    Guarantees:
        The derivative of the parameters of value i by value j ≥ i is 0
        (tests/properties/test_autoregressive_laws.py).
    """

    mask: Tensor

    def __init__(
        self,
        channels: int,
        side: int,
        context: int,
        distribution: Categorical | LogisticMixture,
        scale: float,
        centre: float = 0.0,
        guide: int = 0,
        margin: int = 2,
        width: int = 32,
        smooth: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.side = channels, side
        self.distribution, self.scale, self.centre = distribution, scale, centre
        self.count, self.width = channels * side * side, width  # values of a cell
        mask = torch.ones(self.count, self.count).tril(-1)
        self.register_buffer("mask", mask, persistent=False)
        self.own = nn.Parameter(torch.empty(self.count, width, self.count))
        nn.init.normal_(self.own, std=self.count**-0.5)
        margin = min(margin, side)
        self.near = LocalWindow(channels, side, margin, width)
        self.guess = None
        if distribution.moves:
            self.guess = LocalWindow(channels, side, margin, 1)
            if smooth:
                self.guess.start_as_mean()
            else:
                nn.init.zeros_(self.guess.weight)
        self.guide = None
        if guide:
            window = 2 * margin + 1
            self.guide = nn.Conv2d(guide, channels * width, window, padding=margin, bias=False)
        self.context = nn.Linear(context, self.count * width)
        self.mix = nn.Linear(width, width)
        self.out = nn.Linear(width, distribution.count)
        nn.init.normal_(self.out.weight, std=0.02)
        with torch.no_grad():
            self.out.bias.copy_(distribution.bias())

    def scaled(self, values: Tensor) -> Tensor:
        """Integers as numbers of about 1, in the dtype of the weights."""
        return (values.to(self.own.dtype) - self.centre) / self.scale

    def cells(self, maps: Tensor) -> Tensor:
        """A map (B, V, h, w) as values of cells in their order, (B, N, n)."""
        return to_patches(maps, self.side).movedim(2, -1).flatten(2)

    def uncells(self, cells: Tensor, grid: tuple[int, int]) -> Tensor:
        """The inverse of `cells`, with the rows and columns of cells."""
        shape = (self.side, self.side, self.channels)
        return from_patches(cells.unflatten(2, shape).movedim(-1, 2), grid)

    def _base(self, context: Tensor, guide: Tensor | None) -> Tensor:
        """Part of the hidden layer that the map's values do not change, (B, N, n, width)."""
        base: Tensor = self.context(context).unflatten(-1, (self.count, self.width))
        if self.guide is None or guide is None:
            return base
        found = to_patches(self.guide(guide), self.side)  # (B, N, V · width, side, side)
        found = found.flatten(3).transpose(2, 3).unflatten(3, (self.channels, self.width))
        return base + found.flatten(2, 3)

    def _output(self, hidden: Tensor) -> Tensor:
        hidden = F.gelu(hidden)
        return self.out(hidden + F.gelu(self.mix(hidden)))

    def _moved(self, parameters: Tensor, guess: Tensor) -> Tensor:
        return cast(LogisticMixture, self.distribution).moved(parameters, guess * self.scale)

    def forward(self, x: Tensor, context: Tensor, guide: Tensor | None = None) -> Tensor:
        """Parameters of all values at once.

        Args:
            x: the map (B, V, h, w), as `scaled` gives it; `side` divides h and w.
            context: (B, N, context) of each cell.
            guide: (B, G, h, w) known maps of about 1.

        Returns:
            (B, N, n, P).
        """
        weight = self.own * self.mask[:, None]
        own = (self.cells(x) @ weight.flatten(0, 1).T).unflatten(-1, (self.count, self.width))
        found = self._output(self._base(context, guide) + self.near(x) + own)
        return found if self.guess is None else self._moved(found, self.guess(x)[..., 0])

    def given(
        self,
        values: Tensor,
        context: Tensor,
        bounds: tuple[Tensor, Tensor],
        guide: Tensor | None = None,
    ) -> Conditionals:
        """The distributions of the values of maps, each given those before it.

        Args:
            values: (B, V, h, w) integers.
            context: see `forward`.
            bounds: smallest and largest values, of the map's shape.
            guide: see `forward`.
        """
        parameters = self(self.scaled(values), context, guide)
        parameters = parameters.to(torch.promote_types(parameters.dtype, torch.float32))
        low, high = (self.cells(bound) for bound in bounds)
        return Conditionals(self.distribution, self.cells(values), parameters, low, high)

    @torch.no_grad()
    def sample(
        self,
        shape: tuple[int, ...],
        context: Context,
        bounds: Bounds,
        generator: torch.Generator | None = None,
        guide: Tensor | None = None,
        given: Tensor | None = None,
        first: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Draws maps value by value.

        Args:
            shape: (B, V, h, w).
            context: gives the contexts (B, N, context) from the values so far; called for each
                cell.
            bounds: gives the bounds from the values so far; called for each value.
            generator: on the CPU; None for torch's global generator.
            guide: see `forward`.
            given: integers of that shape, from which the first cells are taken.
            first: the first cell that is drawn.

        Returns:
            Integers of that shape, and the logarithm of the probability of the drawn ones (B,),
            summed while drawing.
        """
        device, dtype = self.own.device, self.own.dtype
        grid = (shape[2] // self.side, shape[3] // self.side)
        values = torch.zeros(shape, dtype=torch.long, device=device)
        wide = torch.promote_types(dtype, torch.float32)
        total = torch.zeros(shape[0], dtype=wide, device=device)
        if given is not None:
            cells = self.cells(given.to(values))
            cells[:, first:] = 0
            values = self.uncells(cells, grid)
        weight, near = self.own * self.mask[:, None], self.near.weights()
        guesses = near if self.guess is None else self.guess.weights()
        for cell in range(first, grid[0] * grid[1]):
            top, left = cell // grid[1] * self.side, cell % grid[1] * self.side
            base = self._base(context(values), guide)[:, cell]
            own = torch.zeros(shape[0], self.count, dtype=dtype, device=device)
            for index in range(self.count):
                place, channel = divmod(index, self.channels)
                row, column = top + place // self.side, left + place % self.side
                padded = self.near.padded(self.scaled(values))
                hidden = base[:, index] + self.near.at(padded, row, column, near)[:, channel]
                hidden = hidden + own[:, :index] @ weight[index, :, :index].T
                parameters = self._output(hidden)
                if self.guess is not None:
                    guess = self.guess.at(padded, row, column, guesses)[:, channel, 0]
                    parameters = self._moved(parameters, guess)
                parameters = parameters.to(wide)
                low, high = (bound[:, channel, row, column] for bound in bounds(values))
                uniform = torch.rand(shape[0], 2, generator=generator, dtype=torch.float64)
                uniform = uniform.to(device, wide)
                drawn = self.distribution.draw(parameters, uniform, low, high)
                total = total + self.distribution.log_prob(parameters, drawn, low, high)
                own[:, index] = self.scaled(drawn)
                values[:, channel, row, column] = drawn
        return values, total
