"""Shift each image of a batch by its own offset, and move maps back.

Shifts are circular unless stated otherwise. They are in pixels, (B, 2) of rows and columns,
positive downwards and to the right: `T_s x [n] = x[n - s]`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.alignment.statistics import loops_for
from wavevit.checks import check_at_least, check_grid, check_numbers, check_tensor, fail
from wavevit.wavelets._engine.symbolic_shapes import certainly

__all__ = ["cell_centres", "fourier_shift", "place_map", "roll_images"]


def _check_shifts(shift: Tensor, x: Tensor) -> None:
    """Refuses other numbers of shifts than one for each image, or one for all."""
    if certainly(shift.shape[0] != x.shape[0]) and certainly(shift.shape[0] != 1):
        fail("shift", f"one pair for each of {len(x)} images", f"shape {tuple(shift.shape)}")


def roll_images(x: Tensor, shift: Tensor, mirror: bool = False) -> Tensor:
    """`torch.roll` with a shift of its own for each image.

    Args:
        x: images (B, C, H, W).
        shift: (B, 2) whole pixels, rows and columns; (1, 2) for all images.
        mirror: fill the gap with the mirrored border instead of the other side.

    Raises:
        ValueError: images of another rank, or shifts that are not whole numbers (B, 2), one pair
            for each image or one for all.
    """
    check_tensor("x", x, "(B, C, H, W)", 4)
    check_tensor("shift", shift, "(B, 2)", 2)
    if shift.is_floating_point():
        fail("shift", "whole pixels (an integer dtype; fourier_shift takes others)", shift.dtype)
    _check_shifts(shift, x)
    batch, channels, height, width = x.shape
    if not mirror and (loops := loops_for(x, shift)) is not None:
        return loops.rolled(x.contiguous(), shift)

    def source(side: int, amount: Tensor) -> Tensor:
        places = torch.arange(side, device=x.device) - amount
        if not mirror:
            return places % side
        places = places % (2 * side)
        return torch.minimum(places, 2 * side - 1 - places)

    rows, columns = source(height, shift[:, :1]), source(width, shift[:, 1:])
    index = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)
    rolled = x.flatten(2).gather(2, index[:, None].expand(batch, channels, -1))
    return rolled.unflatten(2, (height, width))


def fourier_shift(x: Tensor, shift: Tensor | tuple[float, float]) -> Tensor:
    """Circular shift of images (B, C, H, W) by real numbers of rows and columns.

    The Nyquist frequency of an even side has no phase of its own; it keeps the cosine of its
    ramp, so that the result is real and integer shifts equal `torch.roll`.

    Args:
        x: images.
        shift: (B, 2), or one pair for all images.

    Raises:
        ValueError: images of another rank or an integer dtype, or shifts of another shape.
    """
    check_grid(x)
    dtype = torch.promote_types(x.dtype, torch.float32)
    if not isinstance(shift, Tensor):
        check_numbers("shift", shift, "(rows, columns) in pixels", 2)
    elif shift.shape[-1:] != (2,):
        fail("shift", "shape (B, 2) or (2,)", tuple(shift.shape))
    amounts = torch.as_tensor(shift, dtype=torch.float64, device=x.device).reshape(-1, 2)
    _check_shifts(amounts, x)
    height, width = x.shape[-2:]
    spectrum = torch.fft.rfft2(x.to(dtype))
    # The angles in float64: a shift of 200 pixels is 100 turns at the highest frequency.
    row = torch.fft.fftfreq(height, device=x.device, dtype=torch.float64)
    column = torch.fft.rfftfreq(width, device=x.device, dtype=torch.float64)
    ramps = []
    for frequency, amount, side in ((row, amounts[:, 0], height), (column, amounts[:, 1], width)):
        angle = -2 * torch.pi * amount[:, None] * frequency
        has_phase = (frequency.abs() < 0.5) if side % 2 == 0 else torch.ones_like(frequency) > 0
        ramps.append(torch.complex(angle.cos(), angle.sin() * has_phase).to(spectrum.dtype))
    spectrum = spectrum * ramps[0][:, None, :, None] * ramps[1][:, None, None, :]
    return torch.fft.irfft2(spectrum, s=(height, width)).to(x.dtype)


def cell_centres(side: int, cells: int, stride: int | None = None) -> Tensor:
    """Where on a side of `side` pixels the cells of a map lie, float64 (cells,).

    With a stride, cell `i` covers the pixels from ``i * stride``, and those beyond the side repeat
    the last one (as `wavevit.layers.padding.pad_to_multiple` has it); its centre is their mean.
    Without, the cells share the side evenly.
    """
    if stride is None:
        return (torch.arange(cells, dtype=torch.float64) + 0.5) * (side / cells) - 0.5
    pixels = torch.arange(cells * stride, dtype=torch.float64).clamp_max(side - 1)
    return pixels.unflatten(0, (cells, stride)).mean(dim=1)


def _place_part(x: Tensor, offset: Tensor, size: tuple[int, int], seen: tuple[int, int]) -> Tensor:
    """A map of the pixels from `offset` on, read at the cells of the whole image."""
    for axis, side, part in ((-2, size[0], seen[0]), (-1, size[1], seen[1])):
        cells = x.shape[axis]
        wanted = cell_centres(side, round(cells * side / part)).to(x.device)
        first = offset[:, axis + 2, None].double() + 0.5 * (part / cells) - 0.5
        place = ((wanted - first) * (cells / part)).clamp(0, cells - 1)  # (B, cells of the image)
        low = place.long()
        high = (low + 1).clamp_max(cells - 1)
        shape, whole = [x.shape[0], 1, 1, 1], list(x.shape)
        shape[axis] = whole[axis] = len(wanted)
        index = [i.reshape(shape).expand(whole) for i in (low, high)]
        share = (place - low).to(x.dtype).reshape(shape)
        x = torch.lerp(x.gather(axis, index[0]), x.gather(axis, index[1]), share)
    return x


def place_map(
    x: Tensor,
    offset: Tensor,
    size: tuple[int, int],
    stride: int | None = None,
    seen: tuple[int, int] | None = None,
) -> Tensor:
    """Moves the map of an aligned image back to the coordinates of the image.

    The map of the image moved by ``-offset`` is moved back by `offset`, with linear interpolation
    on a circle between the centres of its positions. If the offset is a whole number of positions
    this is a circular shift, and nothing is lost.

    Args:
        x: map (B, D, h, w); integer dtypes are allowed if it has a value for each pixel.
        offset: (B, 2) pixels.
        size: (H, W) of the image in pixels.
        stride: stride of the map in pixels, see `cell_centres`.
        seen: (H, W) of the area, starting at `offset`, that the map is of, if it is not the whole
            image. Positions outside repeat the nearest value, and nothing wraps around.

    Returns:
        (B, D, h, w), a map of the whole image with the same stride.

    Raises:
        ValueError: a map or offsets of another rank, or a stride below 1.
    """
    check_tensor("x", x, "(B, D, h, w)", 4)
    check_tensor("offset", offset, "(B, 2)", 2)
    if stride is not None:
        check_at_least("stride", stride, 1)
    if seen is not None and seen != size:
        return _place_part(x, offset, size, seen)
    if x.shape[-2:] == size and not offset.is_floating_point():
        return roll_images(x, offset)
    for axis, side in ((-2, size[0]), (-1, size[1])):
        cells = x.shape[axis]
        centres = cell_centres(side, cells, stride).to(x.device)
        wanted = (centres - offset[:, axis + 2, None].double()) % side  # (B, cells)
        after = torch.searchsorted(centres, wanted.contiguous(), right=True)
        low, high = (after - 1) % cells, after % cells
        gap = (centres[high] - centres[low]) % side
        gap = torch.where(gap > 0, gap, float(side))  # a single cell goes round the circle
        share = ((wanted - centres[low]) % side / gap).to(x.dtype)
        shape = [x.shape[0], 1, 1, 1]
        shape[axis] = cells
        index = [i.reshape(shape).expand(x.shape) for i in (low, high)]
        x = torch.lerp(x.gather(axis, index[0]), x.gather(axis, index[1]), share.reshape(shape))
    return x
