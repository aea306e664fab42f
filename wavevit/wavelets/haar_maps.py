"""Deprecated: the switch of the compiled kernels is `wavevit.wavelets.kernels`."""

from __future__ import annotations

from wavevit.deprecated import moved_names

__all__ = ["kernels"]  # noqa: F822

__getattr__ = moved_names(__name__, {"kernels": "wavevit.wavelets"})
