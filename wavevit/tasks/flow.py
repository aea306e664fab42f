"""Ordinary differential equations of flow matching: steps, divergence, likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_choice

__all__ = ["divergence", "integrate", "log_likelihood", "trajectory"]

Velocity = Callable[[Tensor, Tensor], Tensor]


def integrate(velocity: Velocity, x: Tensor, steps: int, method: str = "heun") -> Tensor:
    """Moves samples from time 0 (noise) to time 1 (data).

    Args:
        velocity: of samples (B, …) at times (B,).
        x: (B, …) at time 0.
        steps: equal steps.
        method: ``"euler"``, or ``"heun"`` (twice the cost, one order more).
    """
    *_, last = trajectory(velocity, x, steps, method)
    return last


def trajectory(velocity: Velocity, x: Tensor, steps: int, method: str = "heun") -> Iterator[Tensor]:
    """States of `integrate`: after 0, 1, …, `steps` steps; arguments as there."""
    check_at_least("steps", steps, 1)
    check_choice("method", method, ("euler", "heun"))
    yield x
    for index in range(steps):
        now, then = (x.new_full((len(x),), (index + add) / steps) for add in (0, 1))
        slope = velocity(x, now)
        if method == "heun":
            slope = (slope + velocity(x + slope / steps, then)) / 2
        x = x + slope / steps
        yield x


def divergence(
    velocity: Velocity, x: Tensor, t: Tensor, probe: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Velocity and its divergence.

    Args:
        velocity: of samples (B, …) at times (B,).
        x: (B, …).
        t: (B,).
        probe: (B, …) of +1 and −1 for Hutchinson's estimate; None for the exact trace, one
            backward pass for each number of a sample.

    Returns:
        (B, …) and (B,).
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        found = velocity(x, t)
        if probe is not None:
            (slope,) = torch.autograd.grad((found * probe).sum(), x)
            return found.detach(), (slope * probe).flatten(1).sum(1)
        total, flat = x.new_zeros(len(x)), found.flatten(1)
        for index in range(flat.shape[1]):
            (slope,) = torch.autograd.grad(flat[:, index].sum(), x, retain_graph=True)
            total = total + slope.flatten(1)[:, index]
    return found.detach(), total


def log_likelihood(velocity: Velocity, x: Tensor, steps: int, probe: Tensor | None) -> Tensor:
    """Logarithm of the density at time 1, if the density at time 0 is the standard normal one.

    Args:
        velocity: see `divergence`; samples of a batch do not depend on each other.
        x: (B, …) at time 1.
        steps: equal steps of Heun's method, back to time 0.
        probe: see `divergence`.

    Returns:
        (B,), natural logarithm.

    Source:
        Chen et al. 2018 (instantaneous change of variables); Grathwohl et al. 2019 (FFJORD).
    """
    check_at_least("steps", steps, 1)
    total = x.new_zeros(len(x))
    for index in range(steps, 0, -1):
        now, then = (x.new_full((len(x),), place / steps) for place in (index, index - 1))
        slope, growth = divergence(velocity, x, now, probe)
        next_slope, next_growth = divergence(velocity, x - slope / steps, then, probe)
        x = x - (slope + next_slope) / (2 * steps)
        total = total + (growth + next_growth) / (2 * steps)
    count = x[0].numel()
    normal = -0.5 * (x.flatten(1).square().sum(1) + count * math.log(2 * math.pi))
    return normal - total
