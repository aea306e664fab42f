"""From pixels to the first grid of tokens, (B, C, H, W) to (B, h, w, D)."""

from wavevit.layers.tokenizers.convolutional import ConvStemTokenizer, OverlapTokenizer
from wavevit.layers.tokenizers.deep_stem import DeepStemTokenizer
from wavevit.layers.tokenizers.dwt import PacketTokenizer, SubbandNorm
from wavevit.layers.tokenizers.patch import PatchTokenizer

__all__ = [
    "ConvStemTokenizer",
    "DeepStemTokenizer",
    "OverlapTokenizer",
    "PacketTokenizer",
    "PatchTokenizer",
    "SubbandNorm",
]
