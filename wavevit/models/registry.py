"""Registry of backbones by name: `create_model`, `list_models`, `model_config`."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from wavevit.checks import check_bool, check_choice, fail
from wavevit.models.backbone import Backbone
from wavevit.models.config import BackboneConfig
from wavevit.models.features import FeatureBackbone
from wavevit.models.stage_config import check_field
from wavevit.plugins import fail_taken, origin_of

__all__ = ["create_model", "list_models", "model_config", "register_model"]

_MODELS: dict[str, Callable[[], BackboneConfig]] = {}


def register_model(function: Callable[[], BackboneConfig]) -> Callable[[], BackboneConfig]:
    """Decorator: the function's name becomes a model's name.

    A file that runs twice (a notebook cell, a reloaded module) replaces its own model, but no model
    of another file.

    Args:
        function: returns the model's configuration.

    Raises:
        ValueError: something else than a function, or the name of a model of another file.
    """
    if not callable(function) or not hasattr(function, "__name__"):
        fail(
            "function", "a function without arguments that returns a BackboneConfig", repr(function)
        )
    name = function.__name__
    known = _MODELS.get(name)
    if known is not None and origin_of(known) != origin_of(function):
        owner, newcomer = (".".join((f.__module__, origin_of(f)[1])) for f in (known, function))
        fail_taken("function", name, owner, newcomer)
    _MODELS[name] = function
    return function


def list_models(pattern: str = "*") -> list[str]:
    """Names of all models that match a shell-style pattern, sorted.

    Args:
        pattern: such as ``"haar*"``.

    Raises:
        ValueError: a pattern that is no string.

    Example:
        >>> list_models("vit_*")
        ['vit_base_patch16', 'vit_small_patch16', 'vit_tiny_patch16']
    """
    if not isinstance(pattern, str):
        fail("pattern", "a shell-style pattern, such as 'haar*'", repr(pattern))
    return sorted(fnmatch.filter(_MODELS, pattern))


def model_config(name: str) -> BackboneConfig:
    """The configuration of a named model, as the start of an ablation.

    Raises:
        ValueError: an unknown name; the message lists the nearest names.
    """
    check_choice("name", name, list_models())
    return _MODELS[name]()


# Arguments of timm's create_model that these models do not have: timm's default, which changes
# nothing, and what to do in place of another value.
_TIMM_HABITS: dict[str, tuple[bool | str, str]] = {
    "pretrained": (
        False,
        "these models have random weights (wavevit.interop.timm has load_timm_weights, "
        "wavevit.interop.hub has from_pretrained)",
    ),
    "checkpoint_path": (
        "",
        "load a file with model.load_state_dict(safetensors.torch.load_file(path))",
    ),
}


def create_model(
    name: str,
    *,
    features_only: bool = False,
    out_indices: int | Sequence[int] | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    **changes: Any,
) -> nn.Module:
    """Builds a backbone by name.

    Args:
        name: one of `list_models`.
        features_only: return maps of several strides instead of logits.
        out_indices: which maps, as indices into ``feature_info``; with `features_only` only.
        device: device of the weights; ``"meta"`` needs no memory and is for
            ``load_state_dict(…, assign=True)`` or ``to_empty``.
        dtype: dtype of the weights.
        **changes: fields of `BackboneConfig` to change: ``num_classes``, ``in_chans``,
            ``img_size``, ``drop_rate``, ``drop_path_rate``, ``alignment``, … If you change a layer
            (such as ``tokenizer``), it gets its own default options unless you also pass its
            options (such as ``tokenizer_options``).

    Returns:
        A `Backbone`, or a `FeatureBackbone` with `features_only`.

    Raises:
        ValueError: an unknown model name or field (with the nearest names), a bad value, or
            `out_indices` without `features_only`.

    Example:
        >>> import torch
        >>> model = create_model("test_haar_pyramid", num_classes=10)
        >>> model(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 10])
    """
    config = model_config(name)
    check_bool("features_only", features_only)
    for argument, (default, instead) in _TIMM_HABITS.items():
        if (given := changes.pop(argument, default)) != default:
            fail(argument, f"no such argument: {instead}", repr(given))
    for field in changes:
        check_field("argument", field, BackboneConfig)
    if out_indices is not None and not features_only:
        raise ValueError("out_indices: expected None without features_only=True, got a value")
    for axis in ("tokenizer", "position", "alignment"):
        if changes.get(axis, getattr(config, axis)) != getattr(config, axis):
            changes.setdefault(f"{axis}_options", None)  # those of the other part mean nothing here
    backbone = Backbone(dataclasses.replace(config, **changes), device=device, dtype=dtype)
    if features_only:
        return FeatureBackbone(backbone, out_indices)
    return backbone
