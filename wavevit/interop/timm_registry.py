"""Register our backbones in timm. Needs the extra ``timm``.

For timm this module is like its own model modules: it has an entry point for each model and
`default_cfgs`, and timm's builder attaches configurations, loads weights and wraps features.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from wavevit.checks import require_extra
from wavevit.interop.timm_features import feature_class, name_modules
from wavevit.interop.timm_import import import_timm
from wavevit.models import Backbone, adapt_state_dict, create_model, list_models, model_config
from wavevit.models.data_config import pretrained_cfg

__all__ = ["register"]

#: timm's configuration of each registered name: input size, classes, where head and stem are.
default_cfgs: dict[str, dict[str, Any]] = {}

_OURS: dict[str, str] = {}  # our name -> the one in timm's registry


def register() -> dict[str, str]:
    """Registers every model of `wavevit.list_models` in timm.

    timm's own models are never replaced: a name that timm already has (``pvt_v2_b0``, …) becomes
    ``wavevit_pvt_v2_b0``; every other model keeps its name. Call it again after you register more
    models in wavevit.

    Returns:
        For each of our names, the name in timm's registry.

    Raises:
        ImportError: timm is not installed; the message names the extra.

    Guarantees:
        Models of ``timm.create_model`` have the weights, outputs and features of
        `wavevit.create_model`, and timm's own entries do not change
        (tests/contract/test_timm_registry.py).

    Example:
        >>> import timm  # doctest: +SKIP
        >>> _ = register()  # doctest: +SKIP
        >>> model = timm.create_model("haar_pyramid_tiny", features_only=True)  # doctest: +SKIP
    """
    import_timm()
    models = require_extra("timm.models", "timm")
    for name in list_models():
        if name in _OURS:
            continue
        own = f"wavevit_{name}" if models.is_model(name) else name
        default_cfgs[own] = pretrained_cfg(model_config(name))
        # timm adds each name to this module's __all__: it has to be found here.
        setattr(sys.modules[__name__], own, models.register_model(_entry_point(name, own)))
        _OURS[name] = own
    return dict(_OURS)


def _entry_point(name: str, own: str) -> Callable[..., nn.Module]:
    def build(pretrained: bool = False, **arguments: Any) -> nn.Module:
        models = require_extra("timm.models", "timm")
        features = {"feature_cls": "getter", "out_indices": _all_indices(name)}
        if "feature_cls" in arguments:
            arguments["feature_cls"] = feature_class(arguments["feature_cls"])
        model: nn.Module = models.build_model_with_cfg(
            partial(_create, name),
            own,
            pretrained,
            feature_cfg=features,
            pretrained_filter_fn=_fitted,
            **arguments,
        )
        if not isinstance(model, Backbone):
            name_modules(model)
        return model

    build.__name__ = build.__qualname__ = own
    build.__doc__ = f"`wavevit.create_model({name!r})`, built by timm."
    return build


def _all_indices(name: str) -> tuple[int, ...]:
    stages = model_config(name).stages
    return tuple(range(stages[0].depth if len(stages) == 1 else len(stages)))


def _create(name: str, global_pool: str | None = None, **arguments: Any) -> nn.Module:
    """timm's words for arguments in ours; what no model of ours has is refused by name."""
    classes = arguments.pop("num_classes", model_config(name).num_classes)
    model = create_model(name, num_classes=0, **arguments)
    assert isinstance(model, Backbone)
    model.reset_classifier(classes, global_pool)
    return model


def _fitted(state_dict: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """timm's ``pretrained_filter_fn``: a checkpoint for other images, fitted to the model.

    The convolutions that ``first_conv`` names are left as they are: timm fits them itself, and
    checks that they are what the checkpoint's configuration says.
    """
    cfg: dict[str, Any] = getattr(model, "pretrained_cfg", {})
    channels = cfg.get("input_size", (None,))[0]
    try:
        fitted = adapt_state_dict(state_dict, model, _source_size(state_dict, model), channels)
    except ValueError as error:
        if not str(error).startswith("img_size:"):
            raise
        # timm's img_size is the model's; the checkpoint's has another name there.
        hint = "in timm: pretrained_cfg_overlay={'input_size': (channels, height, width)}"
        raise ValueError(f"{error} ({hint})") from error
    first: Any = cfg.get("first_conv") or ()
    for name in (first,) if isinstance(first, str) else first:
        key = f"{name}.weight"
        if key in state_dict and state_dict[key].shape[2:] == fitted[key].shape[2:]:
            fitted[key] = state_dict[key]
    return fitted


def _source_size(state_dict: dict[str, Tensor], model: nn.Module) -> tuple[int, int] | None:
    """The checkpoint's training size as its configuration has it, if its positions agree."""
    saved: Any = getattr(model, "pretrained_model_args", None) or {}
    size = saved.get("img_size") or getattr(model, "pretrained_cfg", {}).get("input_size")
    if size is None:
        return None
    size = (size, size) if isinstance(size, int) else tuple(size[-2:])
    try:
        adapt_state_dict(state_dict, model, size)
    except ValueError:  # older checkpoints do not say what they were trained with
        return None
    return size
