"""Haar on CUDA: up to three levels in one read and one write of every element.

A program owns a tile of pixels, ``2**level`` rows or a multiple, and takes it apart (or puts it
together) in registers, so that no level but the last touches memory. All planes are one long list
of rows: where ``2**level`` divides the height no block crosses from one image into the next, and
a packet of one level repeats the last row and column of odd sides by clamping its loads.
Arithmetic is in float32, or float64 for float64 images; bfloat16 and float16 are what is stored.

Every kernel runs without a GPU under ``TRITON_INTERPRET=1``, which is how
tests/properties/test_haar_triton.py holds them to the plain operations. This module imports
triton, so it is imported at the first transform of a CUDA tensor and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

if TYPE_CHECKING:
    from wavevit.wavelets.haar_maps import HaarMap

__all__ = ["run"]

_TILE = 4096  # pixels of a program: 16 KiB of float32, in the registers of four warps
_COLUMNS = 256  # of a tile at most: a warp's loads are then whole cache lines


@triton.jit
def _butterfly(a, b, c, d):
    top, bottom, left, right = 0.5 * (a + b), 0.5 * (c + d), 0.5 * (a - b), 0.5 * (c - d)
    return top + bottom, top - bottom, left + right, left - right


@triton.jit
def _corners(x, BANDS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """(BANDS, 2 ROWS, 2 COLUMNS) to the four corners of its blocks."""
    blocks = tl.permute(tl.reshape(x, (BANDS, ROWS, 2, COLUMNS, 2)), (0, 1, 3, 2, 4))
    left, right = tl.split(blocks)
    a, c = tl.split(left)
    b, d = tl.split(right)
    return a, b, c, d


@triton.jit
def _pixels(a, b, c, d, BANDS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """`_corners` backwards."""
    blocks = tl.join(tl.join(a, c), tl.join(b, d))
    return tl.reshape(tl.permute(blocks, (0, 1, 3, 2, 4)), (BANDS, 2 * ROWS, 2 * COLUMNS))


@triton.jit
def _image_offsets(
    H, W, h, w, planes, LEVEL: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """Offsets (1, ROWS, COLUMNS) of this program's pixels, and which of them are distinct."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[None, :, None]
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, None, :]
    plane, y = row // (h << LEVEL), row % (h << LEVEL)
    inside = (plane < planes) & (column < (w << LEVEL))
    offsets = (plane * H + tl.minimum(y, H - 1)) * W + tl.minimum(column, W - 1)
    return offsets, inside, inside & (y < H) & (column < W)


@triton.jit
def _band_offsets(h, w, planes, BANDS, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Offsets (1, ROWS, COLUMNS) of band 0 of BANDS in the tile of one level."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[None, :, None]
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, None, :]
    plane = row // h
    return (plane * BANDS * h + row % h) * w + column, (plane < planes) & (column < w)


@triton.jit
def _packet(
    image,
    packets,
    H,
    W,
    h,
    w,
    planes,
    LEVEL: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    WORK: tl.constexpr,
):
    pixels, inside, _ = _image_offsets(H, W, h, w, planes, LEVEL, ROWS, COLUMNS)
    x = tl.load(image + pixels, mask=inside, other=0.0).to(WORK)
    for step in tl.static_range(LEVEL):
        a, b, c, d = _corners(x, 4**step, ROWS >> (step + 1), COLUMNS >> (step + 1))
        a, b, c, d = _butterfly(a, b, c, d)
        children = tl.permute(tl.join(tl.join(a, c), tl.join(b, d)), (0, 3, 4, 1, 2))
        x = tl.reshape(children, (4 * 4**step, ROWS >> (step + 1), COLUMNS >> (step + 1)))
    offsets, inside = _band_offsets(h, w, planes, 4**LEVEL, ROWS >> LEVEL, COLUMNS >> LEVEL)
    band = tl.arange(0, 4**LEVEL)[:, None, None]
    tl.store(packets + offsets + band * (h * w), x.to(packets.dtype.element_ty), mask=inside)


