"""Description of a network's forward pass: its steps, for images of one size.

If a network returns such a list (``forward_steps(size)``, like `wavevit.Backbone`), a measure can
follow its forward pass without knowing its class. The steps state which module runs on which
input; they do not depend on any measure.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

__all__ = [
    "AlignedStep",
    "DetailStep",
    "DownsampleStep",
    "ForwardStep",
    "PoolStep",
    "TokenStep",
    "TokenizerStep",
]


@dataclass(frozen=True)
class AlignedStep:
    """The grid is moved with the image, or low-passes stand before its strides.

    Attributes:
        name: a word for the step.
        module: the aligned network.
        method: of `wavevit.alignment.ALIGNMENTS`.
    """

    name: str
    module: nn.Module
    method: str


@dataclass(frozen=True)
class TokenizerStep:
    """Images to tokens.

    Attributes:
        name: of the module, as `torch.nn.Module.named_modules` calls it.
        module: the tokenizer.
        size: rows and columns of the images in pixels.
        padded: the same where the bottom and right edge have been repeated.
    """

    name: str
    module: nn.Module
    size: tuple[int, int]
    padded: tuple[int, int]


@dataclass(frozen=True)
class TokenStep:
    """Tokens to tokens, or a vector to a vector.

    Attributes:
        name: of the module.
        module: what runs.
        tokens: length of the sequence; None where it does not matter.
    """

    name: str
    module: nn.Module
    tokens: int | None = None


@dataclass(frozen=True)
class DownsampleStep:
    """Tokens on a grid to those of a grid with half the sides.

    Attributes:
        name: of the module.
        module: the downsampling.
        grid: rows and columns of the tokens that come in.
    """

    name: str
    module: nn.Module
    grid: tuple[int, int]


@dataclass(frozen=True)
class DetailStep:
    """Wavelet details of the image, mapped by a module and added to the tokens.

    Attributes:
        name: of the module.
        module: what maps the details.
        wavelet: name of the filter.
        level: of the details, 1 for the finest.
        size: rows and columns of the images in pixels.
        padded: the same where the bottom and right edge have been repeated.
    """

    name: str
    module: nn.Module
    wavelet: str
    level: int
    size: tuple[int, int]
    padded: tuple[int, int]


@dataclass(frozen=True)
class PoolStep:
    """Tokens to a vector (`wavevit.layers.pooling.pool_tokens`).

    Attributes:
        name: a word for the step.
        how: ``"token"``, ``"avg"``, ``"power"`` or ``""``.
        places: tokens that have a place.
    """

    name: str
    how: str
    places: int


ForwardStep = AlignedStep | TokenizerStep | TokenStep | DownsampleStep | DetailStep | PoolStep
