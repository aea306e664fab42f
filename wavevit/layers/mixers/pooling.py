"""Pooling attention (MViT v2): queries, keys and values are pooled before attention."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_multiple
from wavevit.layers.channels import Source
from wavevit.layers.context import PartContext
from wavevit.layers.heads import merge_heads
from wavevit.layers.options import NoOptions
from wavevit.layers.padding import DepthwiseConv
from wavevit.layers.registry import register_mixer
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.wavelets._engine.symbolic_shapes import known_equal

__all__ = ["PoolingAttention"]


@register_mixer("pooled")
class PoolingAttention(Part):
    """Attention whose queries, keys and values pass a strided depthwise 3 x 3 convolution.

    The pooled queries are added to the output (residual pooling), and a bias of the query's dot
    product with a learned vector per row offset and per column offset replaces positions.

    Args:
        dim: channels of a token coming in.
        out_dim: channels of a token going out.
        num_heads: number of heads, a divisor of `out_dim`; they share the convolutions.
        reduction: stride of the keys and values.
        query_stride: stride of the queries, and so of the output.
        relative_grid: (h, w) of the training size, for the tables of relative positions, which
            are resampled to other sizes; None for no such bias.
        qkv_bias: whether queries, keys and values have a bias.
        padding: ``"circular"`` keeps shifts by the strides exactly where they divide the grid:
            the convolutions and the offsets wrap. ``"zeros"`` is MViT's.
        eps: of the norms behind the convolutions. The bias of the keys' norm moves all scores
            of a query alike and so learns nothing; timm's weights have it.

    Raises:
        ValueError: `num_heads` does not divide `out_dim`.

    Source:
        Li et al. 2022 (MViT v2), sections 3.1 and 4.1; resampling as in their code.
    """

    reads_heads = True
    hosts = ("relative_bias",)

    def __init__(
        self,
        dim: int,
        out_dim: int,
        num_heads: int,
        reduction: int = 1,
        query_stride: int = 1,
        relative_grid: tuple[int, int] | None = None,
        qkv_bias: bool = True,
        padding: str = "zeros",
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        check_multiple("embed_dim", out_dim, num_heads)
        self.num_heads, self.query_stride, self.reduction = num_heads, query_stride, reduction
        self.circular = padding == "circular"
        head_dim = out_dim // num_heads
        self.qkv = nn.Linear(dim, 3 * out_dim, bias=qkv_bias)
        self.proj = nn.Linear(out_dim, out_dim)
        self.pool_q = DepthwiseConv(head_dim, 3, padding, bias=False, stride=query_stride)
        self.pool_k = DepthwiseConv(head_dim, 3, padding, bias=False, stride=reduction)
        self.pool_v = DepthwiseConv(head_dim, 3, padding, bias=False, stride=reduction)
        self.norm_q = nn.LayerNorm(head_dim, eps=eps)
        self.norm_k = nn.LayerNorm(head_dim, eps=eps)
        self.norm_v = nn.LayerNorm(head_dim, eps=eps)
        self.rel_pos_h = self.rel_pos_w = None
        if relative_grid is not None:
            rows, columns = (self._table_length(side) for side in relative_grid)
            self.rel_pos_h = nn.Parameter(torch.empty(rows, head_dim))
            self.rel_pos_w = nn.Parameter(torch.empty(columns, head_dim))
            nn.init.trunc_normal_(self.rel_pos_h, std=0.02)
            nn.init.trunc_normal_(self.rel_pos_w, std=0.02)
        self.symmetry = Symmetry(math.lcm(query_stride, reduction), circular=self.circular)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions, query_stride: int = 1) -> Self:
        """The mixer for a place in a backbone; with `query_stride`, of a downsampling."""
        return cls(
            context.dim,
            context.out_dim,
            context.num_heads,
            context.reduction,
            query_stride,
            context.grid if context.position == "relative_bias" else None,
            context.qkv_bias,
            context.padding,
            context.norm_eps,
        )

    def _table_length(self, side: int) -> int:
        """Offsets between a query and a key on that side, in steps that both strides share."""
        return 2 * -(-side // math.gcd(self.query_stride, self.reduction)) - 1

    def _pooled(self, x: Tensor, grid: tuple[int, int], conv: nn.Module, norm: nn.Module) -> Tensor:
        """(B, heads, h·w, d) to (B, heads, fewer, d)."""
        image = x.flatten(0, 1).transpose(1, 2).unflatten(2, grid)
        return norm(conv(image).flatten(2).transpose(1, 2).unflatten(0, (-1, self.num_heads)))

    def _offset_vectors(self, table: Tensor, side: int) -> Tensor:
        """The learned vector of each offset on one axis: (queries, keys, d)."""
        step = math.gcd(self.query_stride, self.reduction)
        length = self._table_length(side)
        if not known_equal(len(table), length):
            table = _stretched(table, length)
        queries = torch.arange(0, side, self.query_stride, device=table.device)
        keys = torch.arange(0, side, self.reduction, device=table.device)
        offsets = queries[:, None] - keys[None, :]
        if self.circular:  # the shorter way round; from the middle of the table
            offsets = (offsets + side // 2) % side - side // 2
            return table[offsets // step + length // 2]
        # MViT counts from the smallest offset, which strides move away from the table's start.
        return table[offsets // step + (keys.shape[0] - 1) * (self.reduction // step)]

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """Tables of relative positions resampled, by what `forward` does at other sizes."""
        own = {"rel_pos_h": self.rel_pos_h, "rel_pos_w": self.rel_pos_w}
        return {
            name: _stretched(state[name], len(table))
            for name, table in own.items()
            if table is not None and name in state and len(state[name]) != len(table)
        }

    def resize(self, grid: tuple[int, int]) -> None:
        """Makes `grid` the training size, in place: tables of relative positions are resampled.

        Args:
            grid: of the tokens that come in.
        """
        for name, side in zip(("rel_pos_h", "rel_pos_w"), grid, strict=True):
            table, length = getattr(self, name), self._table_length(side)
            if table is not None and len(table) != length:
                moved = _stretched(table.detach(), length)
                setattr(self, name, nn.Parameter(moved, table.requires_grad))

    def resize_to(self, context: PartContext, options: NoOptions) -> None:
        """Tables of relative positions for the grid of the context."""
        self.resize(context.grid)

    def _bias(self, q: Tensor, grid: tuple[int, int]) -> Tensor | None:
        """What the offsets add to the scores of queries (B, heads, N, d): (B, heads, N, M)."""
        if self.rel_pos_h is None or self.rel_pos_w is None:
            return None
        rows = self._offset_vectors(self.rel_pos_h, grid[0]).to(q.dtype)
        columns = self._offset_vectors(self.rel_pos_w, grid[1]).to(q.dtype)
        q = q.unflatten(2, (rows.shape[0], columns.shape[0]))
        by_row = torch.einsum("bnhwd,hkd->bnhwk", q, rows)
        by_column = torch.einsum("bnhwd,wkd->bnhwk", q, columns)
        return (by_row[..., :, None] + by_column[..., None, :]).flatten(4).flatten(2, 3)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, h·w, dim) on grid (h, w) to (B, ⌈h/s⌉·⌈w/s⌉, out_dim) of query stride s."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        q = self._pooled(q, grid, self.pool_q, self.norm_q)
        k = self._pooled(k, grid, self.pool_k, self.norm_k)
        v = self._pooled(v, grid, self.pool_v, self.norm_v)
        x = q + F.scaled_dot_product_attention(q, k, v, attn_mask=self._bias(q, grid))
        return self.proj(merge_heads(x))


def _stretched(table: Tensor, length: int) -> Tensor:
    """A table of one vector for each offset, (offsets, d), resampled to `length` offsets."""
    return F.interpolate(table.T[None].float(), length, mode="linear")[0].T.to(table.dtype)
