"""Deprecated module: see `wavevit.measure.circulant`."""

from __future__ import annotations

from wavevit.deprecated import moved_names

_MOVED = ("circle_bounds", "circle_norm", "polyphase_matrices")

__getattr__ = moved_names(__name__, dict.fromkeys(_MOVED, "wavevit.measure.circulant"))
