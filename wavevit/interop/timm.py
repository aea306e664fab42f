"""timm: load timm's weights, register our models. Needs the extra ``timm``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

from torch import Tensor, nn

from wavevit.checks import check_choice, fail
from wavevit.interop.timm_import import import_timm
from wavevit.interop.timm_registry import register
from wavevit.models import Backbone, adapt_state_dict

__all__ = ["load_timm_weights", "register"]

# Names of timm's tensors and of ours: patterns and what replaces them, one after the other.
_BLOCK = r"stages.\1.blocks.\2."


def _one_block_less(found: re.Match[str]) -> str:
    return f"stages.{found[1]}.blocks.{int(found[2]) - 1}."


_RENAMES: dict[str, tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]] = {
    "VisionTransformer": (
        (r"^patch_embed\.proj\.", "tokenizer.proj."),
        (r"^pos_embed$", "position.embedding"),
        (r"^blocks\.(\d+)\.attn\.", r"stages.0.blocks.\1.mixer."),
        (r"^blocks\.(\d+)\.ls([12])\.gamma$", r"stages.0.blocks.\1.gain\2.weight"),
        (r"^blocks\.(\d+)\.", r"stages.0.blocks.\1."),
    ),
    "SwinTransformer": (
        (r"^patch_embed\.proj\.", "tokenizer.proj."),
        (r"^patch_embed\.norm\.", "token_norm."),
        (r"^layers\.(\d+)\.downsample\.reduction\.", r"stages.\1.downsample.proj."),
        (r"^layers\.(\d+)\.downsample\.", r"stages.\1.downsample."),
        (
            r"^layers\.(\d+)\.blocks\.(\d+)\.attn\.relative_position_bias_table$",
            _BLOCK + "mixer.bias_table",
        ),
        (r"^layers\.(\d+)\.blocks\.(\d+)\.attn\.", _BLOCK + "mixer."),
        (r"^layers\.(\d+)\.blocks\.(\d+)\.", _BLOCK),
        (r"^head\.fc\.", "head."),
    ),
    "PyramidVisionTransformerV2": (
        (r"^patch_embed\.norm\.", "token_norm."),
        (r"^patch_embed\.", "tokenizer."),
        (r"^stages\.(\d+)\.downsample\.proj\.", r"stages.\1.downsample.conv."),
        (r"^stages\.(\d+)\.blocks\.(\d+)\.attn\.sr\.", _BLOCK + "mixer.reduce."),
        (r"^stages\.(\d+)\.blocks\.(\d+)\.attn\.", _BLOCK + "mixer."),
        (r"^stages\.(\d+)\.blocks\.(\d+)\.mlp\.dwconv\.", _BLOCK + "mlp.conv."),
    ),
    "MultiScaleVit": (
        (r"^patch_embed\.", "tokenizer."),
        # The first block of a later stage halves the grid: our downsampler, counted apart.
        (r"^stages\.([1-9])\.blocks\.0\.", r"stages.\1.downsample."),
        (r"^stages\.([1-9])\.blocks\.(\d+)\.", _one_block_less),
        (r"\.shortcut_proj_attn\.", ".shortcut."),
        (r"\.attn\.", ".mixer."),
        (r"^head\.fc\.", "head."),
    ),
}


def _renamed(family: str, name: str) -> str:
    for pattern, replacement in _RENAMES[family]:
        name = re.sub(pattern, replacement, name)
    return name


def _check_heads(model: nn.Module, source: nn.Module, family: str) -> None:
    """Refuses other numbers of heads, which the shapes of queries, keys and values do not show."""
    ours = _heads(model)
    for name, theirs in _heads(source).items():
        own = ours.get(_renamed(family, f"{name}.").removesuffix("."), theirs)
        if own != theirs:
            expected = f"attention with {own} heads at {name}, as `model` has"
            fail("timm_model", expected, f"{theirs} heads")


def _heads(model: nn.Module) -> dict[str, int]:
    found = {name: getattr(part, "num_heads", None) for name, part in model.named_modules()}
    return {name: heads for name, heads in found.items() if isinstance(heads, int)}


def _check_pooling(model: Backbone, source: nn.Module, family: str) -> None:
    """Refuses another pooling, which has no tensors of its own."""
    theirs = _pooling(source, family)
    if theirs != model.global_pool:
        token = () if model.cls_token is None else ("token",)
        possible = ("avg", *token, *(() if model.num_classes else ("",)))
        # It makes a new head: on timm's side the trained one would be lost.
        how = f"model.reset_classifier({model.num_classes}, global_pool={theirs!r}) changes it"
        if theirs not in possible:
            how = f"with {model.num_classes} classes it cannot have that of timm_model"
        expected = f"global_pool={model.global_pool!r}, as `model` has ({how})"
        fail("timm_model", expected, repr(theirs))


def _pooling(source: nn.Module, family: str) -> str:
    """How a timm model pools, in words of `Backbone.reset_classifier` where these have one."""
    if family == "SwinTransformer":  # the attribute of the model itself may be older than its head
        return str(source.get_submodule("head.global_pool").pool_type)
    pool = str(vars(source)["global_pool"])
    if family == "PyramidVisionTransformerV2":
        return "avg" if pool else ""
    if family == "MultiScaleVit":
        return pool if pool in ("avg", "") else "token"
    with_prefix = vars(source).get("pool_include_prefix") and vars(source)["num_prefix_tokens"]
    return f"{pool} with prefix tokens" if with_prefix and pool not in ("token", "") else pool


def _check_activations(model: Backbone, source: nn.Module) -> None:
    """Refuses other activations than GELU, which have no tensors either.

    A model with another activation than ``"gelu"`` is not checked: it may be the same as timm's
    (registered by the user), or differ from it on purpose (``"gelu_2x"``).
    """
    if model.config.activation != "gelu":
        return
    for name, part in source.named_modules():
        if name.endswith(".act"):
            kind = getattr(part, "approximate", "none")
            if type(part).__name__ != "GELU" or kind != "none":
                got = type(part).__name__ + (f"(approximate={kind!r})" if kind != "none" else "")
                fail("timm_model", f"GELU at {name}, as `model` has", got)


def load_timm_weights(model: Backbone, timm_model: nn.Module | str) -> Backbone:
    """Copies the weights of a timm model of the same architecture into `model`.

    Args:
        model: our `vit_*`, `swin_*`, `pvt_v2_*` or `mvitv2_*`, or a model with an equal
            configuration. timm's ViT with average pooling and no class token is ``pool="avg"``
            with ``fc_norm=True``; one with ``init_values`` (DeiT III, DINOv2) has the same number
            as ``layer_scale``. Weights are adapted to another image size, window or number of
            channels (`wavevit.adapt_state_dict`).
        timm_model: a timm VisionTransformer, SwinTransformer, PyramidVisionTransformerV2 or
            MultiScaleVit, or a name that timm creates with pretrained weights.

    Returns:
        `model`.

    Raises:
        ImportError: timm is not installed; the message names the extra.
        ValueError: another architecture; the message names the first tensors that do not fit, or
            what the tensors do not show: other numbers of heads, another pooling
            (``global_pool``), or another activation where that of `model` is ``"gelu"``.

    Guarantees:
        Equal outputs to 1e-4 for ``vit_*_patch16``, ``swin_*``, ``pvt_v2_*`` and
        ``mvitv2_tiny`` (tests/parity/test_timm.py).
    """
    timm = import_timm()
    source = timm_model
    if isinstance(source, str):
        source = cast("nn.Module", timm.create_model(source, pretrained=True))
    family = type(source).__name__
    check_choice("timm_model", family, _RENAMES)
    theirs: dict[str, Tensor] = {
        _renamed(family, name): tensor for name, tensor in source.state_dict().items()
    }
    size = getattr(getattr(source, "patch_embed", None), "img_size", None)
    theirs = adapt_state_dict(theirs, model, size)
    ours = model.state_dict()
    misfits = [name for name in ours if name not in theirs]
    misfits += [name for name in theirs if name not in ours]
    misfits += [n for n in ours if n in theirs and ours[n].shape != theirs[n].shape]
    if misfits:
        listed = ", ".join(misfits[:4]) + (", …" if len(misfits) > 4 else "")
        fail("timm_model", "the architecture of `model`", f"other tensors: {listed}")
    _check_heads(model, source, family)
    _check_activations(model, source)
    _check_pooling(model, source, family)
    model.load_state_dict(theirs)
    return model
