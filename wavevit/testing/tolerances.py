"""Tolerances of laws for each dtype."""

from __future__ import annotations

import torch

from wavevit.checks import check_at_least, fail

__all__ = ["NETWORK_TOLERANCES", "TOLERANCES", "network_tolerance", "tolerance"]

# Relative to the norm of what is compared, per step of depth.
TOLERANCES = {
    torch.float64: 1e-12,
    torch.float32: 1e-5,
    torch.bfloat16: 2e-2,
    torch.float16: 2e-3,
}


# Of what a whole network returns, whatever its depth: rounding of some dozens of steps, which add
# up less than their number says.
NETWORK_TOLERANCES = {
    torch.float64: 1e-9,
    torch.float32: 1e-4,
    torch.bfloat16: 1e-1,
    torch.float16: 1e-2,
}


def network_tolerance(dtype: torch.dtype) -> float:
    """Relative tolerance for the output of a whole network in `dtype`.

    Raises:
        ValueError: a dtype without a tolerance.
    """
    if not isinstance(dtype, torch.dtype) or dtype not in NETWORK_TOLERANCES:
        fail("dtype", f"one of {', '.join(map(str, NETWORK_TOLERANCES))}", dtype)
    return NETWORK_TOLERANCES[dtype]


def tolerance(dtype: torch.dtype, depth: int = 1) -> float:
    """Relative tolerance for a computation of `depth` steps (levels, blocks) in `dtype`.

    Raises:
        ValueError: a dtype without a tolerance, or a depth below 0.
    """
    if not isinstance(dtype, torch.dtype) or dtype not in TOLERANCES:
        fail("dtype", f"one of {', '.join(map(str, TOLERANCES))}", dtype)
    return TOLERANCES[dtype] * max(check_at_least("depth", depth, 0), 1)
