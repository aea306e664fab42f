"""From pixels to the first grid of tokens, (B, C, H, W) to (B, h, w, D)."""

from wavevit.layers.tokenizers.alias_free import AliasFreeTokenizer
from wavevit.layers.tokenizers.convolutional import ConvStemTokenizer, OverlapTokenizer
from wavevit.layers.tokenizers.dwt import PacketTokenizer, SubbandNorm
from wavevit.layers.tokenizers.patch import PatchTokenizer

__all__ = [
    "AliasFreeTokenizer",
    "ConvStemTokenizer",
    "OverlapTokenizer",
    "PacketTokenizer",
    "PatchTokenizer",
    "SubbandNorm",
]
