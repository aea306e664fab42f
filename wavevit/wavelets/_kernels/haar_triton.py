"""Haar on CUDA: up to three levels in one read and one write of every element.

The images are one long list of tiles: ``2**level`` rows, as many columns as one thread loads at
once. A program takes some hundred neighbouring tiles apart (or puts them together), each in the
registers of one thread, or of two where three levels are wider than a load, so that no level but
the last touches memory. Neighbouring threads have neighbouring tiles: what a warp loads or stores
fills whole sectors. Two divisions a tile find its place.
A packet of one level takes odd sides, whose last row and column it repeats.
Arithmetic is in float32, or float64 for float64 images; bfloat16 and float16 are what is stored.

Every kernel runs without a GPU under ``TRITON_INTERPRET=1``, which is how
tests/properties/test_haar_triton.py holds them to the plain operations. This module imports
triton, so it is imported at the first transform of a CUDA tensor and not before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import gcd
from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

if TYPE_CHECKING:
    from wavevit.wavelets._engine.haar_maps import HaarMap

__all__ = ["computes"]

_PROGRAM = {1: (128, 4), 2: (64, 2), 3: (256, 8)}  # tiles and warps, by level
_LOAD = 16  # bytes that a thread loads at once
# Offsets are 64 bits wide from so many elements on. Sizes of one plane, and the number of rows of
# all planes, are arguments of the kernels, which triton multiplies in 32 bits.
_LARGEST = 2**31


@triton.jit
def _butterfly(a, b, c, d):
    top, bottom, left, right = 0.5 * (a + b), 0.5 * (c + d), 0.5 * (a - b), 0.5 * (c - d)
    return top + bottom, top - bottom, left + right, left - right


@triton.jit
def _corners(x, N: tl.constexpr, ROWS: tl.constexpr, TILES: tl.constexpr, COLUMNS: tl.constexpr):
    """(TILES, N, 2 ROWS, 2 COLUMNS) to the four corners of its blocks."""
    blocks = tl.reshape(x, (TILES, N, ROWS, 2, COLUMNS, 2))
    left, right = tl.split(tl.permute(blocks, (0, 1, 2, 4, 3, 5)))
    a, c = tl.split(left)
    b, d = tl.split(right)
    return a, b, c, d


@triton.jit
def _pixels(
    a, b, c, d, N: tl.constexpr, ROWS: tl.constexpr, TILES: tl.constexpr, COLUMNS: tl.constexpr
):
    """`_corners` backwards."""
    blocks = tl.join(tl.join(a, c), tl.join(b, d))  # (TILES, N, ROWS, COLUMNS, 2, 2)
    blocks = tl.permute(blocks, (0, 1, 2, 4, 3, 5))
    return tl.reshape(blocks, (TILES, N, 2 * ROWS, 2 * COLUMNS))


@triton.jit
def _tiles(h, across, TILES: tl.constexpr, INDEX: tl.constexpr):
    """The strip, plane and place in the strip of this program's tiles, each (TILES, 1, 1, 1)."""
    tile = tl.program_id(0).to(INDEX) * TILES + tl.arange(0, TILES)[:, None, None, None]
    strip = tile // across
    return strip, strip // h, tile - strip * across


@triton.jit
def _image_offsets(
    strip,
    plane,
    place,
    h,
    across,
    planes,
    LEVEL: tl.constexpr,
    COLUMNS: tl.constexpr,
    ODD_ROWS: tl.constexpr,
    ODD_COLUMNS: tl.constexpr,
):
    """Offsets (TILES, 1, rows, COLUMNS) of the tiles' pixels, and which of them are distinct.

    Sizes are products of COLUMNS, so that the compiler sees how wide it may load.
    """
    r = tl.arange(0, 1 << LEVEL)[None, None, :, None]
    row = strip * (1 << LEVEL) + r
    column = place * COLUMNS + tl.arange(0, COLUMNS)[None, None, None, :]
    distinct = strip < planes * h
    if ODD_ROWS:
        repeated = ((strip + 1) % h == 0) & (r == 1)
        row = row - plane - repeated.to(row.dtype)
        distinct = distinct & (repeated == 0)
    if ODD_COLUMNS:
        last = across * COLUMNS - 2
        distinct = distinct & (column <= last)
        return row * (last + 1) + tl.minimum(column, last), distinct
    return row * across * COLUMNS + column, distinct


