"""Our backbones in timm's registry. Needs the extra ``timm``.

This module is to timm what its own model modules are: it has an entry point per model and their
`default_cfgs`, and timm's own builder attaches configurations, loads weights and wraps features.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from wavevit.checks import fail, require_extra
from wavevit.interop.timm_features import feature_class, name_modules
from wavevit.models import Backbone, create_model, list_models, model_config

__all__ = ["register"]

#: timm's configuration of each registered name: input size, classes, where head and stem are.
default_cfgs: dict[str, dict[str, Any]] = {}

_OURS: dict[str, str] = {}  # our name -> the one in timm's registry


def register() -> dict[str, str]:
    """Puts every model of `wavevit.list_models` into timm's registry.

    timm's own models are never replaced: a name that timm has already (``pvt_v2_b0``, …) becomes
    ``wavevit_pvt_v2_b0``; every other model keeps its name. Calling this again adds what has been
    registered with wavevit since.

    Returns:
        The name in timm's registry for each of ours.

    Raises:
        ImportError: timm is not installed; the message names the extra.

    Guarantees:
        ``timm.create_model`` gives models with the weights, outputs and features of
        `wavevit.create_model`, and timm's own entries stay as they are
        (tests/contract/test_timm_registry.py).

    Example:
        >>> import timm  # doctest: +SKIP
        >>> _ = register()  # doctest: +SKIP
        >>> model = timm.create_model("haar_pyramid_tiny", features_only=True)  # doctest: +SKIP
    """
    models = require_extra("timm.models", "timm")
    for name in list_models():
        if name in _OURS:
            continue
        own = f"wavevit_{name}" if models.is_model(name) else name
        default_cfgs[own] = _default_cfg(name)
        # timm adds each name to this module's __all__: it has to be found here.
        setattr(sys.modules[__name__], own, models.register_model(_entry_point(name, own)))
        _OURS[name] = own
    return dict(_OURS)


def _default_cfg(name: str) -> dict[str, Any]:
    config = model_config(name)
    # Where weights for other channels are adapted; a wavelet tokenizer's channels are subbands.
    stem = "tokenizer.proj" if config.tokenizer in ("patch", "overlap") else None
    return {
        "input_size": (config.in_chans, *config.image_size),
        "min_input_size": (config.in_chans, config.min_size, config.min_size),
        "num_classes": config.num_classes,
        "first_conv": stem,
        "classifier": "head",
    }


def _entry_point(name: str, own: str) -> Callable[..., nn.Module]:
    def build(pretrained: bool = False, **arguments: Any) -> nn.Module:
        models = require_extra("timm.models", "timm")
        features = {"feature_cls": "getter", "out_indices": _all_indices(name)}
        if "feature_cls" in arguments:
            arguments["feature_cls"] = feature_class(arguments["feature_cls"])
        model: nn.Module = models.build_model_with_cfg(
            partial(_create, name), own, pretrained, feature_cfg=features, **arguments
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


def _create(
    name: str, global_pool: str | None = None, drop_rate: float = 0.0, **arguments: Any
) -> nn.Module:
    """timm's words for arguments in ours; what no model of ours has is refused by name."""
    if drop_rate:
        fail("drop_rate", "0 (no model has a dropout before its head)", drop_rate)
    place = {key: arguments.pop(key) for key in ("device", "dtype") if key in arguments}
    classes = arguments.pop("num_classes", model_config(name).num_classes)
    model = create_model(name, num_classes=0, **arguments)
    assert isinstance(model, Backbone)
    model.reset_classifier(classes, global_pool)
    return model.to(**place)
