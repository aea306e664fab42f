"""Layers of a backbone; each declares the shifts that it keeps and registers its name.

Importing this package registers all layers of wavevit. Register your own layers in the same way
(`register_tokenizer`, `register_mixer`, …).
"""

from wavevit.layers import activations as _activations
from wavevit.layers import attention_downsample as _attention_downsample
from wavevit.layers import blocks as _blocks
from wavevit.layers import downsample as _downsample
from wavevit.layers import mixers as _mixers
from wavevit.layers import norms as _norms
from wavevit.layers import positions as _positions
from wavevit.layers import tokenizers as _tokenizers
from wavevit.layers.context import PartContext
from wavevit.layers.options import NoOptions, PartOptions
from wavevit.layers.registry import (
    ACTIVATIONS,
    DOWNSAMPLES,
    MIXERS,
    MLPS,
    NORMS,
    POSITIONS,
    TOKENIZERS,
    NotRegistered,
    Registry,
    register_activation,
    register_downsample,
    register_mixer,
    register_mlp,
    register_norm,
    register_position,
    register_tokenizer,
)
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.lazy import lazy_submodules

__all__ = [
    "ACTIVATIONS",
    "DOWNSAMPLES",
    "MIXERS",
    "MLPS",
    "NORMS",
    "POSITIONS",
    "TOKENIZERS",
    "NoOptions",
    "NotRegistered",
    "Part",
    "PartContext",
    "PartOptions",
    "Registry",
    "Symmetry",
    "register_activation",
    "register_downsample",
    "register_mixer",
    "register_mlp",
    "register_norm",
    "register_position",
    "register_tokenizer",
]

del _activations, _attention_downsample, _blocks, _downsample, _mixers, _norms, _positions
del _tokenizers

__getattr__, __dir__ = lazy_submodules(__name__, __path__)
