"""Attention masks: which tokens a token may attend to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wavevit.checks import fail
from wavevit.layers import MIXERS, TOKENIZERS

if TYPE_CHECKING:
    from wavevit.models.config import BackboneConfig

__all__ = ["attention_mask", "refuse_mask", "why_no_mask"]


def refuse_mask(config: BackboneConfig) -> None:
    """Raises an error if a model cannot use a mask over all tokens.

    Raises:
        ValueError: the model has an alignment, which moves the image but not the mask; more than
            one stage, which have different tokens; or a mixer without scores between all tokens.
    """
    reason = why_no_mask(config)
    if reason is not None:
        fail("attn_mask and is_causal", f"None and False ({reason})", "a mask")


def why_no_mask(config: BackboneConfig) -> str | None:
    """Why a model cannot use a mask over all tokens; None if it can."""
    if config.alignment != "none":
        return f"alignment={config.alignment!r} moves the tokens to other places"
    if len(config.stages) > 1:
        return "a hierarchical model has other tokens in each stage"
    if TOKENIZERS.get(config.tokenizer).weighted:
        return f"tokenizer={config.tokenizer!r} has tokens of several sizes"
    if not MIXERS.get(config.stages[0].mixer).takes_mask:
        return f"mixer={config.stages[0].mixer!r} has no scores between all tokens"
    return None


def attention_mask(mask: Tensor | None, causal: bool, tokens: Tensor) -> Tensor | None:
    """The mask for a block: the caller's mask, without later tokens if `causal`.

    Args:
        mask: mask of rank 2 or 4, see `Backbone.forward_features`.
        causal: also exclude later tokens.
        tokens: (B, N, D).

    Raises:
        ValueError: a mask of another shape or dtype.
    """
    batch, count = tokens.shape[:2]
    if mask is not None:
        if not isinstance(mask, Tensor):
            fail("attn_mask", "a tensor (N, N) or (B, heads, N, N)", type(mask).__name__)
        if mask.ndim not in (2, 4):
            expected = "shape (N, N) or (B, heads, N, N), sides of 1 spread out"
            fail("attn_mask", expected, f"shape {tuple(mask.shape)}")
        if any(side not in (1, count) for side in mask.shape[-2:]) or (
            mask.ndim == 4 and mask.shape[0] not in (1, batch)
        ):
            expected = f"one that fits {batch} images of {count} tokens, class token included"
            fail("attn_mask", expected, f"shape {tuple(mask.shape)}")
        if mask.dtype != torch.bool and not mask.is_floating_point():
            fail("attn_mask", "booleans (True: attend) or numbers added to scores", mask.dtype)
    if not causal:
        return mask if mask is None or mask.dtype == torch.bool else mask.to(tokens.dtype)
    seen = torch.ones(count, count, dtype=torch.bool, device=tokens.device).tril()
    if mask is None:
        return seen
    if mask.dtype == torch.bool:
        return mask & seen
    return mask.to(tokens.dtype).masked_fill(~seen, -torch.inf)
