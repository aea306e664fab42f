"""Equivariance error of maps, and accuracy under the worst shift."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wavevit.checks import (
    check_at_least,
    check_callable,
    check_choice,
    check_number,
    check_numbers,
    fail,
)
from wavevit.measure.evaluation import Model, in_batches
from wavevit.measure.intervals import Interval, mean_interval, standard_error, wilson
from wavevit.measure.shifting import SHIFT_MODELS, center_crop, fourier_shift, input_sides, shifted

__all__ = [
    "AdversarialShiftAccuracy",
    "EquivarianceError",
    "adversarial_shift_accuracy",
    "equivariance_error",
]


@dataclass(frozen=True)
class EquivarianceError:
    """Distance between the map of a shifted image and the shifted map of the image.

    Attributes:
        relative: ``‖f(T x) − T f(x)‖ / ‖f(x)‖``, mean over images.
        decibel: ``−20 log10`` of `relative`: 0 where nothing agrees, larger is better, infinite
            for an exact map.
        stderr: standard error of `relative` over images.
        shift: in pixels, rows and columns.
        kind: kind of shift.
        images: number of images.
    """

    relative: float
    decibel: float
    stderr: float
    shift: tuple[float, float]
    kind: str
    images: int

    @property
    def interval(self) -> Interval:
        """95 % interval of `relative` (Student)."""
        return mean_interval(self.relative, self.stderr, self.images)


def equivariance_error(
    features: Model,
    images: Tensor,
    shift: tuple[float, float],
    *,
    kind: str = "circular",
    crop_size: int | None = None,
    batch_size: int = 64,
) -> EquivarianceError:
    """Equivariance error: distance between the map of a shifted image and the shifted map.

    The map is moved by `shift` divided by its stride. For circular shifts a fraction of a position
    uses the Fourier shift, which is exact for a band-limited map. Two crops of one window differ
    at their borders: for them a fraction uses linear interpolation between neighbours, without
    wrapping, and only positions that both crops see are compared.

    Args:
        features: images to maps (B, D, h, w) whose sides divide the image's.
        images: (N, C, H, W); for ``"crop"`` windows that hold the crop moved by `shift`.
        shift: rows and columns in pixels.
        kind: shift model.
        crop_size: side of the crop in pixels, for ``"crop"``.
        batch_size: images at a time.

    Returns:
        An `EquivarianceError`.

    Raises:
        ValueError: another kind, a shift that is no pair of numbers, an output that is no map, a
            map of zeros, sides that it does not divide, or two crops that have no position in
            common.

    Guarantees:
        0 for a circular convolution; positive for one whose stride the shift does not keep
        (tests/unit/test_measure_equivariance.py).

    Source:
        Karras et al. 2021 (equivariance as a signal-to-noise ratio in dB).
    """
    check_choice("kind", kind, SHIFT_MODELS)
    check_callable("features", features)
    check_numbers("shift", shift, "(rows, columns) in pixels", 2)
    size = input_sides(images, crop_size, kind)
    before = in_batches(features, center_crop(images, size), batch_size)
    if before.ndim != 4:
        fail("features", "maps of shape (B, D, h, w)", f"shape {tuple(before.shape)}")
    cells = []
    for side, count, amount in zip(size, before.shape[-2:], shift, strict=True):
        if side % count:
            fail("features", f"maps whose sides divide {side} pixels", f"{count} cells")
        cells.append(amount * count / side)
    after = in_batches(features, shifted(images, shift, kind, size), batch_size)
    rows, columns = cells
    if kind == "crop":
        expected = _interpolated(_interpolated(before, rows, -2), columns, -1)
        inner = [_shared(cell, side) for cell, side in zip(cells, after.shape[-2:], strict=True)]
        whole = tuple(after.shape[-2:])
        before, after, expected = (m[..., inner[0], inner[1]] for m in (before, after, expected))
        if not after.numel():
            got = f"{shift} pixels for maps of {whole} cells"
            fail("shift", "crops that have cells in common", got)
    elif all(cell == int(cell) for cell in cells):
        expected = torch.roll(before, (int(rows), int(columns)), (-2, -1))
    else:
        expected = fourier_shift(before, (rows, columns))
    errors = (after - expected).flatten(1).double().norm(dim=1)
    norms = before.flatten(1).double().norm(dim=1)
    if not bool((norms > 0).all()):  # a model that answers nothing would be exact
        wrong = int((norms == 0).sum())
        fail("features", "maps that are not all zero", f"zeros for {wrong} of {len(images)} images")
    errors = errors / norms
    relative = float(errors.mean())
    decibel = -20 * math.log10(relative) if relative > 0 else math.inf
    stderr = standard_error(errors)
    return EquivarianceError(relative, decibel, stderr, shift, kind, len(images))


def _shared(cells: float, side: int) -> slice:
    """The cells of a side that are in both crops, after the content moved by `cells`."""
    lost = min(math.ceil(abs(cells)), side)
    return slice(lost, side) if cells > 0 else slice(0, side - lost)


def _interpolated(maps: Tensor, cells: float, axis: int) -> Tensor:
    """Maps moved along an axis, a fraction by linear interpolation; right away from the border."""
    whole = math.floor(cells)
    share = cells - whole
    near, far = (torch.roll(maps, whole + step, axis) for step in (0, 1))
    return near if share == 0 else (1 - share) * near + share * far


@dataclass(frozen=True)
class AdversarialShiftAccuracy:
    """Share of images that are classified correctly under every shift in a square.

    Attributes:
        percent: correct for all shifts, in [0, 100].
        plain_percent: correct without a shift.
        low: lower end of a 95 % interval of `percent` (Wilson).
        high: its upper end.
        radius: half the side of the square in pixels.
        step: between the shifts in pixels.
        kind: shift model.
        images: number of images.
    """

    percent: float
    plain_percent: float
    low: float
    high: float
    radius: int
    step: float
    kind: str
    images: int

    @property
    def interval(self) -> Interval:
        """`low` and `high`."""
        return self.low, self.high


def adversarial_shift_accuracy(
    model: Model,
    images: Tensor,
    labels: Tensor,
    radius: int,
    *,
    kind: str,
    step: float = 1.0,
    crop_size: int | None = None,
    batch_size: int = 128,
) -> AdversarialShiftAccuracy:
    """Accuracy under the worst shift of a grid of shifts.

    Args:
        model: images to logits (B, classes).
        images: (N, C, H, W); for ``"crop"`` windows that hold the crop moved by `radius`.
        labels: (N,) classes.
        radius: largest shift on each axis in pixels.
        kind: shift model.
        step: between shifts: 1, or 0.5 for the half-pixel grid (``"subpixel"`` or ``"crop"``).
        crop_size: side of the crop in pixels, for ``"crop"``.
        batch_size: images at a time.

    Returns:
        An `AdversarialShiftAccuracy`, in percent.

    Raises:
        ValueError: labels of another number than images, a step that is not positive or that does
            not divide the radius, or half-pixel steps of ``"circular"`` shifts.

    Guarantees:
        Equal to the plain accuracy for a model that ignores position, 0 for one that reads a single
        pixel (tests/unit/test_measure_equivariance.py).

    Source:
        Engstrom et al. 2019 (worst of a grid of translations).
    """
    check_choice("kind", kind, SHIFT_MODELS)
    check_callable("model", model)
    size = input_sides(images, crop_size, kind)
    if not isinstance(labels, Tensor) or labels.shape != images.shape[:1]:
        got = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        fail("labels", f"shape {tuple(images.shape[:1])}", got)
    check_at_least("radius", radius, 0)
    if radius % check_number("step", step, above=0):
        fail("step", f"a positive divisor of the radius {radius}", step)
    if kind == "circular" and step != int(step):
        fail("step", "whole pixels for kind='circular' (or kind='subpixel')", step)

    def right(shift: tuple[float, float], among: Tensor) -> Tensor:
        logits = in_batches(model, shifted(images[among], shift, kind, size), batch_size)
        return logits.argmax(dim=1) == labels[among].to(logits.device)

    everyone = torch.arange(len(images), device=images.device)
    crops = center_crop(images, size)
    standing = everyone[
        in_batches(model, crops, batch_size).argmax(dim=1) == labels.to(images.device)
    ]
    plain = len(standing)
    offsets = [i * step for i in range(-round(radius / step), round(radius / step) + 1)]
    # Far shifts first: they fell the most images, and a fallen image is not looked at again.
    grid = sorted(itertools.product(offsets, offsets), key=lambda s: -abs(s[0]) - abs(s[1]))
    for shift in grid:
        if len(standing) == 0:
            break
        if shift != (0, 0):
            standing = standing[right(shift, standing)]
    count = len(images)
    low, high = wilson(100 * len(standing) / count, count)
    return AdversarialShiftAccuracy(
        100 * len(standing) / count, 100 * plain / count, low, high, radius, step, kind, count
    )
