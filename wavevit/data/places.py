"""`places`: two crops of each place of a photograph belong together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavevit.checks import check_at_least, fail
from wavevit.data.scenes import Scenes
from wavevit.data.sources import Source, register_source

__all__ = ["Places"]


@register_source("places")
class Places(Source):
    """Crops near fixed places of the bundled photographs, with ``"labels"``, the place of each.

    The places are a grid in each photograph's part of the split. A batch has two crops of each
    drawn place, one after the other; each lies up to `jitter` pixels from the place, down or up and
    right or left.

    Args:
        split, crop_size, margin: see `Source`.
        grid: places in each direction, evenly spaced.
        jitter: largest distance from the place in each direction, in pixels.
        max_short_side: photographs are reduced to at most this shorter side.

    Raises:
        ValueError: windows that do not fit with their jitter.

    Guarantees:
        Windows lie inside the split's part. Equal seeds give equal batches
        (tests/unit/test_sources.py).
    """

    def __init__(
        self,
        split: str,
        crop_size: int = 64,
        margin: int = 0,
        grid: int = 3,
        jitter: int = 8,
        max_short_side: int = 256,
    ) -> None:
        super().__init__(split, crop_size, margin)
        self.grid, self.jitter = (
            check_at_least("grid", grid, 1),
            check_at_least("jitter", jitter, 0),
        )
        # Its windows have room for the jitter.
        self.scenes = Scenes(split, crop_size, margin + jitter, max_short_side=max_short_side)
        self._plain = Scenes(split, crop_size, margin, max_short_side=max_short_side)
        self.num_classes = len(self.scenes.classes) * grid**2

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        """See `Source.sample`; `count` is even."""
        if check_at_least("count", count, 2) % 2:
            fail("count", "an even number: two crops of each place", count)
        rounds = -(-count // (2 * self.num_classes))
        orders = [torch.randperm(self.num_classes, generator=generator) for _ in range(rounds)]
        labels = torch.cat(orders)[: count // 2].repeat_interleave(2)
        size = 2 * self.jitter + 1
        moves = torch.randint(size, (count, 2), generator=generator)
        images = [
            self._window(label, (row, column))
            for label, (row, column) in zip(labels.tolist(), moves.tolist(), strict=True)
        ]
        windows = torch.stack(images)[:, None]
        return {"images": self._plain.normalized(windows), "labels": labels}

    def _window(self, label: int, move: tuple[int, int]) -> Tensor:
        photograph, place = divmod(label, self.grid**2)
        top, bottom, left, right = self.scenes.region(photograph)
        room = (bottom - top - self.scenes.window, right - left - self.scenes.window)
        row, column = (
            start + (2 * index + 1) * free // (2 * self.grid) + step
            for start, index, free, step in zip(
                (top, left), divmod(place, self.grid), room, move, strict=True
            )
        )
        pixels = self.scenes.photograph(photograph)
        return pixels[row : row + self.window, column : column + self.window]
