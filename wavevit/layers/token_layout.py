"""Weighted tokens of several sizes: which are computed, their attention, and their map.

Candidates are all nodes of a quadtree, finest level first, rows before columns, behind the prefix
tokens. A candidate of weight 0 has no influence on any other, so it need not be computed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import fail
from wavevit.layers.heads import merge_heads
from wavevit.layers.rotary import Rotary
from wavevit.wavelets._engine.torch_private import is_derived

__all__ = [
    "BACKENDS",
    "TokenLayout",
    "at_centres",
    "layout_of",
    "level_grids",
    "padded_layout",
    "painted",
    "present",
]

#: How attention runs over images with different numbers of tokens. ``"dense"``: all candidates,
#: those of weight 0 masked (the reference, and what graphs hold); ``"padded"``: the tokens that
#: have weight, filled up to the longest image for the attention alone (long sequences on a CPU:
#: image by image, without filling); ``"jagged"``: nested tensors; ``"flex"``: one sequence with a
#: block mask, compiled on CUDA.
BACKENDS = ("dense", "padded", "jagged", "flex")


# Tokens of an image, on average, from which a CPU computes attention for each image alone: a call
# costs little then, and padding costs as the square of the longest image.
_LONG = 64


def level_grids(grid: tuple[int, int], levels: int) -> list[tuple[int, int]]:
    """Rows and columns of each level that has nodes, finest first."""
    grids = [(grid[0] >> level, grid[1] >> level) for level in range(levels)]
    return [grid for grid in grids if grid[0] and grid[1]]


def present(weights: Tensor) -> Tensor:
    """Which candidates are tokens: those of positive weight, and those whose weight is NaN.

    An image with NaN pixels has weights that are NaN. Its tokens must be computed, so that the
    output is NaN too and not the answer to an image without tokens.
    """
    return (weights <= 0).logical_not()


def centres(grid: tuple[int, int], levels: int, prefix: int, device: torch.device) -> Tensor:
    """Middle of each candidate in finest cells, (T + M, 2); 0 for the prefix."""
    places = [torch.zeros(prefix, 2, device=device, dtype=torch.float64)]
    for level, (rows, columns) in enumerate(level_grids(grid, levels)):
        side = 1 << level
        row, column = (
            torch.arange(count, device=device, dtype=torch.float64) * side + (side - 1) / 2
            for count in (rows, columns)
        )
        row, column = row[:, None].expand(-1, columns), column.expand(rows, -1)
        places.append(torch.stack([row, column], dim=-1).flatten(0, 1))
    return torch.cat(places)


def at_centres(vectors: Tensor, grid: tuple[int, int], levels: int) -> Tensor:
    """Vectors of the finest cells (B, h·w, D), interpolated at the middle of each candidate.

    The middle of a larger node is a corner of four cells: bilinear interpolation is their mean.
    """
    image, found = vectors.unflatten(1, grid), [vectors]
    for level, (rows, columns) in enumerate(level_grids(grid, levels)[1:], start=1):
        side = 1 << level
        cells = image[:, : rows * side, : columns * side].unflatten(2, (columns, side))
        cells = cells.unflatten(1, (rows, side))  # (B, rows, side, columns, side, D)
        middle = slice(side // 2 - 1, side // 2 + 1)
        found.append(cells[:, :, middle, :, middle].mean(dim=(2, 4)).flatten(1, 2))
    return torch.cat(found, dim=1)


def painted(tokens: Tensor, weights: Tensor, grid: tuple[int, int], levels: int) -> Tensor:
    """Weighted sums of the candidates that cover each finest cell: a map of the tokens.

    Args:
        tokens: candidates (B, M, D).
        weights: (B, M).
        grid: rows and columns of the finest level.
        levels: number of levels.

    Returns:
        (B, h·w, D).
    """
    grids = level_grids(grid, levels)
    parts = (tokens * weights[..., None].to(tokens.dtype)).split([r * c for r, c in grids], dim=1)
    # From the largest patches down, so that each level is read and written once.
    image = parts[-1].unflatten(1, grids[-1])
    for (rows, columns), part in zip(reversed(grids[:-1]), reversed(parts[:-1]), strict=True):
        finer = part.unflatten(1, (rows, columns))
        height, width = image.shape[1:3]
        split = finer[:, : 2 * height, : 2 * width].unflatten(2, (width, 2))
        split = split.unflatten(1, (height, 2)) + image[:, :, None, :, None]
        image = split.flatten(3, 4).flatten(1, 2)
        if (rows, columns) != (2 * height, 2 * width):  # cells beyond the last larger patch
            image = torch.cat([image, finer[:, : 2 * height, 2 * width :]], dim=2)
            image = torch.cat([image, finer[:, 2 * height :]], dim=1)
    return image.flatten(1, 2)


@dataclass(frozen=True)
class TokenLayout:
    """The candidates that are computed, and how they lie in memory.

    Attributes:
        weights: of all candidates (B, M).
        grid: of the finest level.
        levels: of the quadtree.
        prefix: tokens before the candidates, of weight 1 (the class token).
        backend: of `BACKENDS`.
        logs: logarithm of each weight, as `attend` needs it: (B, 1, 1, N) to be added to scores, or
            (ΣN) of one sequence. It is made once for all blocks, outside of a checkpoint.
        kept: positions in the flat (B · (T + M)) list of those that are computed; None for all.
        counts: how many of each image are computed, where some are not.
        uniform: how many of every image are computed, where it is the same number; else 0.
        padded: computed tokens lie in (B, L, D) with padding, not in one sequence (1, ΣN, D).
        ends: where each image's tokens end in one sequence, after a 0, for nested tensors. torch
            takes two nested tensors for equally long only if this is the same tensor: so it is made
            once too.
        slots: place of each computed token in (B, L) with L the longest image, where images have
            different numbers.
        alone: the attention of one sequence takes the images one after another, without padding.
    """

    weights: Tensor
    grid: tuple[int, int]
    levels: int
    prefix: int
    backend: str
    logs: Tensor
    kept: Tensor | None = None
    counts: tuple[int, ...] = ()
    uniform: int = 0
    padded: bool = False
    ends: Tensor | None = None
    slots: Tensor | None = None
    alone: bool = False

    @property
    def _batch(self) -> int:
        return self.weights.shape[0]

    def _filled(self, packed: Tensor) -> Tensor:
        """A sequence (ΣN, …) as (B, L, …), padded with 0."""
        if self.slots is None:
            return packed.unflatten(0, (self._batch, self.uniform))
        return _in_rows(packed, self.slots, (self._batch, max(self.counts)), 0.0)

    def _unfilled(self, filled: Tensor) -> Tensor:
        flat = filled.flatten(0, 1)
        return flat if self.slots is None else flat.index_select(0, self.slots)

    def taken(self, tokens: Tensor) -> Tensor:
        """Of candidates (B, T + M, D) those that are computed."""
        if self.kept is None:
            return tokens
        packed = tokens.flatten(0, 1).index_select(0, self.kept)
        return self._filled(packed) if self.padded else packed[None]

    def spread(self, x: Tensor) -> Tensor:
        """Computed tokens to candidates (B, T + M, D), 0 for the others: inverse of `taken`."""
        if self.kept is None:
            return x
        packed = self._unfilled(x) if self.padded else x[0]
        count = self.prefix + self.weights.shape[1]
        empty = packed.new_zeros(self._batch * count, packed.shape[1])
        return empty.index_copy(0, self.kept, packed).unflatten(0, (self._batch, count))

    def map_of(self, x: Tensor) -> Tensor:
        """Computed tokens to prefix tokens and a map of the finest cells, (B, T + h·w, D)."""
        x = self.spread(x)
        places = painted(x[:, self.prefix :], self.weights, self.grid, self.levels)
        return torch.cat([x[:, : self.prefix], places], dim=1) if self.prefix else places

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, rotary: Rotary | None, scale: float | None = None
    ) -> Tensor:
        """Attention of each image's tokens to each other, every key's score raised by its log w.

        So a token of weight w counts w times, and one whose weight goes to 0 fades out.

        Args:
            q, k, v: (B, heads, N, d), or (1, heads, ΣN, d) of one sequence.
            rotary: rotations by the middle of each token.
            scale: factor of the scores before the logarithms are added; ``d ** -0.5`` by default.

        Returns:
            (B, N, heads · d) or (1, ΣN, heads · d).
        """
        if rotary is not None:
            q, k = (self._rotated(t, rotary) for t in (q, k))
        logs = self.logs.to(q.dtype)
        if self.kept is None or self.padded:
            return merge_heads(F.scaled_dot_product_attention(q, k, v, logs, scale=scale))
        function = _ON_ONE_SEQUENCE.get(self.backend)
        if function is not None:
            return function(q, k, v, logs, self, scale)
        if self.alone:
            rows = (t.split(self.counts, dim=2) for t in (q, k, v))
            own = logs[None, None, None].split(self.counts, dim=-1)
            found = (
                F.scaled_dot_product_attention(one, two, three, bias, scale=scale)
                for one, two, three, bias in zip(*rows, own, strict=True)
            )
            return torch.cat([merge_heads(image) for image in found], dim=1)
        q, k, v = (self._filled(t[0].transpose(0, 1)).transpose(1, 2) for t in (q, k, v))
        out = merge_heads(F.scaled_dot_product_attention(q, k, v, logs, scale=scale))
        return self._unfilled(out)[None]

    def _rotated(self, x: Tensor, rotary: Rotary) -> Tensor:
        places = centres(self.grid, self.levels, self.prefix, x.device)
        places = places.expand(self._batch, -1, -1)
        if self.kept is not None:
            places = self.taken(places)
        return rotary.at(x, places, self.grid)


def layout_of(
    weights: Tensor, grid: tuple[int, int], levels: int, prefix: int, backend: str, padded: bool
) -> TokenLayout:
    """The layout in which candidates of weight 0 are left out.

    Args:
        weights: of all candidates (B, M).
        grid, levels, prefix, backend, padded: see `TokenLayout`.
    """
    logs = _logarithms(weights, prefix)
    if backend == "dense" or weights.shape[0] == 0:
        return TokenLayout(weights, grid, levels, prefix, "dense", logs[:, None, None])
    computed = F.pad(present(weights), (prefix, 0), value=True)
    counts = tuple(computed.sum(dim=1).tolist())
    kept = computed.flatten().nonzero()[:, 0]
    uniform = counts[0] if min(counts) == max(counts) else 0
    slots = None if uniform else _slots(counts, weights.device)
    logs = logs.flatten().index_select(0, kept)
    alone = (
        backend == "padded"
        and not padded
        and not uniform
        and weights.device.type == "cpu"
        and sum(counts) >= _LONG * len(counts)
    )
    if not alone and (padded or backend not in _ON_ONE_SEQUENCE):
        shape = (len(counts), max(counts))
        rows = (
            logs.unflatten(0, shape) if slots is None else _in_rows(logs, slots, shape, -torch.inf)
        )
        logs = rows[:, None, None]
    ends = torch.tensor([0, *counts], device=weights.device).cumsum(0)
    facts = (weights, grid, levels, prefix, backend, logs)
    return TokenLayout(*facts, kept, counts, uniform, padded, ends, slots, alone)


def _logarithms(weights: Tensor, prefix: int) -> Tensor:
    """Logarithm of each candidate's weight (B, T + M), minus infinity for 0, 0 for the prefix."""
    logs = weights.clamp_min(torch.finfo(weights.dtype).tiny).log()
    # A derivative by a weight of 0 is 0, and not NaN.
    logs = torch.where(present(weights), logs, torch.full_like(logs, -torch.inf))
    return F.pad(logs, (prefix, 0))


