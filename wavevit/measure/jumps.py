"""Jump scan: find discontinuities of a model while the image moves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wavevit.alignment import fourier_shift
from wavevit.checks import (
    check_at_least,
    check_choice,
    check_image,
    check_number,
    check_numbers,
    fail,
)
from wavevit.measure.evaluation import Model, in_batches

__all__ = ["PATHS", "JumpScan", "jump_scan"]

PATHS = ("subpixel", "line")

# Of a precision: where halving ends, and what rounding alone changes an output by, relative to it.
# Float32 pixels do not resolve a shorter step; its outputs carry the rounding of a whole network.
_FINEST = {torch.float64: (1e-9, 1e-12), torch.float32: (1e-5, 1e-4)}

_COARSEST = 1e-3  # share of a path down to which float32 tells the steeper half of a step


@dataclass(frozen=True)
class JumpScan:
    """Result of a jump scan: changes of the output along a path, one value for each image.

    Attributes:
        variation: total variation ``Σ ‖f(x_{i+1}) - f(x_i)‖`` over the path's steps, in units of
            ``‖f(x)‖``; a lower bound that grows with `steps`.
        jump: the largest change that survives bisection, in units of ``‖f(x)‖``: over `dt` of the
            path for a discontinuity, vanishing with `dt` for a continuous map.
        place: where on the path it is, in [0, 1].
        dt: length of the last interval, as a share of the path.
        steps: of the first pass.
        path: ``"subpixel"`` or ``"line"``.
        precision: precision of the computation, ``"float64"`` or ``"float32"``.
    """

    variation: tuple[float, ...]
    jump: tuple[float, ...]
    place: tuple[float, ...]
    dt: float
    steps: int
    path: str
    precision: str = "float64"

    @property
    def largest_jump(self) -> float:
        """The largest of `jump`."""
        return max(self.jump)

    def jumps(self, slope: float = 1e4) -> tuple[bool, ...]:
        """Which images jump: those whose `jump` is larger than a map of this `slope` allows.

        Args:
            slope: in units of the total variation over the path; by default a map that makes its
                whole change within a ten-thousandth of the path counts as a jump.
        """
        floor = _FINEST[getattr(torch, self.precision)][1]
        pairs = zip(self.jump, self.variation, strict=True)
        return tuple(jump > slope * self.dt * total + floor for jump, total in pairs)


def jump_scan(
    model: Model,
    images: Tensor,
    *,
    path: str = "subpixel",
    shift: tuple[float, float] = (0.0, 1.0),
    steps: int = 32,
    candidates: int = 2,
    dt: float | None = None,
    precision: torch.dtype = torch.float64,
    coarse: Model | None = None,
    batch_size: int = 128,
) -> JumpScan:
    """Scans a path of images for jumps: halves the steepest steps, keeping the steeper half.

    Args:
        model: images to (B, …), flattened.
        images: (N, C, H, W) in float64, in which the path is computed.
        path: ``"subpixel"``: from `x` to `T_shift x` by Fourier shifts. ``"line"``: the straight
            line from each image to the next of the batch (the last to the first), which crosses
            more decisions than a shift does.
        shift: rows and columns in pixels, of the whole ``"subpixel"`` path.
        steps: steps of the first pass; jumps smaller than the steepest smooth step may be missed.
        candidates: number of steepest steps of each image that are halved.
        dt: length at which halving ends, as a share of the path; by default 1e-9 in float64 and
            1e-5 in float32.
        precision: precision of the model: `torch.float64`, or `torch.float32` for a model that
            takes only this. A scan in float32 finds only jumps larger than a
            tenth of the whole variation.
        coarse: the same model in float32, which is faster: it walks the first steps and the
            halvings down to a thousandth of the path, where outputs still differ by far more than
            its rounding. By default `model` does.
        batch_size: images at a time.

    Returns:
        A `JumpScan`.

    Raises:
        ValueError: images of another dtype, another precision, an unknown path, one image for
            ``"line"``, a shift that is no pair of numbers, or a `dt` outside (0, 1].

    Guarantees:
        The height of a step function, and a jump that falls like `dt` for a smooth map
        (tests/unit/test_measure_jumps.py). If no jump is found, this proves nothing about other
        paths.
    """
    check_image(images, "images")
    check_choice("path", path, PATHS)
    if images.dtype != torch.float64:
        fail("images", "float64, in which the path is computed", images.dtype)
    if precision not in _FINEST:
        fail("precision", "torch.float64 or torch.float32", precision)
    dt = _FINEST[precision][0] if dt is None else check_number("dt", dt, above=0, most=1)
    check_numbers("shift", shift, "(rows, columns) in pixels", 2)
    if path == "line" and len(images) < 2:
        fail("images", "at least 2 for path='line'", len(images))
    check_at_least("steps", steps, 1)
    candidates = min(check_at_least("candidates", candidates, 1), steps)
    ends, pace = torch.roll(images, -1, 0), torch.tensor(shift, dtype=torch.float64)

    def at(times: Tensor, computed: Model, kind: torch.dtype) -> Tensor:
        """Outputs at times (N, T) of each image's path: (N, T, D)."""
        where = times.unsqueeze(2).to(images.device)
        repeated = images[:, None].expand(-1, times.shape[1], -1, -1, -1)
        if path == "subpixel":
            x = fourier_shift(repeated.flatten(0, 1), (where * pace.to(where)).flatten(0, 1))
        else:
            share = where[..., None, None]
            x = (repeated + share * (ends[:, None] - repeated)).flatten(0, 1)
        outputs = in_batches(computed, x.to(kind), batch_size).double().flatten(1)
        return outputs.unflatten(0, times.shape)

    rough, kind = (model, precision) if coarse is None else (coarse, torch.float32)
    grid = torch.linspace(0, 1, steps + 1, dtype=torch.float64).expand(len(images), -1)
    outputs = at(grid, rough, kind)
    unit = outputs[:, 0].norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
    changes = outputs.diff(dim=1).norm(dim=2)
    steepest = changes.topk(candidates, dim=1).indices.cpu()
    low, high = grid.gather(1, steepest), grid.gather(1, steepest + 1)
    pick = steepest.to(outputs.device).unsqueeze(2).expand(-1, -1, outputs.shape[2])
    before, after = outputs.gather(1, pick), outputs.gather(1, pick + 1)
    width = 1 / steps
    while width > dt:
        if rough is not model and width <= _COARSEST:
            rough, kind = model, precision
            # Float32 may see a jump on the other side of a middle that is close to it.
            slack = _FINEST[torch.float32][0]
            low, high, width = low - slack, high + slack, width + 2 * slack
            before, after = at(low, rough, kind), at(high, rough, kind)
        middle, width = (low + high) / 2, width / 2
        between = at(middle, rough, kind)
        left = (between - before).norm(dim=2) >= (after - between).norm(dim=2)
        here, wide = left.cpu(), left.unsqueeze(2)
        low, high = torch.where(here, low, middle), torch.where(here, middle, high)
        before, after = torch.where(wide, before, between), torch.where(wide, between, after)
    if rough is not model:  # halving ended before the fine part began
        before, after = at(low, model, precision), at(high, model, precision)
    last, best = (after - before).norm(dim=2).div(unit[:, None]).max(dim=1)
    place = low.gather(1, best.cpu()[:, None]).squeeze(1)
    variation = changes.sum(dim=1) / unit
    return JumpScan(
        tuple(variation.tolist()),
        tuple(last.tolist()),
        tuple(place.tolist()),
        width,
        steps,
        path,
        str(precision).removeprefix("torch."),
    )
