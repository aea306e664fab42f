"""How tokens exchange information, (B, N, D) on a grid (h, w) to the same shape."""

from wavevit.layers.mixers.global_attention import GlobalAttention
from wavevit.layers.mixers.wavelet_conv import WaveletConv

__all__ = ["GlobalAttention", "WaveletConv"]