def _in_rows(packed: Tensor, slots: Tensor, shape: tuple[int, int], value: float) -> Tensor:
    """A sequence (ΣN, …) as (B, L, …), filled with `value`."""
    empty = packed.new_full((shape[0] * shape[1], *packed.shape[1:]), value)
    return empty.index_copy(0, slots, packed).unflatten(0, shape)


def _slots(counts: Sequence[int], device: torch.device) -> Tensor:
    """Place of each token of one sequence in (B, L) with L the longest image."""
    numbers = torch.tensor(counts, device=device)
    first = numbers.cumsum(0) - numbers
    row = torch.repeat_interleave(numbers)
    return row * max(counts) + torch.arange(len(row), device=device) - first[row]


def padded_layout(
    weights: Tensor, grid: tuple[int, int], levels: int, prefix: int, most: int
) -> TokenLayout:
    """The layout of the `most` heaviest candidates of each image, for graphs of fixed sizes."""
    most = min(most, weights.shape[1])
    heaviest = weights.topk(most, dim=1).indices.sort(dim=1).values
    total = prefix + weights.shape[1]
    first = torch.arange(prefix, device=weights.device).expand(weights.shape[0], -1)
    places = torch.cat([first, heaviest + prefix], dim=1)
    start = torch.arange(weights.shape[0], device=weights.device)[:, None] * total
    kept = (places + start).flatten()
    count = prefix + most
    logs = _logarithms(weights, prefix).flatten().index_select(0, kept)
    logs = logs.unflatten(0, (weights.shape[0], count))[:, None, None]
    return TokenLayout(weights, grid, levels, prefix, "padded", logs, kept, (), count, True)


