"""Whether a dense map moves with the image, and whether a class survives every shift."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wavevit.checks import check_choice, fail
from wavevit.measure.evaluation import Model, in_batches
from wavevit.measure.intervals import Interval, mean_interval, standard_error, wilson
from wavevit.measure.shifting import SHIFT_MODELS, center_crop, fourier_shift, shifted

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
        kind: shift model.
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
    batch_size: int = 64,
) -> EquivarianceError:
    """How far a dense map is from moving with the image.

    The map is moved by `shift` over its stride in cells; a fraction of a cell by the Fourier shift,
    which is what a band-limited map would do.

    Args:
        features: images to maps (B, D, h, w) whose sides divide the image's.
        images: (N, C, H, W).
        shift: rows and columns in pixels.
        kind: ``"circular"`` or ``"subpixel"``. A crop brings new content in: compare what two crops
            share with `shift_sensitivity`.
        batch_size: images at a time.

    Returns:
        An `EquivarianceError`.

    Raises:
        ValueError: another kind, an output that is no map, or sides that it does not divide.

    Guarantees:
        0 for a circular convolution; positive for one whose stride the shift does not keep
        (tests/unit/test_measure_equivariance.py).

    Source:
        Karras et al. 2021 (equivariance as a signal-to-noise ratio in dB).
    """
    check_choice("kind", kind, ("circular", "subpixel"))
    before = in_batches(features, images, batch_size)
    if before.ndim != 4:
        fail("features", "maps of shape (B, D, h, w)", f"shape {tuple(before.shape)}")
    cells = []
    for side, count, amount in zip(images.shape[-2:], before.shape[-2:], shift, strict=True):
        if side % count:
            fail("features", f"maps whose sides divide {side} pixels", f"{count} cells")
        cells.append(amount * count / side)
    after = in_batches(features, shifted(images, shift, kind), batch_size)
    whole = all(cell == int(cell) for cell in cells)
    rows, columns = cells
    expected = (
        torch.roll(before, (int(rows), int(columns)), (-2, -1))
        if whole
        else fourier_shift(before, (rows, columns))
    )
    errors = (after - expected).flatten(1).double().norm(dim=1)
    norms = before.flatten(1).double().norm(dim=1)
    errors = errors / norms.clamp_min(torch.finfo(norms.dtype).tiny)
    relative = float(errors.mean())
    decibel = -20 * math.log10(relative) if relative > 0 else math.inf
    stderr = standard_error(errors)
    return EquivarianceError(relative, decibel, stderr, shift, kind, len(images))


@dataclass(frozen=True)
class AdversarialShiftAccuracy:
    """Share of images that are classified rightly wherever in a square they are shifted.

    Attributes:
        percent: right for all shifts, in [0, 100].
        plain_percent: right without a shift.
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
    """Accuracy against the worst shift of a grid.

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
    if labels.shape != images.shape[:1]:
        fail("labels", f"shape {tuple(images.shape[:1])}", tuple(labels.shape))
    if not step > 0 or radius < 0 or radius % step:
        fail("step", f"a positive divisor of the radius {radius}", step)
    size = (images.shape[-2], images.shape[-1])
    if kind == "crop":
        if crop_size is None:
            fail("crop_size", "the side of the model's input for kind='crop'", None)
        size = (crop_size, crop_size)

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
