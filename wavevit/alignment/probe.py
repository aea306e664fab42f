"""Measure the shift period of a model that does not declare it."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from wavevit.alignment.base import Restore, tensors_of
from wavevit.alignment.shifts import roll_images
from wavevit.checks import check_module, fail

__all__ = ["check_input_size", "kept_period"]

# Relative. In float64, so that a border that hardly matters yet (a residual branch of small weight)
# is told from rounding: training would make it matter, and the promise empty.
_TOLERANCE = 1e-9


def check_input_size(input_size: Any) -> None:
    """Refuses an input size that is not three whole numbers."""
    three = isinstance(input_size, Sequence) and len(input_size) == 3
    if not three or not all(type(side) is int and side > 0 for side in input_size):
        fail("input_size", "(channels, height, width)", repr(input_size))


def kept_period(
    model: nn.Module, input_size: tuple[int, int, int], restore: Restore | None = None
) -> int | None:
    """The smallest shift in pixels that a model keeps on white noise of one size.

    Every common divisor of the sides is tried, in ascending order: one pass of the image and its
    two shifts, along rows and along columns. A shift by the whole image is not tried.

    Args:
        model: images to outputs. A copy of it runs, in float64 and eval mode.
        input_size: (C, H, W) of its images.
        restore: how outputs move, see `Alignment.through`.

    Returns:
        The period; None if the model keeps none of these shifts.

    Raises:
        ValueError: something else than a module, or an input size of another form.
    """
    check_module("model", model)
    check_input_size(input_size)
    model = copy.deepcopy(model).double().eval()
    reference = next((t for t in [*model.parameters(), *model.buffers()]), torch.zeros(1))
    channels, height, width = input_size
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, channels, height, width, generator=generator, dtype=torch.float64)
    x = noise.to(reference.device)
    common = math.gcd(height, width)
    periods = [p for p in range(1, max(height, width)) if common % p == 0]
    with torch.no_grad():
        still = tensors_of(model(x))
        for period in periods:
            offset = torch.tensor([[period, 0], [0, period]], device=x.device)
            moved = tensors_of(model(roll_images(x.expand(2, -1, -1, -1), offset)))
            errors = []
            for before, after in zip(still, moved, strict=True):
                expected = before.expand_as(after)
                if restore is not None:
                    expected = restore(expected, offset)
                errors.append(float((after - expected).norm() / expected.norm()))
            if max(errors) <= _TOLERANCE:
                return period
    return None
