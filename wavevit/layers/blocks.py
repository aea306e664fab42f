"""Pre-norm block around a mixer, and MLPs."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from wavevit.layers.activations import make_activation
from wavevit.layers.branch_gain import BranchGain
from wavevit.layers.context import PartContext
from wavevit.layers.fx_leaf import FxLeaf
from wavevit.layers.norms import make_norm
from wavevit.layers.old_bounds import OldBounds
from wavevit.layers.options import NoOptions
from wavevit.layers.padding import DepthwiseConv
from wavevit.layers.registry import MLPS, register_mlp
from wavevit.layers.symmetry import Part, Symmetry

__all__ = ["Block", "ConvMlp", "DropPath", "Mlp", "init_gated", "make_mlp"]


class DropPath(FxLeaf):
    """Drops the residual branch of whole samples in training (stochastic depth, Huang 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if self.rate == 0.0 or not self.training:
            return x
        keep = 1.0 - self.rate
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        return x * torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(keep) / keep

    def extra_repr(self) -> str:
        return f"rate={self.rate:.3f}"


@register_mlp("plain")
class Mlp(Part):
    """MLP: two linear maps with an activation between them, for each token."""

    def __init__(self, dim: int, hidden_dim: int, activation: str = "gelu") -> None:
        super().__init__()
        self.act = make_activation(activation)
        self.fc1 = nn.Linear(dim, self.act.inputs * hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)
        self.symmetry = self.act.symmetry

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(context.dim, int(context.dim * context.mlp_ratio), context.activation)

    def reset_parameters(self) -> None:
        """See `init_gated`."""
        init_gated(self)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, N, D) to the same shape."""
        return self.fc2(self.act(self.fc1(x), grid))


@register_mlp("conv")
class ConvMlp(Part):
    """The same with a depthwise 3 x 3 convolution before it: positions from the neighbours.

    Source:
        Wang et al. 2022 (PVT v2), section 3.2.
    """

    def __init__(self, dim: int, hidden_dim: int, padding: str, activation: str = "gelu") -> None:
        super().__init__()
        self.act = make_activation(activation)
        self.fc1 = nn.Linear(dim, self.act.inputs * hidden_dim)
        self.conv = DepthwiseConv(self.act.inputs * hidden_dim, 3, padding)
        self.fc2 = nn.Linear(hidden_dim, dim)
        self.symmetry = Symmetry(1, padding == "circular", self.act.symmetry.alias_free)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        hidden = int(context.dim * context.mlp_ratio)
        return cls(context.dim, hidden, context.padding, context.activation)

    def reset_parameters(self) -> None:
        """See `init_gated`."""
        init_gated(self)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, h·w, D) on their grid (h, w) to the same shape."""
        hidden = self.conv(self.fc1(x).transpose(1, 2).unflatten(2, grid))
        return self.fc2(self.act(hidden.flatten(2).transpose(1, 2), grid))


def make_mlp(context: PartContext) -> Part:
    """The MLP that the context names, for tokens of its `dim` channels."""
    return MLPS.get(context.mlp).build(context, MLPS.options("mlp", context.mlp, None))


def init_gated(mlp: Mlp | ConvMlp) -> None:
    """Initialises the weights before a gate so that they keep the variance; others do not change.

    A product of two halves of size s has size s². Weights of 0.02 make s about 0.2, and the branch
    would start at a third of the size of one with GELU. With s = 1 the product has size 1.

    Guarantees:
        The size before and after a new gate (tests/properties/test_alias_free_laws.py).

    Source:
        The variance of a sum of independent terms (LeCun et al. 1998, "Efficient BackProp").
    """
    if mlp.act.multiplies:
        weights = [mlp.fc1.weight] if isinstance(mlp, Mlp) else [mlp.fc1.weight, mlp.conv.weight]
        for weight in weights:
            nn.init.trunc_normal_(weight, std=weight[0].numel() ** -0.5)


class Block(nn.Module, OldBounds):
    """``x + mixer(norm(x))``, then ``x + mlp(norm(x))``.

    Args:
        dim: channels of a token.
        mixer: a module of signature ``(tokens, grid) -> tokens``.
        mlp: another one, for what happens at each token.
        drop_path: rate of stochastic depth of both branches.
        eps: of the normalisations.
        norm: of `NORMS`.
        gain: start of a learned factor of both branches (`BranchGain`); None for none.
    """

    def __init__(
        self,
        dim: int,
        mixer: Part,
        mlp: Part,
        drop_path: float,
        eps: float,
        norm: str = "token",
        gain: float | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = make_norm(norm, dim, eps)
        self.mixer = mixer
        self.gain1 = nn.Identity() if gain is None else BranchGain(dim, gain)
        self.norm2 = make_norm(norm, dim, eps)
        self.mlp = mlp
        self.gain2 = nn.Identity() if gain is None else BranchGain(dim, gain)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: tuple[int, int], attn_mask: Tensor | None = None) -> Tensor:
        """Tokens (B, N, D) on a grid (h, w) to the same shape; a mask is the mixer's affair."""
        mask = () if attn_mask is None else (attn_mask,)
        x = x + self.drop_path(self.gain1(self.mixer(self.norm1(x), grid, *mask)))
        return x + self.drop_path(self.gain2(self.mlp(self.norm2(x), grid)))
