"""Finding out which shifts a model keeps that declares nothing."""

from __future__ import annotations

import math

import torch
from torch import nn

from wavevit.alignment.base import Restore, tensors_of
from wavevit.alignment.blur import copy_sharing_weights
from wavevit.alignment.shifts import roll_images
from wavevit.checks import fail

__all__ = ["TOLERANCES", "kept_period"]

# Relative; rounding errors of deep networks lie a factor of ten and more below.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-5}


def kept_period(
    model: nn.Module, input_size: tuple[int, int, int], restore: Restore | None = None
) -> int | None:
    """The smallest shift in pixels that a model keeps on white noise of one size.

    Every common divisor of the sides is tried from 1 upwards: one pass of the image and its two
    shifts, along rows and along columns.

    Args:
        model: images to outputs; its weights must be float32 or float64. It runs in eval mode
            and is left in its own.
        input_size: (C, H, W) of the images it takes.
        restore: how outputs move, see `Alignment.through`.

    Returns:
        The period, or None: no proper divisor of both sides is kept.

    Raises:
        ValueError: half precision, where a shift that is kept looks like one that is not.
    """
    reference = next((t for t in [*model.parameters(), *model.buffers()]), torch.zeros(1))
    if reference.dtype not in TOLERANCES:
        fail("model", "float32 or float64 weights to probe its period", reference.dtype)
    model = copy_sharing_weights(model).eval()
    channels, height, width = input_size
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, channels, height, width, generator=generator, dtype=torch.float64)
    x = noise.to(reference)
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
            if max(errors) <= TOLERANCES[reference.dtype]:
                return period
    return None
