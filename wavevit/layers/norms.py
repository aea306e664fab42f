"""Normalisation layers: LayerNorm, RMS norm of the whole map, mean-centring."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from wavevit.deprecated import deprecated_names
from wavevit.layers.fx_leaf import FxLeaf
from wavevit.layers.old_bounds import OldBounds
from wavevit.layers.registry import NORMS as _REGISTRY
from wavevit.layers.registry import register_norm
from wavevit.layers.symmetry import Symmetry

__all__ = ["CenterNorm", "MapNorm", "TokenNorm", "make_norm", "norm_symmetry"]


@register_norm("token")
class TokenNorm(nn.LayerNorm):
    """LayerNorm of each token. `build` gives torch's own class, which other tools look for."""

    symmetry = Symmetry(1)

    @classmethod
    def build(cls, dim: int, eps: float) -> nn.LayerNorm:
        return nn.LayerNorm(dim, eps=eps)


@register_norm("map")
class MapNorm(FxLeaf, OldBounds):
    """RMS norm of a whole map, over all tokens and channels, with a gain for each channel.

    One number per image: the map from tokens to tokens is linear but for that number, and the
    number is the same wherever between the samples the content lies (Parseval's theorem). A
    LayerNorm divides each token by its own size, which is not a band-limited operation.

    Args:
        dim: channels of a token.
        eps: added to the mean square.
    """

    symmetry = Symmetry(1, alias_free=True)

    @classmethod
    def build(cls, dim: int, eps: float) -> Self:
        return cls(dim, eps)

    def __init__(self, dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, …, D) to the same shape."""
        dims = tuple(range(1, x.ndim))
        # In float32 at least: a sum of many squares overflows half precision.
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        scale = (wide.square().mean(dim=dims, keepdim=True) + self.eps).rsqrt()
        return torch.addcmul(self.bias, x * scale.to(x.dtype), self.weight)


@register_norm("center")
class CenterNorm(nn.Module, OldBounds):
    """Mean-centring: subtracts each token's mean over its channels; a gain for each channel.

    Dividing by a token's own size is what makes a LayerNorm steep: its slope at a flat token is
    ``1/√eps``. This is linear, and a projection before the gain.

    Args:
        dim: channels of a token.

    Source:
        Qi et al. 2023 (LipsFormer), who multiply by ``dim / (dim - 1)`` besides.
    """

    symmetry = Symmetry(1, alias_free=True)

    @classmethod
    def build(cls, dim: int, eps: float) -> Self:
        return cls(dim)

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, …, D) to the same shape."""
        return torch.addcmul(self.bias, x - x.mean(dim=-1, keepdim=True), self.weight)


def make_norm(kind: str, dim: int, eps: float) -> nn.Module:
    """The normalisation of that name."""
    norm: Any = _REGISTRY.get(kind)
    module: nn.Module = norm.build(dim, eps)
    return module


def norm_symmetry(kind: str) -> Symmetry:
    """What that normalisation keeps."""
    norm: Any = _REGISTRY.get(kind)
    symmetry: Symmetry = norm.symmetry
    return symmetry


__getattr__ = deprecated_names(
    __name__, {"NORMS": ("wavevit.layers.NORMS.values()", _REGISTRY.values)}
)
