"""Features along the way through a backbone, in the words of timm."""

from __future__ import annotations

from collections.abc import Sequence
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
        ValueError: an index outside the list, or none at all.
    """
    if indices is None:
        return list(range(count))
    if isinstance(indices, int):
        if not 1 <= indices <= count:
            fail("indices", f"a number of entries from 1 to {count}", indices)
        return list(range(count - indices, count))
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
    """Features along the way: what the modules that `feature_info` names return.

    Args:
        x: images (B, C, H, W).
        indices: entries of `feature_info`; a number ``n`` means the last ``n``, None all.
        return_prefix_tokens: give pairs of a map and the tokens without a place (B, T, D); a model
            without such tokens gives maps all the same.
        norm: apply the final norm: to every intermediate of a columnar model, to the last entry of
            a hierarchical one. The last is then the map of `forward_features`. With ``fc_norm`` or
            ``stage_norm`` there is no such norm.
        stop_early: end at the last chosen entry; the final features are then its own, normalised
            where the norm fits them.
        output_fmt: ``"NCHW"`` maps or ``"NLC"`` sequences (without the class token).
        intermediates_only: leave out the final features; nothing behind the last chosen
            entry is computed.
        output_dict: give a dict with ``image_intermediates``, ``image_intermediates_prefix`` (where
            prefix tokens are asked for and there are any) and ``image_features``.
        attn_mask: see `Backbone.forward_features`.
        is_causal: see there.

    Returns:
        A list of intermediates, or ``(final features, list)``, or a dict. The list goes from the
        first entry to the last, each once, in whatever order `indices` names them, as in timm.

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
    """DINO's interface to the same features: `forward_intermediates` with sequences by default.

    Args:
        x: images (B, C, H, W).
        n: entries of `feature_info`, as `indices` of `forward_intermediates`.
        reshape: maps (B, D, h, w) in place of sequences (B, h·w, D).
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
    """Drops, in place, what the chosen intermediates do not need.

    Args:
        indices: entries of `feature_info` to keep, as in `forward_intermediates`.
        prune_norm: drop the final norm. A hierarchical model whose last entry goes has none in any
            case, because it fits that entry only.
        prune_head: drop the head even where the last entry stays.

    Returns:
        The indices, from 0 on and in the order given, that `forward_intermediates` now takes.
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
