"""Deprecated module: `wavevit.measure.certify` follows a model's `forward_steps`."""

from __future__ import annotations

from wavevit.deprecated import moved_names

__getattr__ = moved_names(__name__, {"lipschitz_steps": "wavevit.measure.certify"})
