"""Deprecated module: the rules are in `wavevit.measure.certify`, the layers beside this file."""

from __future__ import annotations

from wavevit.deprecated import moved_names

_CERTIFY = (
    "DOT_PRODUCTS",
    "GELU_CONSTANT",
    "LipschitzConstant",
    "LipschitzStep",
    "NoLipschitzBound",
    "convolution_norm",
    "lipschitz_at",
    "lipschitz_of",
    "spectral_norm",
    "wavelet_norm",
)

__getattr__ = moved_names(
    __name__,
    {
        **dict.fromkeys(_CERTIFY, "wavevit.measure.certify"),
        "BoundedLinear": "wavevit.layers.bounded_linear",
        "BranchGain": "wavevit.layers.branch_gain",
        "bound_linear_maps": "wavevit.layers.bounded_linear",
        "matrix_of": "wavevit.layers.bounded_linear",
    },
)
