"""Windows of photographs for distillation, crops of these windows, and shifts of the crops."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from wavevit.checks import check_image, fail

__all__ = [
    "Photographs",
    "crop_at",
    "crops_at",
    "middle",
    "shift_offsets",
    "split_photographs",
    "windows_of",
]

WindowSource: TypeAlias = Callable[[int, int], Tensor]
Photographs: TypeAlias = WindowSource | Sequence[Tensor]

# One photograph in so many is held out.
_HELD_OUT_SHARE = 8
# The additive recurrence of these two steps spreads points evenly over a square: 1/g and 1/g², with
# g³ = g + 1 (the plastic number).
_STEPS = (0.7548776662466927, 0.5698402909980532)


def split_photographs(
    photographs: Sequence[Tensor], seed: int
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Divides photographs into training and held-out ones, at least one of each.

    Raises:
        ValueError: fewer than two photographs.
    """
    count = len(photographs)
    if count < 2:
        expected = "at least 2 tensors (some are held out; or pass held_out yourself)"
        fail("photographs", expected, count)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    judged = max(round(count / _HELD_OUT_SHARE), 1)
    return [photographs[i] for i in order[judged:]], [photographs[i] for i in order[:judged]]


def windows_of(argument: str, photographs: Photographs, side: int) -> WindowSource:
    """What gives windows (count, C, side, side) from a count and a seed.

    Args:
        argument: its name in messages.
        photographs: a callable that already does this (its windows are checked), or tensors
            (C, H, W), from which windows at random places are cut.
        side: side of the windows in pixels.

    Raises:
        ValueError: no photographs, tensors of another form, or photographs smaller than a window.
    """
    if callable(photographs):
        source = photographs

        def checked(count: int, seed: int) -> Tensor:
            windows = source(count, seed)
            check_image(windows, argument)
            if len(windows) != count or min(windows.shape[-2:]) < side:
                expected = f"{count} windows of at least {side} x {side} pixels"
                fail(argument, expected, f"shape {tuple(windows.shape)}")
            return middle(windows, side)

        return checked
    if isinstance(photographs, str | bytes) or not isinstance(photographs, Sequence):
        expected = "tensors (C, H, W) or a callable from (count, seed) to windows"
        hint = " (wavevit.data.find_pictures and read_picture read a folder)"
        fail(argument, expected + hint, f"{type(photographs).__name__} {photographs!r}")
    pictures = _checked_pictures(argument, photographs, side)

    def draw(count: int, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randint(len(pictures), (count,), generator=generator).tolist()
        places = torch.rand(count, 2, generator=generator).tolist()
        found = []
        for index, (row, column) in zip(chosen, places, strict=True):
            height, width = pictures[index].shape[-2:]
            top, left = int(row * (height - side + 1)), int(column * (width - side + 1))
            found.append(pictures[index][:, top : top + side, left : left + side])
        return torch.stack(found)

    return draw


def _checked_pictures(
    argument: str, photographs: Sequence[Tensor], side: int
) -> tuple[Tensor, ...]:
    if not photographs:
        fail(argument, "at least one photograph", "none")
    for index, picture in enumerate(photographs):
        name = f"{argument}[{index}]"
        if not isinstance(picture, Tensor) or picture.ndim != 3:
            got = tuple(picture.shape) if isinstance(picture, Tensor) else type(picture).__name__
            fail(name, "a tensor (C, H, W)", got)
        check_image(picture[None], name, channels=photographs[0].shape[0])
        if min(picture.shape[-2:]) < side:
            expected = f"sides of at least {side} pixels (the crop and its shifts)"
            fail(name, expected, f"shape {tuple(picture.shape)}")
    return tuple(photographs)


def middle(windows: Tensor, side: int) -> Tensor:
    """The middle (…, side, side) of windows."""
    top, left = ((length - side) // 2 for length in windows.shape[-2:])
    return windows[..., top : top + side, left : left + side]


def crop_at(windows: Tensor, offset: tuple[int, int], size: int) -> Tensor:
    """Crops (…, size, size) that begin `offset` pixels from the middle of windows.

    Args:
        windows: (…, W, W).
        offset: pixels down and to the right.
        size: side of the crops.
    """
    top = (windows.shape[-2] - size) // 2 + offset[0]
    left = (windows.shape[-1] - size) // 2 + offset[1]
    return windows[..., top : top + size, left : left + size]


def crops_at(windows: Tensor, offsets: Sequence[tuple[int, int]], size: int) -> Tensor:
    """Crops (B, C, size, size), each at an offset of its own from the middle of its window.

    Args:
        windows: (B, C, W, W).
        offsets: pixels down and to the right, one pair for each window.
        size: side of the crops.
    """
    pairs = zip(windows, offsets, strict=True)
    return torch.stack([crop_at(window, offset, size) for window, offset in pairs])


def shift_offsets(count: int, span: int, generator: torch.Generator) -> list[tuple[int, int]]:
    """Offsets (rows, columns) spread evenly over ``span x span`` pixels, at a random place.

    Each of them is uniform over the square, so a mean over them is right in the mean; together they
    cover it more evenly than independent offsets do.

    Args:
        count: number of offsets.
        span: number of values on each axis: from ``-(span // 2)`` to ``span - 1 - span // 2``.
        generator: decides the place.
    """
    start: list[float] = torch.rand(2, generator=generator, dtype=torch.float64).tolist()

    def place(axis: int, index: int) -> int:
        share = math.fmod(start[axis] + index * _STEPS[axis], 1.0)
        return min(int(share * span), span - 1) - span // 2

    return [(place(0, index), place(1, index)) for index in range(count)]