@triton.jit
def _packet_transposed(
    image,
    packets,
    H,
    W,
    h,
    w,
    planes,
    LEVEL: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    WORK: tl.constexpr,
):
    offsets, inside = _band_offsets(h, w, planes, 4**LEVEL, ROWS >> LEVEL, COLUMNS >> LEVEL)
    band = tl.arange(0, 4**LEVEL)[:, None, None]
    x = tl.load(packets + offsets + band * (h * w), mask=inside, other=0.0).to(WORK)
    for step in tl.static_range(LEVEL - 1, -1, -1):
        children = tl.reshape(x, (4**step, 2, 2, ROWS >> (step + 1), COLUMNS >> (step + 1)))
        even, odd = tl.split(tl.permute(children, (0, 3, 4, 1, 2)))
        a, c = tl.split(even)
        b, d = tl.split(odd)
        a, b, c, d = _butterfly(a, b, c, d)
        if LEVEL == 1:
            # What a repeated row or column received goes to the last one.
            row = tl.program_id(0).to(tl.int64) * (ROWS // 2) + tl.arange(0, ROWS // 2)
            column = tl.program_id(1) * (COLUMNS // 2) + tl.arange(0, COLUMNS // 2)
            bottom = (2 * (row % h) + 1 == H)[None, :, None]
            right = (2 * column + 1 == W)[None, None, :]
            a, b = tl.where(bottom, a + c, a), tl.where(bottom, b + d, b)
            a, c = tl.where(right, a + b, a), tl.where(right, c + d, c)
        x = _pixels(a, b, c, d, 4**step, ROWS >> (step + 1), COLUMNS >> (step + 1))
    pixels, _, distinct = _image_offsets(H, W, h, w, planes, LEVEL, ROWS, COLUMNS)
    tl.store(image + pixels, x.to(image.dtype.element_ty), mask=distinct)


@triton.jit
def _pyramid(
    image,
    approx,
    fine,
    middle,
    coarse,
    H,
    W,
    h,
    w,
    planes,
    LEVEL: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    WORK: tl.constexpr,
):
    pixels, inside, _ = _image_offsets(H, W, h, w, planes, LEVEL, ROWS, COLUMNS)
    x = tl.load(image + pixels, mask=inside, other=0.0).to(WORK)
    for step in tl.static_range(LEVEL):
        a, b, c, d = _corners(x, 1, ROWS >> (step + 1), COLUMNS >> (step + 1))
        x, b, c, d = _butterfly(a, b, c, d)
        details = fine if step == 0 else (middle if step == 1 else coarse)
        sub_h, sub_w = H >> (step + 1), W >> (step + 1)
        offsets, inside = _band_offsets(
            sub_h, sub_w, planes, 3, ROWS >> (step + 1), COLUMNS >> (step + 1)
        )
        band = sub_h * sub_w
        tl.store(details + offsets, b.to(image.dtype.element_ty), mask=inside)
        tl.store(details + offsets + band, c.to(image.dtype.element_ty), mask=inside)
        tl.store(details + offsets + 2 * band, d.to(image.dtype.element_ty), mask=inside)
    offsets, inside = _band_offsets(h, w, planes, 1, ROWS >> LEVEL, COLUMNS >> LEVEL)
    tl.store(approx + offsets, x.to(image.dtype.element_ty), mask=inside)


@triton.jit
def _pyramid_transposed(
    image,
    approx,
    fine,
    middle,
    coarse,
    H,
    W,
    h,
    w,
    planes,
    LEVEL: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    WORK: tl.constexpr,
):
    offsets, inside = _band_offsets(h, w, planes, 1, ROWS >> LEVEL, COLUMNS >> LEVEL)
    x = tl.load(approx + offsets, mask=inside, other=0.0).to(WORK)
    for step in tl.static_range(LEVEL - 1, -1, -1):
        details = fine if step == 0 else (middle if step == 1 else coarse)
        sub_h, sub_w = H >> (step + 1), W >> (step + 1)
        offsets, inside = _band_offsets(
            sub_h, sub_w, planes, 3, ROWS >> (step + 1), COLUMNS >> (step + 1)
        )
        band = sub_h * sub_w
        b = tl.load(details + offsets, mask=inside, other=0.0).to(WORK)
        c = tl.load(details + offsets + band, mask=inside, other=0.0).to(WORK)
        d = tl.load(details + offsets + 2 * band, mask=inside, other=0.0).to(WORK)
        a, b, c, d = _butterfly(x, b, c, d)
        x = _pixels(a, b, c, d, 1, ROWS >> (step + 1), COLUMNS >> (step + 1))
    pixels, _, distinct = _image_offsets(H, W, h, w, planes, LEVEL, ROWS, COLUMNS)
    tl.store(image + pixels, x.to(image.dtype.element_ty), mask=distinct)


def run(haar_map: HaarMap, image: Tensor, bands: list[Tensor]) -> None:
    """Fills `bands` from `image`, or `image` from `bands`; all contiguous, on one device.

    Args:
        haar_map: which map.
        image: (B, C, H, W).
        bands: the coefficients that the map has, in `HaarMap`'s order.
    """
    level = haar_map.level
    planes, (h, w) = image.shape[0] * image.shape[1], bands[0].shape[-2:]
    columns = min(triton.next_power_of_2(w << level), _COLUMNS)
    rows = min(max(_TILE // columns, 1 << level), triton.next_power_of_2(planes * h << level))
    grid = (triton.cdiv(planes * h << level, rows), triton.cdiv(w << level, columns))
    work = tl.float64 if image.dtype == torch.float64 else tl.float32
    if haar_map.pyramid:
        kernel = _pyramid_transposed if haar_map.transposed else _pyramid
        bands = [*bands, *[bands[0]] * (4 - len(bands))]  # levels that are not there: unused
    else:
        kernel = _packet_transposed if haar_map.transposed else _packet
    with torch.cuda.device_of(image):
        kernel[grid](
            image,
            *bands,
            *haar_map.size,
            h,
            w,
            planes,
            LEVEL=level,
            ROWS=rows,
            COLUMNS=columns,
            WORK=work,
        )
