"""Backbones whose tokens have several sizes and weights (tokenizer ``"adaptive"``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from wavevit.layers import ACTIVATIONS, MIXERS, TOKENIZERS
from wavevit.layers.fx_leaf import FxLeaf
from wavevit.layers.padding import pad_to_multiple
from wavevit.layers.positions import NoPosition
from wavevit.layers.token_layout import (
    TokenLayout,
    at_centres,
    layout_of,
    padded_layout,
    painted,
)
from wavevit.layers.tokenizers.adaptive import AdaptiveOptions
from wavevit.models.config import BackboneConfig
from wavevit.models.stage import ColumnStage
from wavevit.wavelets._engine.symbolic_shapes import exporting
from wavevit.wavelets._engine.torch_private import has_forward_hooks, transforms_active

if TYPE_CHECKING:
    from wavevit.models.backbone import Backbone

__all__ = ["WeightedStage", "weighs_tokens", "weighted_entries"]


def weighs_tokens(config: BackboneConfig) -> bool:
    """Whether tokens of several sizes go through the blocks, as one sequence for each image.

    Otherwise the tokenizer gives their map on the finest grid, and the model works as any other.
    """
    stage = config.stages[0]
    return (
        TOKENIZERS.get(config.tokenizer).weighted
        and len(config.stages) == 1
        and MIXERS.get(stage.mixer).takes_weights
        and stage.mlp == "plain"
        and not stage.inject
        and config.norm != "map"
        and not getattr(ACTIVATIONS.get(config.activation), "needs_map", False)
    )


class Painting(FxLeaf):
    """The map of the tokens behind a block: what `feature_info` names."""

    def forward(self, x: Tensor, layout: TokenLayout) -> Tensor:
        """Computed tokens to (B, T + h·w, D)."""
        return layout.map_of(x)


class WeightedStage(FxLeaf, ColumnStage):
    """The stage of a columnar backbone on weighted tokens; its outputs are maps of the finest grid.

    In eager mode candidates of weight 0 are left out. A graph (`torch.compile`, `torch.export`,
    `torch.jit.trace`, transforms of `torch.func`) has fixed sizes: it holds all candidates, or the
    `capacity` heaviest ones.
    """

    def __init__(self, config: BackboneConfig, index: int, drop_path: list[float]) -> None:
        super().__init__(config, index, drop_path)
        self.options: AdaptiveOptions = config.options("tokenizer")
        self.drops = any(rate > 0 for rate in drop_path)
        self.painted = nn.ModuleList(Painting() for _ in self.blocks)

    def layout(self, weights: Tensor, grid: tuple[int, int], prefix: int, rows: bool) -> Any:
        """Which candidates are computed, and their order in memory.

        Args:
            weights: of the candidates (B, M).
            grid: of the finest level.
            prefix: number of tokens in front.
            rows: each image must have a row of its own.
        """
        options = self.options
        facts = (weights, grid, options.levels, prefix)
        if _has_fixed_sizes(weights):
            if options.capacity:
                return padded_layout(*facts, options.capacity)
            return layout_of(*facts, "dense", False)
        return layout_of(*facts, options.backend, rows)

    def _run(self, block: nn.Module, *arguments: Any) -> Any:
        if self.grad_checkpointing and self.training and self.options.backend == "jagged":
            # torch's check of what is computed twice asks nested tensors for a shape, which those
            # inside of their attention do not have: it raises an internal error.
            return checkpoint(block, *arguments, use_reentrant=False, determinism_check="none")
        return super()._run(block, *arguments)

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        grid: tuple[int, int],
        weights: Tensor,
        taps: Sequence[int] | None = None,
        cond: Tensor | None = None,
    ) -> Tensor | list[Tensor]:
        """Candidates (B, T + M, D) to maps of the finest grid (B, T + h·w, D).

        Args:
            x: the first tokens.
            grid: (h, w).
            weights: of the candidates (B, M).
            taps: see `ColumnStage`.
            cond: see `ModulatedBlock`.
        """
        # Stochastic depth and conditions are of an image: it needs a row.
        rows = cond is not None or (self.training and self.drops)
        layout = self.layout(weights, grid, x.shape[1] - weights.shape[1], rows)
        x, kept = layout.taken(x), []
        extra = () if cond is None else (cond,)
        last = len(self.blocks) - 1 if taps is None else taps[-1]
        for index, block in enumerate(self.blocks):
            x = self._run(block, x, grid, layout, *extra)
            wanted = index == last or (taps is not None and index in taps)
            # A hook, as timm's features_only sets them, asks for a map too.
            if wanted or has_forward_hooks(self.painted[index]):
                image = self.painted[index](x, layout)
                if wanted:
                    kept.append(image)
            if index == last:
                break
        return kept[-1] if taps is None else kept


def _has_fixed_sizes(x: Tensor) -> bool:
    """Whether a number of tokens may not depend on the values."""
    return (
        torch.compiler.is_compiling()
        or exporting()
        or x.is_meta
        or transforms_active()
        or type(x) is not Tensor  # fake tensors among others
    )


def _painted(tokens: Tensor, weights: Tensor, grid: tuple[int, int], levels: int) -> Tensor:
    return painted(tokens, weights, grid, levels)


def _placed(
    tokens: Tensor, image: Tensor, placed: Tensor, prefix: int, grid: tuple[int, int], levels: int
) -> Tensor:
    """Candidates with what positions have added to the map, at the middle of each."""
    added = at_centres(placed[:, prefix:] - image, grid, levels)
    return torch.cat([placed[:, :prefix], tokens + added], dim=1)


def _padded(x: Tensor, multiple: int) -> Tensor:
    return pad_to_multiple(x, multiple)


def _leaves_out(x: Tensor, backend: str) -> bool:
    """Whether patches of weight 0 need no token: the reference computes all, and so do graphs."""
    return backend != "dense" and not _has_fixed_sizes(x)


def _grid_of(x: Tensor, patch: int) -> tuple[int, int]:
    return x.shape[-2] // patch, x.shape[-1] // patch


for _name in ("_painted", "_placed", "_padded", "_grid_of", "_leaves_out"):
    torch.fx.wrap(_name)


def weighted_entries(
    self: Backbone, x: Tensor, wanted: Iterable[int], cond: Tensor | None = None
) -> dict[int, tuple[Tensor, tuple[int, int]]]:
    """`Backbone.entries` of a model that `weighs_tokens`."""
    wanted = sorted(set(wanted))
    patch, options = self.config.patch_size, self.config.options("tokenizer")
    levels = options.levels
    x = _padded(x, patch)
    grid = _grid_of(x, patch)
    pair = self.tokenizer(x, True, _leaves_out(x, options.backend))
    tokens, weights = self.token_norm(pair[0]), pair[1]
    if not isinstance(self.position, NoPosition):
        image = _painted(tokens, weights, grid, levels)
        placed = self.placed_tokens(image, grid)
        tokens = _placed(tokens, image, placed, self.num_prefix_tokens, grid, levels)
    elif self.cls_token is not None:
        tokens = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
    taps = None if wanted == [len(self.feature_info) - 1] else wanted
    found = self.stages[0](tokens, grid, weights, taps, cond)
    outputs = found if taps else [found]
    return {i: (item, grid) for i, item in zip(wanted, outputs, strict=True)}
