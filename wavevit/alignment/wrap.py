"""`align`: wrap any `nn.Module` so that it is invariant to circular shifts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from wavevit.alignment.base import Alignment
from wavevit.alignment.blur import blur_strides, copy_sharing_weights
from wavevit.alignment.probe import check_input_size, kept_period
from wavevit.alignment.registry import ALIGNMENTS
from wavevit.alignment.shifts import place_map
from wavevit.checks import check_choice, check_module, fail
from wavevit.wavelets._engine.torch_private import child

__all__ = ["LAYOUTS", "AlignedModel", "align", "make_alignment"]

LAYOUTS = ("NCHW", "NHWC", "none")


def make_alignment(method: str, period: int | None, **options: Any) -> Alignment | None:
    """Builds an alignment for a shift period; None for a method that chooses no phase.

    Args:
        method: one of `wavevit.alignment.METHODS`.
        period: see `Alignment`.
        **options: arguments of the method's class (`PhaseLock`, …).

    Raises:
        ValueError: an unknown method, or an option that it does not take.
    """
    if ALIGNMENTS.check("method", method) in ALIGNMENTS.without:
        return None
    cls: Any = ALIGNMENTS.get(method)
    known = [name for name in inspect.signature(cls).parameters if name != "period"]
    for name in options:
        if name not in known:
            fail(name, f"options of {method!r} only ({', '.join(known) or 'none'})", name)
    alignment: Alignment = cls(period, **options)
    return alignment


# Methods of timm and transformers that compute nothing of images: they act on the model.
_VERBS = ("get_classifier", "reset_classifier", "set_grad_checkpointing")
# True of the model and not of the aligned one, or of neither.
_OWN = ("symmetry", "alignment", "call_super_init", "dump_patches")


class AlignedModel(nn.Module):
    """Model with an alignment, made by `align`.

    It has the attributes that describe the model: ``pretrained_cfg``, ``feature_info``,
    ``config``, ``num_classes`` and every other public attribute that is no module, tensor or
    method; also timm's methods for the head, for checkpointing and for optimisers. Methods that
    would compute features without the alignment (``forward_features``,
    ``forward_intermediates``, …) raise an error that says what to do instead. With ``"blur"`` the
    model itself is aligned, and all its attributes are available. Names of modules
    (``feature_info``, ``first_conv``) are those inside the model; `get_submodule` finds both.

    Attributes:
        model: the model; for ``"blur"`` a copy that shares its weights.
        alignment: an `Alignment`, or None for ``"blur"``.
        period_source: where the period comes from: ``"given"``, ``"declared"``, ``"probed at …"``,
            ``"stride"`` (of a model that keeps no known shift, so not exact) or ``"assumed"`` (not
            known: the whole image, which is exact for any model).
        blurred: names of the modules that have a low-pass.
        layout: layout of maps, see `align`.

    Raises:
        ValueError: no module, another kind of alignment, or an unknown layout.
    """

    def __init__(
        self,
        model: nn.Module,
        alignment: Alignment | None,
        period_source: str = "given",
        blurred: tuple[str, ...] = (),
        layout: str = "NCHW",
    ) -> None:
        super().__init__()
        check_module("model", model)
        if alignment is not None and not isinstance(alignment, Alignment):
            expected = "an Alignment (wavevit.alignment.make_alignment) or None"
            fail("alignment", expected, repr(alignment))
        self.model = model
        self.alignment = alignment
        self.period_source = period_source
        self.blurred = blurred
        self.layout = check_choice("layout", layout, LAYOUTS)

    def __getattr__(self, name: str) -> Any:
        """What nn.Module does not find: the model's, unless it would bypass the alignment."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            model = child(self, "model")
            if model is None or name.startswith("_") or name in _OWN or not hasattr(model, name):
                raise
        found = getattr(model, name)
        if name in _PREFIXED:
            return lambda *args, **options: _PREFIXED[name](found(*args, **options))
        if self.alignment is None or name in _VERBS:
            return found
        if callable(found) or isinstance(found, nn.Module | Tensor):
            raise AttributeError(
                f"{type(self).__name__} has no {name!r}: it would not be aligned. Call the model "
                "itself; to get maps, align a model that returns them (features_only=True); "
                f"`.model.{name}` is the method without alignment."
            )
        return found

    def get_submodule(self, target: str) -> nn.Module:
        """A module by its name here, or by its name in the model."""
        try:
            return super().get_submodule(target)
        except AttributeError:
            return self.model.get_submodule(target)

    @property
    def period(self) -> int | None:
        """Shift period in pixels; None for the whole image."""
        return None if self.alignment is None else self.alignment.period

    def forward(self, x: Tensor) -> Any:
        """Images (B, C, H, W) to what the model returns, maps in the image's own coordinates."""
        if self.alignment is None:
            return self.model(x)
        size = (x.shape[-2], x.shape[-1])
        restore = _restorer(self.model, size, self.layout, self.alignment.seen(size))
        return self.alignment.through(self.model, x, restore)

    def extra_repr(self) -> str:
        if self.alignment is None:
            return f"blurred={list(self.blurred)}"
        period = self.period or "whole image"
        return f"period={period} ({self.period_source}), layout={self.layout!r}"


