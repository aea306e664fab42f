"""Measures of any callable on images: shift, continuity, scale, depth, rank and cost."""

from wavevit.measure.certify import CertifiedLipschitz, NoLipschitzBound, certified_lipschitz
from wavevit.measure.choices import ChoiceTurnover, choice_turnover
from wavevit.measure.continuity import LocalLipschitz, local_lipschitz
from wavevit.measure.cost import Cost, cost, latency_ratios
from wavevit.measure.depth import (
    AttentionDistance,
    ReceptiveField,
    attention_distance,
    receptive_field,
)
from wavevit.measure.equivariance import (
    AdversarialShiftAccuracy,
    EquivarianceError,
    adversarial_shift_accuracy,
    equivariance_error,
)
from wavevit.measure.jacobian import JacobianSpectrum, jacobian_spectrum
from wavevit.measure.jumps import PATHS, JumpScan, jump_scan
from wavevit.measure.memory import growth_exponent, peak_activation_bytes
from wavevit.measure.scale import ScaleSensitivity, scale_sensitivity
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
from wavevit.measure.ties import TieSlope, tie_slope
from wavevit.measure.tokenizers import TokenizerBounds, tokenizer_bounds
from wavevit.measure.vocabulary import EffectiveRank, NTermError, effective_rank, n_term_error

__all__ = [
    "PATHS",
    "SHIFT_MODELS",
    "AdversarialShiftAccuracy",
    "AliasingNorm",
    "AttentionDistance",
    "CertifiedLipschitz",
    "ChoiceTurnover",
    "Cost",
    "EffectiveRank",
    "EquivarianceError",
    "FrameBounds",
    "JacobianSpectrum",
    "JumpScan",
    "LocalLipschitz",
    "NTermError",
    "NoLipschitzBound",
    "ReceptiveField",
    "ScaleSensitivity",
    "ShiftConsistency",
    "ShiftSensitivity",
    "TieSlope",
    "TokenTurnover",
    "TokenizerBounds",
    "adversarial_shift_accuracy",
    "aliasing_norm",
    "attention_distance",
    "center_crop",
    "certified_lipschitz",
    "choice_turnover",
    "cost",
    "effective_rank",
    "equivariance_error",
    "fourier_shift",
    "frame_bounds",
    "growth_exponent",
    "jacobian_spectrum",
    "jump_scan",
    "latency_ratios",
    "local_lipschitz",
    "n_term_error",
    "peak_activation_bytes",
    "receptive_field",
    "scale_sensitivity",
    "shift_consistency",
    "shift_sensitivity",
    "shifted",
    "tie_slope",
    "token_change",
    "token_turnover",
    "tokenizer_bounds",
]
