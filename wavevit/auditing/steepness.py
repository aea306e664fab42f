"""The sections about derivatives and jumps of a model's features."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from wavevit.auditing.calling import Pictured
from wavevit.auditing.scene import BATCH, NotApplicable, Scene, fields_of
from wavevit.measure import (
    JacobianSpectrum,
    LocalLipschitz,
    jacobian_spectrum,
    jump_scan,
    local_lipschitz,
)
from wavevit.measure.evaluation import evaluation_mode

__all__ = ["continuity", "jumps"]

_CONVERGED = 0.02  # growth of the slopes in two steps that is far below their spread over pictures


def continuity(scene: Scene) -> dict[str, Any]:
    target, samples = scene.target, scene.samples
    images = scene.crops[: samples.jacobian_pictures]
    missing = target.opaque or _underivable(target.embed, images[:1])
    if missing:
        raise NotApplicable(f"it has no derivative: {missing}")
    try:
        result, spectrum = _slopes(target.embed, images, scene)
    except (NotImplementedError, RuntimeError) as error:
        if "forward AD" in str(error):
            reason = " ".join(str(error).split())
            raise NotApplicable(f"it has no forward-mode derivative: {reason[:200]}") from error
        # Operations that torch.autocast narrows may lack one; float64 it leaves alone.
        wide = _widened(target.embed, images[:1])
        if wide is None:
            raise
        result, spectrum = _slopes(wide, images.double(), scene)
    return fields_of(result) | {
        "median_absolute": result.median_absolute,
        "median_relative": result.median_relative,
        "singular_values": list(spectrum.values),
    }


def _slopes(
    view: Pictured, images: Tensor, scene: Scene
) -> tuple[LocalLipschitz, JacobianSpectrum]:
    samples, seed = scene.samples, scene.seed
    result = local_lipschitz(
        view, images, iterations=samples.jacobian_iterations, tolerance=_CONVERGED, seed=seed
    )
    return result, jacobian_spectrum(view, images[:1], samples.singular_values, seed=seed)


def _underivable(view: Pictured, image: Tensor) -> str:
    """Why the output of a view has no derivative by its picture; empty where it has one."""
    wanted = image.clone().requires_grad_()
    try:
        with torch.enable_grad(), evaluation_mode(view):
            output = view(wanted)
    except Exception as error:  # of somebody's model
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return f"the model fails for a picture that requires a gradient ({reason[:200]})"
    if not output.requires_grad:
        return "the model detaches its output from the picture, or computes without gradients"
    try:
        # Not of the sum: that of normalised features is the same for all pictures.
        generator = torch.Generator().manual_seed(0)
        weights = torch.randn(output.shape, generator=generator).to(output)
        (slope,) = torch.autograd.grad(output, wanted, weights, allow_unused=True)
    except RuntimeError as error:
        return f"an operation of the model has none ({' '.join(str(error).split())[:200]})"
    if slope is None or not bool(slope.any()):
        return "it is 0, although outputs differ: the output is a step function (quantized?)"
    return ""


def jumps(scene: Scene) -> dict[str, Any]:
    target, samples = scene.target, scene.samples
    images = scene.crops[: samples.jump_pictures]
    view, precision = target.embed, torch.float32
    wide = _widened(view, images[:1])
    if wide is not None:
        view, precision = wide, torch.float64
    elif view.takes in (torch.float16, torch.bfloat16):
        kind = str(view.takes).removeprefix("torch.")
        raise NotApplicable(f"the model computes in {kind} only, and its rounding hides jumps")
    result = jump_scan(
        view,
        images.double(),
        steps=samples.jump_steps,
        candidates=1,
        precision=precision,
        coarse=target.embed if precision is torch.float64 and view is not target.embed else None,
        batch_size=BATCH,
    )
    return fields_of(result) | {"jumps": list(result.jumps()), "largest_jump": result.largest_jump}


def _widened(view: Pictured, image: Tensor) -> Pictured | None:
    """A copy that computes in float64; None where the model does not, in whole or in part."""
    try:
        wide = copy.deepcopy(view)
        wide.in_float64()
        with torch.no_grad(), evaluation_mode(wide):
            here, beside = wide(image.double()), wide(image.double() * (1 + 1e-13))
    except Exception:  # it cannot be copied, or something in it stays narrow
        return None
    # Where a part computes in float32, rounding makes a change of 1e-8 of a smaller one.
    close = float((beside - here).norm()) <= 1e-9 * float(here.norm())
    return wide if here.dtype is torch.float64 and close else None
