"""Cut one, two or three pictures into at least four windows for an audit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

__all__ = ["MOST_ENLARGED", "MOST_OVERLAP", "Cut", "cut_windows", "smallest_side"]

MOST_OVERLAP = 0.5  # share of a window's side that the next window may show again
MOST_ENLARGED = 2  # a window of fewer pixels than the model's is enlarged at most so much


@dataclass(frozen=True)
class Cut:
    """A grid of square windows on one picture.

    Attributes:
        rows, columns: windows along each axis.
        side: of a window, in pixels of the picture.
        overlap: the largest share of the side that two neighbours have in common.
    """

    rows: int
    columns: int
    side: int
    overlap: float

    def corners(self, height: int, width: int) -> Iterator[tuple[int, int]]:
        """Upper left pixels, evenly spread from border to border, row by row."""
        for row in range(self.rows):
            for column in range(self.columns):
                yield (
                    _start(row, self.rows, height, self.side),
                    _start(column, self.columns, width, self.side),
                )


def smallest_side(side: int) -> int:
    """Shorter side of a picture from which four windows can be cut: ``side`` pixels are wanted."""
    return math.ceil((2 - MOST_OVERLAP) * math.ceil(side / MOST_ENLARGED))


def _start(index: int, count: int, length: int, side: int) -> int:
    return (length - side) // 2 if count == 1 else index * (length - side) // (count - 1)


def _overlap(count: int, length: int, side: int) -> float:
    if count == 1:
        return 0.0
    starts = [_start(index, count, length, side) for index in range(count)]
    steps = [after - before for before, after in itertools.pairwise(starts)]
    return max(0.0, 1 - min(steps) / side)


def cut_of(height: int, width: int, least: int, most: int, side: int) -> Cut | None:
    """The grid of windows for a picture.

    As many windows as fit beside each other without a common pixel, each of ``side`` pixels or
    more. Where fewer than ``least`` fit: the grid of ``least`` windows or more whose windows need
    the least enlarging, then have the least in common.

    Args:
        height: of the picture.
        width: of the picture.
        least: fewest windows.
        most: most windows.
        side: pixels that a window should have.

    Returns:
        The grid, or None where every one breaks `MOST_OVERLAP` or `MOST_ENLARGED`.
    """
    grids = [
        (rows, columns)
        for rows in range(1, most + 1)
        for columns in range(1, most // rows + 1)
        if rows * columns >= least
    ]
    apart = [(r * c, min(height // r, width // c), r, c) for r, c in grids]
    apart = [grid for grid in apart if grid[1] >= side]
    if apart:
        _, found, rows, columns = max(apart)
        return Cut(rows, columns, found, 0.0)
    close: list[tuple[int, float, Cut]] = []
    for rows, columns in grids:
        reach = [
            math.floor(length / (1 + (count - 1) * (1 - MOST_OVERLAP)))
            for count, length in ((rows, height), (columns, width))
        ]
        found = min(side, *reach)
        if found * MOST_ENLARGED < side:
            continue
        common = max(_overlap(rows, height, found), _overlap(columns, width, found))
        if common <= MOST_OVERLAP + 1 / found:  # starts are whole pixels
            close.append((found, -common, Cut(rows, columns, found, common)))
    return max(close, key=lambda grid: grid[:2])[2] if close else None


def cut_windows(
    names: list[str], pictures: list[Tensor], fewest: int, count: int, side: int
) -> tuple[list[str], list[Tensor], list[Cut]] | None:
    """Windows of all pictures, `fewest` to `count` of them in all.

    Args:
        names: of the pictures.
        pictures: (3, H, W) each.
        fewest: windows that are needed.
        count: windows that are wanted.
        side: pixels that a window should have.

    Returns:
        Names and pixels of the windows, in the order of the pictures; the grid of each picture.
        None where a picture is too small.
    """
    least = -(-fewest // len(pictures))
    most = max(count // len(pictures), least)
    found, windows, cuts = [], [], []
    for name, picture in zip(names, pictures, strict=True):
        height, width = picture.shape[-2:]
        cut = cut_of(height, width, least, most, side)
        if cut is None:
            return None
        cuts.append(cut)
        for top, left in cut.corners(height, width):
            found.append(f"{name} at row {top}, column {left}")
            windows.append(picture[:, top : top + cut.side, left : left + cut.side])
    return found, windows, cuts
