"""Intermediate features of a backbone, with timm's interface."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from wavevit.checks import check_choice, fail
from wavevit.models.masking import refuse_mask
from wavevit.models.stage import ColumnStage, as_tokens

if TYPE_CHECKING:
    from wavevit.models.backbone import Backbone

__all__ = [
    "forward_intermediates",
    "get_intermediate_layers",
    "prune_intermediate_layers",
    "taken_indices",
]


def taken_indices(count: int, indices: int | Sequence[int] | None) -> list[int]:
    """Resolves entries of a list of `count`, negatives included, in the order given.

    Args:
        count: entries that there are.
        indices: a number ``n`` means the last ``n``, None all.

    Raises:
        ValueError: no integers, an index outside the list, or none at all.
    """
    if indices is None:
        return list(range(count))
    if isinstance(indices, int):
        if not 1 <= indices <= count:
            fail("indices", f"a number of entries from 1 to {count}", indices)
        return list(range(count - indices, count))
    listed = isinstance(indices, Collection) and not isinstance(indices, str)
    if not listed or not all(isinstance(index, Integral) for index in indices):
        fail("indices", "an integer, or a list of integers", repr(indices))
    if not len(indices):
        fail("indices", f"at least one of the entries 0 to {count - 1}", indices)
    for index in indices:
        if not -count <= index < count:
            fail("indices", f"numbers from {-count} to {count - 1}", index)
    return [index % count for index in indices]


def forward_intermediates(
    self: Backbone,
    x: Tensor,
    indices: int | Sequence[int] | None = None,
    return_prefix_tokens: bool = False,
    norm: bool = False,
    stop_early: bool = False,
    output_fmt: str = "NCHW",
    intermediates_only: bool = False,
    output_dict: bool = False,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
) -> Any:
    """Intermediate features: outputs of the modules that `feature_info` names.

    Args:
        x: images (B, C, H, W).
        indices: entries of `feature_info`; a number ``n`` means the last ``n``, None all.
        return_prefix_tokens: return pairs of a map and the prefix tokens (B, T, D); a model
            without prefix tokens returns maps.
        norm: apply the final norm: to every intermediate of a columnar model, to the last entry of
            a hierarchical model. The last is then the map of `forward_features`. With ``fc_norm``
            or ``stage_norm`` there is no such norm.
        stop_early: stop after the last chosen entry; the final features are then those of this
            entry, normalised if the norm fits them.
        output_fmt: ``"NCHW"`` maps or ``"NLC"`` sequences (without the class token).
        intermediates_only: do not return the final features; layers after the last chosen
            entry do not run.
        output_dict: return a dict with ``image_intermediates``, ``image_intermediates_prefix`` (if
            prefix tokens are requested and exist) and ``image_features``.
        attn_mask: see `Backbone.forward_features`.
        is_causal: see there.

    Returns:
        A list of intermediates, or ``(final features, list)``, or a dict. The list is always
        ordered from the first entry to the last, each once, as in timm.

    Raises:
        ValueError: an index outside `feature_info`, another format, or a mask that this model
            cannot use.
    """
    check_choice("output_fmt", output_fmt, ("NCHW", "NLC"))
    if attn_mask is not None or is_causal:
        refuse_mask(self.config)
    chosen = sorted(set(self.feature_indices(indices)))
    early = stop_early or intermediates_only
    end = chosen[-1] if early else len(self.feature_info) - 1

    has_prefix = return_prefix_tokens and self.num_prefix_tokens > 0
    # An alignment moves maps; without one, what is asked for as a sequence stays one.
    form = output_fmt if self.alignment is None else "NCHW"

    def of_view(view: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        entries = self.entries(view, [*chosen, end], attn_mask, is_causal)
        kept = [self.split_tokens(*entries[index], norm, index, form) for index in chosen]
        prefixes = [pair[0] for pair in kept] if has_prefix else []
        final = [] if intermediates_only else self.final_features(*entries[end], end, placed=True)
        return [pair[1] for pair in kept], prefixes, final

    maps, prefixes, final = self.aligned(of_view, x, placed=True)
    if output_fmt != form:
        maps = [as_tokens(item) for item in maps]
    if output_dict:
        found = {"image_intermediates": maps}
        if has_prefix:
            found["image_intermediates_prefix"] = prefixes
        if not intermediates_only:
            found["image_features"] = self.joined(*final)
        return found
    if has_prefix:
        maps = list(zip(maps, prefixes, strict=True))
    return maps if intermediates_only else (self.joined(*final), maps)


def get_intermediate_layers(
    self: Backbone,
    x: Tensor,
    n: int | Sequence[int] = 1,
    reshape: bool = False,
    return_prefix_tokens: bool = False,
    norm: bool = False,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
) -> list[Any]:
    """Intermediate features with DINO's interface: sequences by default.

    Args:
        x: images (B, C, H, W).
        n: entries of `feature_info`, as `indices` of `forward_intermediates`.
        reshape: return maps (B, D, h, w) instead of sequences (B, h·w, D).
        return_prefix_tokens: see `forward_intermediates`.
        norm: see there.
        attn_mask: see there.
        is_causal: see there.
    """
    found: list[Any] = forward_intermediates(
        self,
        x,
        n,
        return_prefix_tokens,
        norm,
        output_fmt="NCHW" if reshape else "NLC",
        intermediates_only=True,
        attn_mask=attn_mask,
        is_causal=is_causal,
    )
    return found


def prune_intermediate_layers(
    self: Backbone,
    indices: int | Sequence[int] = 1,
    prune_norm: bool = False,
    prune_head: bool = True,
) -> list[int]:
    """Removes, in place, the layers that the chosen intermediates do not need.

    Args:
        indices: entries of `feature_info` to keep, as in `forward_intermediates`.
        prune_norm: remove the final norm. If a hierarchical model loses its last entry, the norm is
            removed in any case, because it fits that entry only.
        prune_head: remove the head even if the last entry is kept.

    Returns:
        The indices of the kept entries for `forward_intermediates`, in the given order.
    """
    chosen = self.feature_indices(indices)
    kept = max(chosen) + 1
    columnar = len(self.config.stages) == 1
    cut = kept < len(self.feature_info)
    if columnar:
        stage = cast(ColumnStage, self.stages[0])
        stage.blocks = stage.blocks[:kept]
    else:
        self.stages = self.stages[:kept]
    self.feature_info = self.feature_info[:kept]
    if prune_norm or (cut and not columnar):  # a pyramid's norm fits its last stage only
        self.norm = nn.Identity()
    if cut or prune_head:
        self.fc_norm = nn.Identity()
        self.num_features = self.feature_info[-1]["num_chs"]
        self.reset_classifier(0)
    return chosen
