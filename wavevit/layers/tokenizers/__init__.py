"""Tokenizers: images (B, C, H, W) to the first grid of tokens (B, h, w, D)."""

from wavevit.layers.tokenizers.adaptive import AdaptiveOptions, AdaptiveTokenizer
from wavevit.layers.tokenizers.alias_free import AliasFreeOptions, AliasFreeTokenizer
from wavevit.layers.tokenizers.convolutional import ConvStemTokenizer, OverlapTokenizer
from wavevit.layers.tokenizers.deep_stem import DeepStemTokenizer
from wavevit.layers.tokenizers.dtcwt import DTCWTTokenizer, ScatteringTokenizer
from wavevit.layers.tokenizers.dwt import PacketTokenizer
from wavevit.layers.tokenizers.patch import PatchTokenizer
from wavevit.layers.tokenizers.subbands import SubbandNorm, SubbandTokenizer
from wavevit.layers.tokenizers.swt import SWTOptions, SWTTokenizer

__all__ = [
    "AdaptiveOptions",
    "AdaptiveTokenizer",
    "AliasFreeOptions",
    "AliasFreeTokenizer",
    "ConvStemTokenizer",
    "DTCWTTokenizer",
    "DeepStemTokenizer",
    "OverlapTokenizer",
    "PacketTokenizer",
    "PatchTokenizer",
    "SWTOptions",
    "SWTTokenizer",
    "ScatteringTokenizer",
    "SubbandNorm",
    "SubbandTokenizer",
]
