"""Token mixers: tokens (B, N, D) on a grid (h, w) to the same shape."""

from wavevit.layers.mixers.cross_covariance import (
    CovarianceAttention,
    CrossCovarianceAttention,
)
from wavevit.layers.mixers.global_attention import GlobalAttention
from wavevit.layers.mixers.lipschitz import LipschitzAttention
from wavevit.layers.mixers.lowpass_attention import LowPassAttention
from wavevit.layers.mixers.pooling import PoolingAttention
from wavevit.layers.mixers.spatial_reduction import SpatialReductionAttention
from wavevit.layers.mixers.wavelet_conv import WaveletConv, WaveletConvOptions
from wavevit.layers.mixers.wavelet_kv import WaveletAttention
from wavevit.layers.mixers.window import WindowAttention, WindowOptions

__all__ = [
    "CovarianceAttention",
    "CrossCovarianceAttention",
    "GlobalAttention",
    "LipschitzAttention",
    "LowPassAttention",
    "PoolingAttention",
    "SpatialReductionAttention",
    "WaveletAttention",
    "WaveletConv",
    "WaveletConvOptions",
    "WindowAttention",
    "WindowOptions",
]
