"""Instruments: callables and images in, figures with units out. They know no model class."""

from wavevit.measure.continuity import LocalLipschitz, local_lipschitz
from wavevit.measure.cost import Cost, cost, latency_ratios
from wavevit.measure.jumps import PATHS, JumpScan, jump_scan
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
    "PATHS",
    "SHIFT_MODELS",
    "Cost",
    "JumpScan",
    "LocalLipschitz",
    "ShiftConsistency",
    "ShiftSensitivity",
    "TokenTurnover",
    "center_crop",
    "cost",
    "fourier_shift",
    "jump_scan",
    "latency_ratios",
    "local_lipschitz",
    "shift_consistency",
    "shift_sensitivity",
    "shifted",
    "token_change",
    "token_turnover",
]
