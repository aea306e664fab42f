"""Merge linear wavelet steps into the next layer, for inference (`Backbone.fold`).

What is linear between two non-linearities can be one map. Here that is a block-Haar tokenizer
without normalisation and activation (a patch convolution), and the wavelet step of a downsampling
together with its projection (a convolution of kernel and stride 2). A `BoundedLinear` becomes the
plain linear map that it is.

What stays, and why: between the packet of the other tokenizers and their projection there is a
GELU, and a packet with its gains as one strided convolution is slower than butterflies from four
images on (1.8 times at patch 4, 1.3 times at patch 16; one image at patch 4: 0.8 times); the same
holds for injected details. `WaveletConv` is linear too, but it repeats with period 2: as one
convolution of the four phases it would cost four times its multiply-accumulates. A tokenizer behind
a low-pass (``alignment="blur"``) and layers with forward hooks stay as they are.
"""

from __future__ import annotations

import copy
from typing import Protocol, TypeVar, runtime_checkable

from torch import nn

from wavevit.wavelets._engine.torch_private import has_forward_hooks

__all__ = ["merged"]

Model = TypeVar("Model", bound=nn.Module)


def merged(model: Model) -> Model:
    """See `Backbone.fold`."""
    twin = copy.deepcopy(model).eval().requires_grad_(False)
    for parent in list(twin.modules()):
        for name, part in list(parent.named_children()):
            if not isinstance(part, _Simplifies) or any(map(has_forward_hooks, part.modules())):
                continue  # a hook may change what one of its layers gives
            simpler = part.simplified()
            if simpler is not None:
                setattr(parent, name, simpler.eval().requires_grad_(False))
    return twin


@runtime_checkable
class _Simplifies(Protocol):
    """A layer that may have fewer steps in inference: a `Part`, a `BoundedLinear`."""

    def simplified(self) -> nn.Module | None: ...