def _names_behind_prefix(names: Any) -> set[str]:
    return {f"model.{name}" for name in names}


def _matcher_behind_prefix(matcher: Any) -> Any:
    """timm's groups of layers, a function or patterns of names, for names that begin ``model.``."""
    if callable(matcher):
        return lambda name: matcher(name.removeprefix("model."))
    return {group: _behind_prefix(patterns) for group, patterns in matcher.items()}


def _behind_prefix(patterns: Any) -> Any:
    if isinstance(patterns, str):
        # They match from the start anyway; a mark of the start would be behind the prefix now.
        return r"model\.(?:" + re.sub(r"(?<![\\\[])\^", "", patterns) + ")"
    if isinstance(patterns, list | tuple):
        return [(_behind_prefix(pattern), rest) for pattern, rest in patterns]
    return patterns


# Methods whose answers are names of parameters, which have a prefix here.
_PREFIXED: dict[str, Callable[[Any], Any]] = {
    "no_weight_decay": _names_behind_prefix,
    "group_matcher": _matcher_behind_prefix,
}


def _restorer(
    model: nn.Module, size: tuple[int, int], layout: str, seen: tuple[int, int]
) -> Callable[[Tensor, Tensor], Tensor] | None:
    """How the outputs of a model of images (…, H, W), of which it sees a part, move back."""
    if layout == "none":
        return None
    info: Any = getattr(model, "feature_info", None)
    strides = info.reduction() if hasattr(info, "reduction") else []

    def restore(output: Tensor, offset: Tensor) -> Tensor:
        if output.ndim <= 2:
            return output
        if output.ndim != 4:
            expected = f"vectors or maps of layout {layout} (or layout='none' if outputs have no "
            fail("model", expected + "place in the image)", f"shape {tuple(output.shape)}")
        output = output if layout == "NCHW" else output.permute(0, 3, 1, 2)
        grid = output.shape[-2:]
        # Cells of a declared stride end with the image; others are taken to share it evenly.
        fitting = [s for s in strides if (-(-seen[0] // s), -(-seen[1] // s)) == grid]
        output = place_map(output, offset, size, fitting[0] if fitting else None, seen)
        return output if layout == "NCHW" else output.permute(0, 2, 3, 1)

    return restore


def _largest_stride(model: nn.Module) -> int:
    """In pixels, from timm's description of the model's maps."""
    info: Any = getattr(model, "feature_info", None) or []
    strides = (
        info.reduction() if hasattr(info, "reduction") else [entry["reduction"] for entry in info]
    )
    if not strides:
        expected = "the stride of the model's grid in pixels (the model keeps no known shift)"
        fail("period", expected, None)
    return int(max(strides))


def _find_period(
    model: nn.Module, input_size: tuple[int, int, int] | None, layout: str
) -> tuple[int | None, str]:
    symmetry = getattr(model, "symmetry", None)
    if symmetry is not None:
        return symmetry.lockable_period, "declared"
    if input_size is None:  # timm's models know theirs
        input_size = (getattr(model, "pretrained_cfg", None) or {}).get("input_size")
    if input_size is None:
        return None, "assumed"
    channels, height, width = input_size
    restore = _restorer(model, (height, width), layout, (height, width))
    found = kept_period(model, (channels, height, width), restore)
    return found, f"probed at {channels}x{height}x{width}"


def align(
    model: nn.Module,
    method: str = "phase_lock",
    period: int | None = None,
    *,
    input_size: tuple[int, int, int] | None = None,
    layout: str = "NCHW",
    **options: Any,
) -> AlignedModel:
    """Makes a model invariant to circular shifts: wraps it in an alignment.

    Args:
        model: images (B, C, H, W) to a tensor with a row for each image, or to lists, tuples and
            dicts of such tensors. Outputs of rank 2 are pooled features or logits (invariant),
            outputs of rank 4 are maps (equivariant: in the coordinates of the image, see
            `place_map`).
        method: ``"phase_lock"``, ``"polyphase"``, ``"phase_tree"``, ``"weighted_frame"``,
            ``"group_average"``, or ``"blur"``, which chooses no phase, adds a low-pass before
            every stride and is not exact.
        period: shift period of `model` in pixels. By default the one in ``model.symmetry``. If the
            model declares none, `align` measures it at `input_size`, in about ten passes of three
            images; `AlignedModel.period_source` states this. For a model that keeps no smaller
            shift the period is the whole image, which is exact for any model.
        input_size: (C, H, W) for that measurement; by default
            ``model.pretrained_cfg["input_size"]`` (timm). Without either the period is the whole
            image. A period measured at one size may not hold at another.
        layout: layout of maps: ``"NCHW"``, ``"NHWC"``, or ``"none"`` if no output is a map.
        **options: options of the method: ``boundary`` for all except ``"group_average"``;
            ``shift`` and ``gate`` for ``"phase_lock"``; ``threshold`` and ``max_phases`` for
            ``"weighted_frame"``; ``phases`` and ``max_views`` for ``"group_average"``. With
            `phases`, a model that keeps no known shift gets the largest stride in its
            ``feature_info`` as period (`GroupAverage`).

    Returns:
        A module of the same signature.

    Raises:
        ValueError: something else than a module, an unknown method, layout or option, a period
            below 1, ``"none"``, a model without a stride that ``"blur"`` can find or that is
            blurred already, or with `phases` a model that has neither a known shift period nor a
            ``feature_info``.

    Guarantees:
        Those of the method's class (tests/properties/test_alignment_laws.py), if the model keeps
        the period; with a wrong period nothing is guaranteed. A map with a value for
        each pixel moves exactly; a map of stride `s` moves exactly by multiples of `s`, and by
        interpolation for other shifts.
    """
    check_choice("method", method, [name for name in ALIGNMENTS.values() if name != "none"])
    check_choice("layout", layout, LAYOUTS)
    check_module("model", model)
    if input_size is not None:
        check_input_size(input_size)
    if method == "blur":
        for name in options.keys() - {"boundary"}:
            fail(name, "options of 'blur' only (boundary)", name)
        model = copy_sharing_weights(model)
        blurred = blur_strides(model, **options)
        if not blurred:
            fail("model", "a strided nn.Conv2d or pooling for method='blur'", "none")
        return AlignedModel(model, None, "given", tuple(blurred), layout)
    alignment = make_alignment(method, period, **options)  # complains before a probe's time
    source = "given"
    if period is None:
        period, source = _find_period(model, input_size, layout)
        if period is None and alignment is not None and alignment.takes_stride:
            period, source = _largest_stride(model), "stride"
        alignment = make_alignment(method, period, **options)
    return AlignedModel(model, alignment, source, (), layout)
