"""Deprecated module: see `wavevit.measure.certify`."""

from __future__ import annotations

from wavevit.deprecated import moved_names

_MOVED = ("CertifiedLipschitz", "certified_lipschitz")

__getattr__ = moved_names(__name__, dict.fromkeys(_MOVED, "wavevit.measure.certify"))
