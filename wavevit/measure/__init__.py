"""Instruments: callables and images in, figures with units out. They know no model class."""

from wavevit.measure.continuity import LocalLipschitz, local_lipschitz
from wavevit.measure.cost import Cost, cost, latency_ratios
from wavevit.measure.memory import growth_exponent, peak_activation_bytes
from wavevit.measure.shift import (
    ShiftConsistency,
    ShiftSensitivity,
    TokenTurnover,
    shift_consistency,
    shift_sensitivity,
    token_change,
    token_turnover,
)
from wavevit.measure.shifting import SHIFT_MODELS, center_crop, fourier_shift, shifted

__all__ = [
    "SHIFT_MODELS",
    "Cost",
    "LocalLipschitz",
    "ShiftConsistency",
    "ShiftSensitivity",
    "TokenTurnover",
    "center_crop",
    "cost",
    "fourier_shift",
    "growth_exponent",
    "latency_ratios",
    "local_lipschitz",
    "peak_activation_bytes",
    "shift_consistency",
    "shift_sensitivity",
    "shifted",
    "token_change",
    "token_turnover",
]
