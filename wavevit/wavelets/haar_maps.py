"""Deprecated: the switch of the compiled kernels is `wavevit.wavelets.kernels`."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["kernels"]  # noqa: F822


def __getattr__(name: str) -> Any:
    if name != "kernels":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wavevit.wavelets._engine.kernel_choice import kernels

    warnings.warn(
        f"{__name__}.kernels is deprecated: use wavevit.wavelets.kernels",
        DeprecationWarning,
        stacklevel=2,
    )
    return kernels
