"""`set_input_size`: change the training size of an existing backbone, as in timm."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from wavevit.checks import as_pair, check_at_least, check_size, fail
from wavevit.layers import Part
from wavevit.models.config import BackboneConfig, StageConfig
from wavevit.models.parts import downsample_context, first_context, mixer_context

if TYPE_CHECKING:
    from wavevit.models.backbone import Backbone
    from wavevit.models.stage import Stage

__all__ = ["set_input_size"]

Size = int | tuple[int, int]


def set_input_size(
    model: Backbone,
    img_size: Size | None = None,
    patch_size: int | None = None,
    window_size: Size | Sequence[Size] | None = None,
    window_ratio: int | Sequence[int] | None = None,
) -> None:
    """Changes the training size, the patch size or the windows, in place.

    A backbone takes images of any size without this call, and resamples its learned positions in
    each forward pass. This call resamples them once, so that they are trained at the new size.
    Resampled parameters are new objects: create the optimiser again.

    Args:
        model: the backbone.
        img_size: training size in pixels, one side or (height, width); None keeps it.
        patch_size: stride of the first grid in pixels; None keeps it. Kernels of the ``"patch"``
            tokenizer are resized; other tokenizers cannot change their patch size.
        window_size: of stages with the ``"window"`` mixer, in tokens: one for all, an (h, w), or
            one for each stage.
        window_ratio: windows as a share of the first grid: its sides divided by this, one number
            for all stages or one for each. Without either, windows keep their share of the grid,
            as in timm.

    Raises:
        ValueError: a size that the model cannot read, another patch for a tokenizer that has
            none, or a wrong number of windows.

    Guarantees:
        The outputs at the new size do not change if neither patch nor windows change. The
        windows are those of timm's Swin (tests/contract/test_input_size.py). *Not*
        guaranteed: timm's biases of resized windows, because timm spaces their offsets by powers.
    """
    old = model.config
    # timm's reference: repeated calls round the windows of the first configuration.
    reference = cast("BackboneConfig", vars(model).get("_reference", old))
    changes: dict[str, Any] = {}
    if img_size is not None:
        changes["img_size"] = check_size("img_size", img_size)
    if patch_size is not None and patch_size != old.patch_size:
        if not model.tokenizer.resizes_patch:
            fail("patch_size", f"{old.patch_size}, that of tokenizer {old.tokenizer!r}", patch_size)
        if old.alignment == "blur":
            fail("patch_size", f"{old.patch_size}, for which the model is blurred", patch_size)
        changes["patch_size"] = check_at_least("patch_size", patch_size, 1)
    sized = dataclasses.replace(old, **changes)
    windows = _windows(sized, reference, window_size, window_ratio)
    stages = [
        stage if window is None or _window(stage) is None else _with_window(stage, window)
        for stage, window in zip(sized.stages, windows, strict=True)
    ]
    new = dataclasses.replace(sized, stages=tuple(stages))
    explicit = window_size is not None or window_ratio is not None
    vars(model)["_reference"] = new if explicit else reference
    _resize(model, new)
    # What timm's builder has noted of the model, for saving and for its data functions.
    for notes in ("_traits", "_model_args"):
        if notes in vars(model):
            setattr(model, notes, vars(model)[notes] | {"img_size": new.image_size})


def _windows(
    config: BackboneConfig,
    reference: BackboneConfig,
    window_size: Size | Sequence[Size] | None,
    window_ratio: int | Sequence[int] | None,
) -> list[Size | None]:
    """A window for each stage; None where its mixer has none."""
    count, grid = len(config.stages), config.grid(config.patch_size)
    if window_size is not None:
        one = isinstance(window_size, int) or (
            len(window_size) == 2 and all(isinstance(side, int) for side in window_size)
        )
        given: list[Any] = [window_size] * count if one else list(cast("Sequence", window_size))
        if len(given) != count:
            fail("window_size", f"one, (height, width), or {count}, one per stage", window_size)
        return [check_size("window_size", window) for window in given]
    if window_ratio is not None:
        ratios = [window_ratio] * count if isinstance(window_ratio, int) else list(window_ratio)
        if len(ratios) != count:
            fail("window_ratio", f"one, or {count}, one per stage", window_ratio)
        for ratio in ratios:
            check_at_least("window_ratio", ratio, 1)
        return [_plain([max(1, side // ratio) for side in grid]) for ratio in ratios]
    before = reference.grid(reference.patch_size)
    windows: list[Size | None] = []
    for stage in reference.stages:
        window = _window(stage)
        if window is None:
            windows.append(None)
            continue
        sides = zip(as_pair(window), grid, before, strict=True)
        windows.append(_plain([max(1, side * new // old) for side, new, old in sides]))
    return windows


def _plain(sides: list[int]) -> Size:
    """One number for a square."""
    return sides[0] if sides[0] == sides[1] else (sides[0], sides[1])


def _window(stage: StageConfig) -> Size | None:
    """`window_size` of a mixer whose options have it."""
    size: Size | None = getattr(stage.options("mixer"), "window_size", None)
    return size


def _with_window(stage: StageConfig, window: Size) -> StageConfig:
    options = dataclasses.replace(stage.options("mixer"), window_size=window)
    return dataclasses.replace(stage, mixer_options=options)


@torch.no_grad()
def _resize(model: Backbone, new: BackboneConfig) -> None:
    first = first_context(new)
    model.tokenizer.resize_to(first, new.options("tokenizer"))
    model.position.resize_to(first, new.options("position"))
    for index, (module, stage) in enumerate(zip(model.stages, new.stages, strict=False)):
        downsample = getattr(module, "downsample", None)
        if downsample is not None:
            downsample.resize_to(downsample_context(new, index), stage.options("downsample"))
        for block, inside in enumerate(cast("Stage", module).blocks):
            mixer = cast("Part", inside.mixer)
            mixer.resize_to(mixer_context(new, index, block), stage.options("mixer"))
    model.config = new
    _declare(model)


def _declare(model: Backbone) -> None:
    """Symmetries, strides and period that follow from the new configuration."""
    with torch.device("meta"):
        twin = type(model)(model.config)
    declared = dict(twin.named_modules())
    for name, part in model.named_modules():
        other: nn.Module | None = declared.get(name)
        if isinstance(part, Part) and isinstance(other, Part):
            part.symmetry = other.symmetry
    model.symmetry = twin.symmetry
    if model.alignment is not None and twin.alignment is not None:
        model.alignment.period = twin.alignment.period
    for entry, described in zip(model.feature_info, twin.feature_info, strict=False):
        entry["reduction"] = described["reduction"]
