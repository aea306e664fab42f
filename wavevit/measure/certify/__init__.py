"""Lipschitz certificates: a rule for each class of module, combined for a whole network.

The files of this package have rules for the layers of wavevit and of torch; register your own
with `lipschitz_rule`.
"""

from wavevit.measure.certify import activations as _activations
from wavevit.measure.certify import alias_free_tokenizer as _alias_free_tokenizer
from wavevit.measure.certify import blocks as _blocks
from wavevit.measure.certify import convolutional_tokenizers as _convolutional_tokenizers
from wavevit.measure.certify import norms as _norms
from wavevit.measure.certify import positions as _positions
from wavevit.measure.certify import subband_tokenizers as _subband_tokenizers
from wavevit.measure.certify.chain import lipschitz_steps, pool_constant
from wavevit.measure.certify.mixers import DOT_PRODUCTS
from wavevit.measure.certify.network import CertifiedLipschitz, certified_lipschitz
from wavevit.measure.certify.operator_norms import (
    convolution_norm,
    decimation_norm,
    spectral_norm,
    wavelet_norm,
)
from wavevit.measure.certify.results import LipschitzConstant, LipschitzStep, NoLipschitzBound
from wavevit.measure.certify.rules import (
    declares_constant,
    lipschitz_at,
    lipschitz_of,
    lipschitz_rule,
    lipschitz_rule_at,
    no_lipschitz_bound,
)
from wavevit.measure.certify.torch_layers import GELU_CONSTANT

__all__ = [
    "DOT_PRODUCTS",
    "GELU_CONSTANT",
    "CertifiedLipschitz",
    "LipschitzConstant",
    "LipschitzStep",
    "NoLipschitzBound",
    "certified_lipschitz",
    "convolution_norm",
    "decimation_norm",
    "declares_constant",
    "lipschitz_at",
    "lipschitz_of",
    "lipschitz_rule",
    "lipschitz_rule_at",
    "lipschitz_steps",
    "no_lipschitz_bound",
    "pool_constant",
    "spectral_norm",
    "wavelet_norm",
]

del _activations, _alias_free_tokenizer, _blocks, _convolutional_tokenizers, _norms, _positions
del _subband_tokenizers