@triton.jit
def _band_offsets(strip, plane, place, h, across, BANDS, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Offsets (TILES, 1, ROWS, COLUMNS) in the first of BANDS bands, and from band to band."""
    row = strip * ROWS + tl.arange(0, ROWS)[None, None, :, None] + plane * ((BANDS - 1) * ROWS) * h
    column = place * COLUMNS + tl.arange(0, COLUMNS)[None, None, None, :]
    return row * across * COLUMNS + column, h * ROWS * across * COLUMNS


@triton.jit
def _packet(
    image,
    packets,
    h,
    across,
    planes,
    LEVEL: tl.constexpr,
    COLUMNS: tl.constexpr,
    ODD_ROWS: tl.constexpr,
    ODD_COLUMNS: tl.constexpr,
    TILES: tl.constexpr,
    INDEX: tl.constexpr,
    WORK: tl.constexpr,
):
    strip, plane, place = _tiles(h, across, TILES, INDEX)
    inside = strip < planes * h
    pixels, _ = _image_offsets(
        strip, plane, place, h, across, planes, LEVEL, COLUMNS, ODD_ROWS, ODD_COLUMNS
    )
    x = tl.load(image + pixels, mask=inside, other=0.0).to(WORK)
    for step in tl.static_range(LEVEL):
        a, b, c, d = _corners(x, 4**step, 1 << (LEVEL - step - 1), TILES, COLUMNS >> (step + 1))
        a, b, c, d = _butterfly(a, b, c, d)
        children = tl.permute(tl.join(tl.join(a, c), tl.join(b, d)), (0, 1, 4, 5, 2, 3))
        x = tl.reshape(
            children, (TILES, 4 * 4**step, 1 << (LEVEL - step - 1), COLUMNS >> (step + 1))
        )
    offsets, step = _band_offsets(strip, plane, place, h, across, 4**LEVEL, 1, COLUMNS >> LEVEL)
    band = tl.arange(0, 4**LEVEL)[None, :, None, None]
    tl.store(packets + offsets + band * step, x.to(packets.dtype.element_ty), mask=inside)


@triton.jit
def _packet_transposed(
    image,
    packets,
    h,
    across,
    planes,
    LEVEL: tl.constexpr,
    COLUMNS: tl.constexpr,
    ODD_ROWS: tl.constexpr,
    ODD_COLUMNS: tl.constexpr,
    TILES: tl.constexpr,
    INDEX: tl.constexpr,
    WORK: tl.constexpr,
):
    strip, plane, place = _tiles(h, across, TILES, INDEX)
    inside = strip < planes * h
    offsets, step = _band_offsets(strip, plane, place, h, across, 4**LEVEL, 1, COLUMNS >> LEVEL)
    band = tl.arange(0, 4**LEVEL)[None, :, None, None]
    x = tl.load(packets + offsets + band * step, mask=inside, other=0.0).to(WORK)
    for step in tl.static_range(LEVEL - 1, -1, -1):
        children = tl.reshape(
            x, (TILES, 4**step, 2, 2, 1 << (LEVEL - step - 1), COLUMNS >> (step + 1))
        )
        even, odd = tl.split(tl.permute(children, (0, 1, 4, 5, 2, 3)))
        a, c = tl.split(even)
        b, d = tl.split(odd)
        a, b, c, d = _butterfly(a, b, c, d)
        # What a repeated row or column received goes to the last one.
        if ODD_ROWS:
            last = (strip + 1) % h == 0
            a, b = tl.where(last, a + c, a), tl.where(last, b + d, b)
        if ODD_COLUMNS:
            last = place == across - 1
            a, c = tl.where(last, a + b, a), tl.where(last, c + d, c)
        x = _pixels(a, b, c, d, 4**step, 1 << (LEVEL - step - 1), TILES, COLUMNS >> (step + 1))
    pixels, distinct = _image_offsets(
        strip, plane, place, h, across, planes, LEVEL, COLUMNS, ODD_ROWS, ODD_COLUMNS
    )
    tl.store(image + pixels, x.to(image.dtype.element_ty), mask=distinct)


@triton.jit
def _pyramid(
    image,
    approx,
    fine,
    middle,
    coarse,
    h,
    across,
    planes,
    LEVEL: tl.constexpr,
    COLUMNS: tl.constexpr,
    ODD_ROWS: tl.constexpr,
    ODD_COLUMNS: tl.constexpr,
    TILES: tl.constexpr,
    INDEX: tl.constexpr,
    WORK: tl.constexpr,
):
    strip, plane, place = _tiles(h, across, TILES, INDEX)
    inside = strip < planes * h
    pixels, _ = _image_offsets(
        strip, plane, place, h, across, planes, LEVEL, COLUMNS, ODD_ROWS, ODD_COLUMNS
    )
    x = tl.load(image + pixels, mask=inside, other=0.0).to(WORK)
    for step in tl.static_range(LEVEL):
        a, b, c, d = _corners(x, 1, 1 << (LEVEL - step - 1), TILES, COLUMNS >> (step + 1))
        x, b, c, d = _butterfly(a, b, c, d)
        details = fine if step == 0 else (middle if step == 1 else coarse)
        offsets, band = _band_offsets(
            strip, plane, place, h, across, 3, 1 << (LEVEL - step - 1), COLUMNS >> (step + 1)
        )
        tl.store(details + offsets, b.to(image.dtype.element_ty), mask=inside)
        tl.store(details + offsets + band, c.to(image.dtype.element_ty), mask=inside)
        tl.store(details + offsets + 2 * band, d.to(image.dtype.element_ty), mask=inside)
    offsets, _ = _band_offsets(strip, plane, place, h, across, 1, 1, COLUMNS >> LEVEL)
    tl.store(approx + offsets, x.to(image.dtype.element_ty), mask=inside)


@triton.jit
def _pyramid_transposed(
    image,
    approx,
    fine,
    middle,
    coarse,
    h,
    across,
    planes,
    LEVEL: tl.constexpr,
    COLUMNS: tl.constexpr,
    ODD_ROWS: tl.constexpr,
    ODD_COLUMNS: tl.constexpr,
    TILES: tl.constexpr,
    INDEX: tl.constexpr,
    WORK: tl.constexpr,
):
    strip, plane, place = _tiles(h, across, TILES, INDEX)
    inside = strip < planes * h
    offsets, _ = _band_offsets(strip, plane, place, h, across, 1, 1, COLUMNS >> LEVEL)
    x = tl.load(approx + offsets, mask=inside, other=0.0).to(WORK)
    for step in tl.static_range(LEVEL - 1, -1, -1):
        details = fine if step == 0 else (middle if step == 1 else coarse)
        offsets, band = _band_offsets(
            strip, plane, place, h, across, 3, 1 << (LEVEL - step - 1), COLUMNS >> (step + 1)
        )
        b = tl.load(details + offsets, mask=inside, other=0.0).to(WORK)
        c = tl.load(details + offsets + band, mask=inside, other=0.0).to(WORK)
        d = tl.load(details + offsets + 2 * band, mask=inside, other=0.0).to(WORK)
        a, b, c, d = _butterfly(x, b, c, d)
        x = _pixels(a, b, c, d, 1, 1 << (LEVEL - step - 1), TILES, COLUMNS >> (step + 1))
    pixels, distinct = _image_offsets(
        strip, plane, place, h, across, planes, LEVEL, COLUMNS, ODD_ROWS, ODD_COLUMNS
    )
    tl.store(image + pixels, x.to(image.dtype.element_ty), mask=distinct)


def computes(
    haar_map: HaarMap, shape: tuple[int, ...], dtype: torch.dtype
) -> Callable[[Tensor, list[Tensor]], None] | None:
    """What fills coefficients from images, or images from coefficients; all on one device.

    As `_kernels.haar_cpu.computes`, but there is no kernel that does not decimate, and none for
    planes, or numbers of rows of all planes together, that 32 bits cannot count.
    """
    planes, (height, width) = shape[0] * shape[1], haar_map.size
    rows = height + height % 2
    wide = max(rows * (width + width % 2), planes * rows) >= _LARGEST
    return None if haar_map.spacing or wide else partial(_compute, haar_map)


def _compute(haar_map: HaarMap, image: Tensor, bands: list[Tensor]) -> None:
    level, (height, width) = haar_map.level, haar_map.size
    planes, (h, w) = image.shape[0] * image.shape[1], bands[0].shape[-2:]
    columns = gcd(w << level, max(_LOAD // image.element_size(), 1 << level))
    if width % 2:
        columns = 2
    across, (tiles, warps) = (w << level) // columns, _PROGRAM[level]
    wide = max(image.numel(), bands[0].numel()) >= _LARGEST
    if haar_map.pyramid:
        kernel = _pyramid_transposed if haar_map.transposed else _pyramid
        bands = [*bands, *[bands[0]] * (4 - len(bands))]  # levels that are not there: unused
    else:
        kernel = _packet_transposed if haar_map.transposed else _packet
    with torch.cuda.device_of(image):
        kernel[(triton.cdiv(planes * h * across, tiles),)](
            image,
            *bands,
            h,
            across,
            planes,
            LEVEL=level,
            COLUMNS=columns,
            ODD_ROWS=height % 2,
            ODD_COLUMNS=width % 2,
            TILES=tiles,
            INDEX=tl.int64 if wide else tl.int32,
            WORK=tl.float64 if image.dtype == torch.float64 else tl.float32,
            num_warps=warps,
        )