def _jagged(
    q: Tensor, k: Tensor, v: Tensor, logs: Tensor, layout: TokenLayout, scale: float | None
) -> Tensor:
    """Nested tensors. Their attention takes no bias: one more channel makes it an inner product."""
    width = q.shape[-1]
    factor = width**-0.5 if scale is None else scale
    rest = -(width + 1) % 8  # fused kernels take multiples of 8
    q = F.pad(F.pad(q, (0, 1), value=1.0), (0, rest))
    extra = (logs / factor)[None, None, :, None].expand(1, k.shape[1], -1, 1)
    k, v = F.pad(torch.cat([k, extra], dim=3), (0, rest)), F.pad(v, (0, 1 + rest))
    ends, least, most = layout.ends, min(layout.counts), max(layout.counts)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The PyTorch API of nested tensors", UserWarning)

        def nested(x: Tensor) -> Tensor:
            rows = x[0].transpose(0, 1).contiguous()
            jagged: Tensor = torch.nested.nested_tensor_from_jagged(
                rows, ends, min_seqlen=least, max_seqlen=most
            )
            return jagged.transpose(1, 2)

        out = F.scaled_dot_product_attention(nested(q), nested(k), nested(v), scale=factor)
        found: Tensor = out.transpose(1, 2).values()
    return found[..., :width].flatten(1)[None]


def _flex(
    q: Tensor, k: Tensor, v: Tensor, logs: Tensor, layout: TokenLayout, scale: float | None
) -> Tensor:
    """One sequence, in which a block mask keeps the images apart."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    if not q.is_cuda and is_derived(q, k, v, logs):
        fail("backend", "one that has gradients on this device", "'flex'")
    image = torch.repeat_interleave(torch.tensor(layout.counts, device=q.device))
    length = len(image)

    def same(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return image[i] == image[j]

    def raised(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return score + logs[j]

    mask = create_block_mask(same, None, None, length, length, device=q.device)
    function = torch.compile(flex_attention) if q.is_cuda else flex_attention
    return merge_heads(function(q, k, v, score_mod=raised, block_mask=mask, scale=scale))


# Backends of attention on one sequence of all images.
_ON_ONE_SEQUENCE = {"jagged": _jagged, "flex": _flex}
