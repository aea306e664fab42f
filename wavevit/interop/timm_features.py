"""timm's `features_only` wrappers for our models."""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor, nn

from wavevit.checks import require_extra
from wavevit.models import Backbone

__all__ = ["feature_class", "name_modules"]


def feature_class(wanted: Any) -> Any:
    """timm's ``feature_cls`` for our models.

    timm's ``"list"`` and ``"dict"`` rebuild a model as a chain of its children. This does not work
    with a class token, an alignment or injected details, so the model itself returns the maps:
    ``"list"`` becomes ``"getter"``, and ``"dict"`` the same with names.
    """
    features = require_extra("timm.models._features", "timm")
    if wanted in ("list", features.FeatureListNet):
        return "getter"
    if wanted in ("dict", features.FeatureDictNet):
        return _named_getter()
    return wanted


@functools.cache
def _named_getter() -> type[nn.Module]:
    getter: Any = require_extra("timm.models._features", "timm").FeatureGetterNet

    class FeatureGetterDict(getter):
        """Maps by the number that each was asked for by, as a string."""

        def __init__(self, model: Backbone, out_indices: Any, **options: Any) -> None:
            asked = range(-out_indices, 0) if isinstance(out_indices, int) else out_indices
            resolved = model.feature_indices(out_indices)
            named = dict(zip(resolved, map(str, asked), strict=True))
            super().__init__(model, out_indices, **options)
            self.names = [named[index] for index in sorted(named)]

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return dict(zip(self.names, super().forward(x), strict=True))

    return FeatureGetterDict


def name_modules(wrapper: Any) -> None:
    """Changes the names in ``feature_info`` to names of modules inside the wrapper.

    timm does not change them. A graph (``"fx"``) has no such modules, so its names do not change.
    """
    for child, module in wrapper.named_children():
        if isinstance(module, Backbone):
            info = wrapper.feature_info
            wrapper.feature_info = info.from_other(info.out_indices)  # a copy
            for entry in wrapper.feature_info.info:
                entry["module"] = f"{child}.{entry['module']}"
