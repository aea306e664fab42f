"""`features_only`: a backbone that returns maps instead of logits."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from wavevit.checks import check_bool, check_choice, fail
from wavevit.models.backbone import Backbone

__all__ = ["FeatureBackbone", "FeatureInfo"]


class FeatureInfo:
    """Channels, stride and module of each feature of a model, with timm's accessors.

    Args:
        info: a dict for each feature of the model, fine to coarse, with ``num_chs``,
            ``reduction`` (stride in pixels) and ``module`` (its name inside the model).
        out_indices: the chosen features, in the given order.
    """

    def __init__(self, info: Sequence[dict[str, Any]], out_indices: Sequence[int]) -> None:
        self.info = [{"index": index, **entry} for index, entry in enumerate(info)]
        self.out_indices = tuple(out_indices)

    def from_other(self, out_indices: int | Sequence[int]) -> FeatureInfo:
        """A copy for other features; a number ``n`` means the last ``n``."""
        if isinstance(out_indices, int):
            out_indices = range(-out_indices, 0)
        return FeatureInfo(copy.deepcopy(self.info), out_indices)

    def get(self, key: str, idx: int | Sequence[int] | None = None) -> Any:
        """A value of the chosen features; with `idx` of one feature, or of a list of features."""
        return self._each(lambda entry: entry[key], idx)

    def get_dicts(
        self, keys: Sequence[str] | None = None, idx: int | Sequence[int] | None = None
    ) -> Any:
        """The dicts themselves, or some keys of them, as `get`."""
        if keys is None:
            return self._each(lambda entry: entry, idx)
        return self._each(lambda entry: {key: entry[key] for key in keys}, idx)

    def _each(self, read: Any, idx: int | Sequence[int] | None) -> Any:
        if isinstance(idx, int):
            return read(self.info[idx])
        return [read(self.info[index]) for index in (self.out_indices if idx is None else idx)]

    def channels(self, idx: int | Sequence[int] | None = None) -> Any:
        """Channels of each map."""
        return self.get("num_chs", idx)

    def reduction(self, idx: int | Sequence[int] | None = None) -> Any:
        """Stride of each map in pixels."""
        return self.get("reduction", idx)

    def module_name(self, idx: int | Sequence[int] | None = None) -> Any:
        """Name of the module that returns each map."""
        return self.get("module", idx)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.info[index]

    def __len__(self) -> int:
        return len(self.info)


class FeatureBackbone(nn.Module):
    """Backbone that returns a list of maps (B, C_i, h_i, w_i), fine to coarse.

    Args:
        backbone: the model; its head and the layers after the last chosen entry are removed.
        out_indices: entries of the backbone's `feature_info`; all by default. The list of maps
            is always ordered from fine to coarse with each map once, while `feature_info` keeps
            the given order. timm's own wrapper does the same.
        norm: keep the final norm and apply it as in `forward_intermediates`.
        output_fmt: ``"NCHW"`` maps or ``"NLC"`` sequences.

    Attributes:
        feature_info: see `FeatureInfo`; its names of modules are those inside this wrapper.
        out_indices: the chosen entries; negative numbers are resolved.

    Raises:
        ValueError: another model, an entry that it does not have, or an unknown format.
    """

    def __init__(
        self,
        backbone: Backbone,
        out_indices: int | Sequence[int] | None = None,
        *,
        norm: bool = False,
        output_fmt: str = "NCHW",
    ) -> None:
        super().__init__()
        if not isinstance(backbone, Backbone):
            fail("backbone", "a Backbone", type(backbone).__name__)
        self.norm = check_bool("norm", norm)
        self.output_fmt = check_choice("output_fmt", output_fmt, ("NCHW", "NLC"))
        chosen = backbone.feature_indices(out_indices)
        self.out_indices = backbone.prune_intermediate_layers(chosen, prune_norm=not norm)
        self.backbone = backbone
        info = [e | {"module": f"backbone.{e['module']}"} for e in backbone.feature_info]
        self.feature_info = FeatureInfo(info, self.out_indices)
        self.symmetry = backbone.symmetry

    def forward(self, x: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.backbone.forward_intermediates(
            x,
            indices=self.out_indices,
            norm=self.norm,
            output_fmt=self.output_fmt,
            intermediates_only=True,
        )
        return maps

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """See `Backbone.set_grad_checkpointing`."""
        self.backbone.set_grad_checkpointing(enable)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """See `Backbone.group_matcher`; the patterns are those of this wrapper's names."""
        return self.backbone.group_matcher(coarse, prefix="backbone.")

    def no_weight_decay(self) -> set[str]:
        """See `Backbone.no_weight_decay`."""
        return {f"backbone.{name}" for name in self.backbone.no_weight_decay()}
