"""`places`: two crops of each place of a photograph belong together."""

from __future__ import annotations

from typing import Any

import torch

from wavevit.checks import check_at_least, check_generator, check_number, fail
from wavevit.data.scenes import photograph_scenes
from wavevit.data.sources import Source, photographs_of, register_source

__all__ = ["Places"]


@register_source("places")
class Places(Source):
    """Crops near fixed places of the bundled photographs, with ``"labels"``, the place of each.

    The places are a grid in each photograph's part of the split, at least half a crop apart. A
    batch has two crops of each drawn place, one after the other; each lies a few pixels up or down
    and left or right of it, as far as there is room. ``"corners"`` (B, 2) has the row and column of
    each window in its photograph.

    Args:
        split, crop_size, margin: see `Source`.
        grid: places in each direction, at most; a narrow part has fewer.
        jitter: largest distance from the place in each direction, as a share of the crop's side;
            below a quarter, so that two places never show the same crop.
        max_short_side: photographs are reduced to at most this shorter side.
        **photographs: options of a folder of photographs; see `SceneCrops`.

    Raises:
        ValueError: windows that do not fit, or a jitter out of range.

    Guarantees:
        Windows lie inside the split's part. Crops of two places are never the same
        (tests/properties/test_objects_laws.py).
    """

    of_photographs = True

    def __init__(
        self,
        split: str,
        crop_size: int = 64,
        margin: int = 0,
        grid: int = 3,
        jitter: float = 0.2,
        max_short_side: int = 256,
        **photographs: Any,
    ) -> None:
        super().__init__(split, crop_size, margin)
        check_at_least("grid", grid, 1)
        share = "a share of the crop's side from 0 to below a quarter"
        check_number("jitter", jitter, least=0, below=0.25, expected=share)
        self.jitter = int(jitter * crop_size)
        self.scenes = photograph_scenes(
            split, crop_size, margin, max_short_side=max_short_side, **photographs
        )
        self.folder = photographs_of(photographs)
        apart = -(-crop_size // 2)
        #: Photograph, row and column of each place; its index is the label.
        self.places: list[tuple[int, int, int]] = [
            (photograph, row, column)
            for photograph in range(len(self.scenes.classes))
            for row in _spread(*self._rooms(photograph)[0], grid, apart)
            for column in _spread(*self._rooms(photograph)[1], grid, apart)
        ]
        self.num_classes = len(self.places)

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        """See `Source.sample`; `count` is even."""
        if check_at_least("count", count, 2) % 2:
            fail("count", "an even number: two crops of each place", count)
        check_generator("generator", generator)
        rounds = -(-count // (2 * self.num_classes))
        orders = [torch.randperm(self.num_classes, generator=generator) for _ in range(rounds)]
        labels = torch.cat(orders)[: count // 2].repeat_interleave(2)
        moves = torch.randint(-self.jitter, self.jitter + 1, (count, 2), generator=generator)
        corners = [
            self._corner(label, move)
            for label, move in zip(labels.tolist(), moves.tolist(), strict=True)
        ]
        side, windows = self.window, []
        for label, (row, column) in zip(labels.tolist(), corners, strict=True):
            pixels = self.scenes.photograph(self.places[label][0])
            windows.append(pixels[row : row + side, column : column + side])
        images = self.scenes.normalized(torch.stack(windows)[:, None])
        return {"images": images, "labels": labels, "corners": torch.tensor(corners)}

    def report(self) -> dict[str, Any]:
        return self.folder.report() if self.folder is not None else {}

    def fingerprint(self) -> str:
        return self.folder.digest if self.folder is not None else ""

    def _rooms(self, photograph: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """First and last row, and first and last column, at which a window may begin."""
        top, bottom, left, right = self.scenes.region(photograph)
        return (top, bottom - self.window), (left, right - self.window)

    def _corner(self, label: int, move: list[int]) -> list[int]:
        photograph, *place = self.places[label]
        return [
            min(max(start + step, low), high)
            for start, step, (low, high) in zip(place, move, self._rooms(photograph), strict=True)
        ]


def _spread(low: int, high: int, most: int, apart: int) -> list[int]:
    """At most so many evenly spaced positions from `low` to `high`, at least `apart` apart."""
    count = min(most, 1 + (high - low) // apart)
    if count == 1:
        return [(low + high) // 2]
    return [low + index * (high - low) // (count - 1) for index in range(count)]
