"""Instruments: callables and images in, figures with units out. They know no model class."""

from wavevit.measure.continuity import LocalLipschitz, local_lipschitz
from wavevit.measure.cost import Cost, cost, latency_ratios
from wavevit.measure.depth import (
    AttentionDistance,
    ReceptiveField,
    attention_distance,
    receptive_field,
)
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
from wavevit.measure.spectrum import AliasingNorm, FrameBounds, aliasing_norm, frame_bounds

__all__ = [
    "SHIFT_MODELS",
    "AliasingNorm",
    "AttentionDistance",
    "Cost",
    "FrameBounds",
    "LocalLipschitz",
    "ReceptiveField",
    "ShiftConsistency",
    "ShiftSensitivity",
    "TokenTurnover",
    "aliasing_norm",
    "attention_distance",
    "center_crop",
    "cost",
    "fourier_shift",
    "frame_bounds",
    "latency_ratios",
    "local_lipschitz",
    "receptive_field",
    "shift_consistency",
    "shift_sensitivity",
    "shifted",
    "token_change",
    "token_turnover",
]
