"""Downsampling by attention (MViT v2): a block with pooled queries."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.blocks import DropPath, make_mlp
from wavevit.layers.context import PartContext
from wavevit.layers.mixers import PoolingAttention
from wavevit.layers.norms import make_norm
from wavevit.layers.options import NoOptions
from wavevit.layers.padding import pad_map
from wavevit.layers.registry import register_downsample
from wavevit.layers.symmetry import Part, Symmetry

__all__ = ["AttentionDownsample"]


@register_downsample("attention")
class AttentionDownsample(Part):
    """A pre-norm block that halves the grid and changes the channels inside its attention.

    Its shortcut cannot be the identity: it is the maximum over overlapping 3 x 3 tokens, of the
    tokens themselves or, where the channels change, of a linear map of the normalised ones. In
    MViT's own count it is the first block of the stage that it leads into.

    Args:
        dim: channels coming in.
        mixer: attention with a query stride of 2, from `dim` to its own channels.
        mlp: what happens at each token of the smaller grid.
        out_dim: channels going out.
        padding: borders of the maximum, ``"zeros"`` (nothing beyond them) or ``"circular"``.
        drop_path: rate of stochastic depth of both branches.
        eps: of the norms.
        norm: of `NORMS`.

    Source:
        Li et al. 2022 (MViT v2), section 4.1 and figure 2.
    """

    reads_heads = True
    hosts = PoolingAttention.hosts

    def __init__(
        self,
        dim: int,
        out_dim: int,
        mixer: PoolingAttention,
        mlp: Part,
        padding: str,
        drop_path: float,
        eps: float = 1e-6,
        norm: str = "token",
    ) -> None:
        super().__init__()
        self.padding = padding
        self.norm1 = make_norm(norm, dim, eps)
        self.mixer = mixer
        self.shortcut = nn.Linear(dim, out_dim) if dim != out_dim else None
        self.norm2 = make_norm(norm, out_dim, eps)
        self.mlp = mlp
        self.drop_path = DropPath(drop_path)
        self.symmetry = Symmetry.combine([mixer.symmetry, mlp.symmetry.at_stride(2)])

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(
            context.dim,
            context.out_dim,
            PoolingAttention.build(context, options, query_stride=2),
            make_mlp(replace(context, dim=context.out_dim)),
            context.padding,
            context.drop_path,
            context.norm_eps,
            context.norm,
        )

    def resize_to(self, context: PartContext, options: NoOptions) -> None:
        """Tables of relative positions for the grid of the context."""
        self.mixer.resize(context.grid)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        """Tokens (B, h·w, D) on grid (h, w) to those on (⌈h/2⌉, ⌈w/2⌉), and that grid."""
        normed = self.norm1(x)
        shortcut = x if self.shortcut is None else self.shortcut(normed)
        image = shortcut.transpose(1, 2).unflatten(2, grid)
        if self.padding == "circular":
            image = F.max_pool2d(pad_map(image, 1, self.padding), 3, stride=2)
        else:
            image = F.max_pool2d(image, 3, stride=2, padding=1)
        smaller = (image.shape[-2], image.shape[-1])
        x = image.flatten(2).transpose(1, 2) + self.drop_path(self.mixer(normed, grid))
        return x + self.drop_path(self.mlp(self.norm2(x), smaller)), smaller
