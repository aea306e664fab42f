"""`encode` and `maps`: a backbone for tasks that hide tokens, order them or condition them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wavevit.checks import fail
from wavevit.layers import ACTIVATIONS, MIXERS, POSITIONS
from wavevit.layers.blocks import Mlp
from wavevit.layers.modulation import ModulatedBlock
from wavevit.models.masking import attention_mask, refuse_mask

if TYPE_CHECKING:
    from wavevit.models.backbone import Backbone

__all__ = ["encode", "maps", "why_no_subset"]


def why_no_subset(backbone: Backbone) -> str | None:
    """Why a backbone cannot encode a part of its tokens; None if it can."""
    config = backbone.config
    if config.alignment != "none":
        return f"alignment={config.alignment!r} moves the tokens to other places"
    if len(config.stages) > 1:
        return "a hierarchical model needs the whole grid in each stage"
    if backbone.weighs_tokens:
        return f"tokenizer={config.tokenizer!r} has tokens of several sizes"
    stage = config.stages[0]
    if not MIXERS.get(stage.mixer).takes_mask:
        return f"mixer={stage.mixer!r} needs the whole grid"
    if POSITIONS.get(config.position).inside_mixers:
        return f"position={config.position!r} needs the whole grid in each block"
    if stage.inject:
        return "injected details need the whole grid"
    plain = all(isinstance(block.mlp, Mlp) for block in backbone.stages[0].blocks)  # type: ignore
    if not plain or getattr(ACTIVATIONS.get(config.activation), "needs_map", False):
        return "its MLP needs the whole grid"
    return None


def _check_cond(backbone: Backbone, cond: Tensor | None) -> None:
    if cond is None:
        return
    if backbone.alignment is not None:
        fail("cond", "None for a backbone with an alignment", "a condition")
    if not any(isinstance(module, ModulatedBlock) for module in backbone.modules()):
        fail("cond", "None (no block of this backbone is a ModulatedBlock)", "a condition")


def encode(
    self: Backbone,
    tokens: Tensor,
    grid: tuple[int, int],
    keep: Tensor | None = None,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    cond: Tensor | None = None,
) -> Tensor:
    """Tokens of a columnar backbone through positions, blocks and the final norm.

    Args:
        tokens: (B, h·w, D), as `tokenize` gives them; positions are added here.
        grid: (h, w).
        keep: (B, K) integers: the tokens that go through the blocks; None for all.
        attn_mask: see `Backbone.forward_features`.
        is_causal: see there.
        cond: (B, E), the condition of blocks that are a `ModulatedBlock`.

    Returns:
        (B, T + K, D), the class token first where there is one.

    Raises:
        ValueError: a hierarchical backbone, or one that cannot use `keep`, a mask or `cond`.
    """
    if len(self.config.stages) > 1:
        fail("backbone", "one stage (a hierarchical model encodes maps: `maps`)", "several")
    if self.weighs_tokens:
        fail("backbone", "tokens of one size", f"tokenizer={self.config.tokenizer!r}")
    if self.config.stages[0].inject:
        fail("backbone", "no injected details (they come from an image)", "inject=True")
    if keep is not None and (reason := why_no_subset(self)) is not None:
        fail("keep", f"None ({reason})", "tokens to keep")
    if attn_mask is not None or is_causal:
        refuse_mask(self.config)
    _check_cond(self, cond)
    tokens = self.placed_tokens(tokens, grid)
    if keep is not None:
        prefix, places = tokens.split([self.num_prefix_tokens, grid[0] * grid[1]], dim=1)
        places = places.gather(1, keep[..., None].expand(-1, -1, places.shape[2]))
        tokens = torch.cat([prefix, places], dim=1)
    mask = (
        attention_mask(attn_mask, is_causal, tokens) if is_causal or attn_mask is not None else None
    )
    encoded: Tensor = self.norm(self.stages[0](tokens, grid, None, mask, None, cond))
    return encoded


def maps(self: Backbone, x: Tensor, cond: Tensor | None = None) -> list[Tensor]:
    """The map of every stage at its true stride, finest first.

    Args:
        x: images (B, C, H, W).
        cond: (B, E), the condition of blocks that are a `ModulatedBlock`.

    Returns:
        For each stage (B, D, ⌈H/s⌉, ⌈W/s⌉); the last one is normalised. A columnar model has one.

    Raises:
        ValueError: images of a wrong shape or size, or a condition that no block can use.
    """
    _check_cond(self, cond)
    count = len(self.feature_info)
    wanted = [count - 1] if len(self.config.stages) == 1 else list(range(count))

    def of_view(view: Tensor) -> list[Tensor]:
        entries = self.entries(view, wanted, cond=cond)
        return [self.split_tokens(*entries[index], True, index)[1] for index in wanted]

    found: list[Tensor] = self.aligned(of_view, x, placed=True)
    return found
