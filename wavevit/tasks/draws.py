"""Random draws of a loss: the same for each example, however a batch is cut into parts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_callable, check_generator, check_seed, fail

__all__ = ["PartGenerator", "draw_examples", "seeded"]


class PartGenerator(torch.Generator):
    """A generator for the loss of a part of a batch.

    A rank, or a step of gradient accumulation, computes the loss of some examples only. With this
    generator `draw_examples` draws for the whole batch and gives the rows of the part, so that each
    example gets the same masks, times and noise as in a loss of the whole batch.

    Args:
        seed: of the whole batch, the same for all its parts.
        start: number of the part's first example in the batch.
        total: examples of the whole batch.

    Raises:
        ValueError: a part outside the batch.
    """

    def __new__(cls, seed: int, start: int, total: int) -> PartGenerator:
        made: PartGenerator = super().__new__(cls)
        return made

    def __init__(self, seed: int, start: int, total: int) -> None:
        check_seed("seed", seed)
        check_at_least("total", total, 1)
        if check_at_least("start", start, 0) >= total:
            fail("start", f"a number from 0 to {total - 1}", start)
        self.manual_seed(seed)
        self.start, self.total = start, total


def draw_examples(
    draw: Callable[[int], Tensor], count: int, generator: torch.Generator | None
) -> Tensor:
    """Draws rows for the examples of a batch, or of a part of it.

    Args:
        draw: from a number of examples to as many rows; it draws from `generator`.
        count: examples of the batch that the loss sees.
        generator: what the loss got. A `PartGenerator` says which part of the batch that is.

    Raises:
        ValueError: a part that ends behind its batch, or something else than a generator.

    Example:
        >>> whole = torch.Generator().manual_seed(0)
        >>> part = PartGenerator(0, start=2, total=4)
        >>> rows = draw_examples(lambda n: torch.rand(n, generator=whole), 4, whole)
        >>> last = draw_examples(lambda n: torch.rand(n, generator=part), 2, part)
        >>> torch.equal(rows[2:], last)
        True
    """
    check_callable("draw", draw)
    check_at_least("count", count, 0)
    check_generator("generator", generator)
    if not isinstance(generator, PartGenerator):
        return draw(count)
    end = generator.start + count
    if end > generator.total:
        fail("generator", f"a part of {count} examples of {generator.total}", f"an end at {end}")
    return draw(generator.total)[generator.start : end]


def seeded(generator: torch.Generator | None) -> torch.Generator:
    """The generator, or one of seed 0 in place of None."""
    return check_generator("generator", generator) or torch.Generator().manual_seed(0)
