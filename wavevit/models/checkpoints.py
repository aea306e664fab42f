"""Adapt checkpoints of a backbone to another image size or number of channels.

`torch.nn.Module.load_state_dict` stays strict: tensors of other shapes, or positions that are known
to be on another grid, are an error, which names `adapt_state_dict`. The state dict of a backbone
says which images it was trained for; `torch.save` keeps that, files of safetensors don't. Functions
that load pretrained weights by name (`wavevit.interop.hub`, timm's ``pretrained=True``,
`load_timm_weights`) adapt them automatically, as timm does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from wavevit.checks import check_size, fail
from wavevit.layers import TOKENIZERS
from wavevit.layers.channels import Source
from wavevit.models.config import BackboneConfig
from wavevit.wavelets._engine.torch_private import (
    load_own_tensors,
    notes_of,
    save_own_tensors,
)

if TYPE_CHECKING:
    from wavevit.models.backbone import Backbone

__all__ = ["adapt_state_dict", "adapted_from", "load_or_explain", "save_with_source"]

_SOURCE = "wavevit_images"  # the note of a state dict: a `Source` as a plain dict


def adapt_state_dict(
    state_dict: Mapping[str, Tensor],
    model: nn.Module,
    img_size: int | tuple[int, int] | None = None,
    in_chans: int | None = None,
) -> dict[str, Tensor]:
    """Adapts a checkpoint of the same architecture to a model for other images.

    * learned positions are resampled to the model's grid (bicubic, antialiased), tables of
      relative positions to its length (linear), tables of window biases to its window (bicubic);
    * kernels that read the image's channels are summed for one channel, repeated and rescaled for
      more (`wavevit.layers.channels`), in every tokenizer and for injected details;
    * kernels of the ``"patch"`` tokenizer are resized to another patch (`resize_patch`).

    Other tensors do not change, for example a head for another number of classes.

    Args:
        state_dict: checkpoint of a backbone, or of a module that contains one.
        model: the target: a `Backbone`, or a module that contains one.
        img_size: training size of the checkpoint in pixels. Needed only for a dict that does not
            say it (read from a file of safetensors, or a copy of a state dict), if its learned
            positions are on a grid that is neither square nor the model's, or if both of these
            have as many. For a checkpoint of the model's own size it is the model's `img_size`.
        in_chans: channels of the checkpoint's images; by default what the state dict says, else
            read from its tensors. Needed for a dict that does not say it, if the tensors of the
            ``"dwt"`` tokenizer could also belong to another patch size.

    Returns:
        A new dict for ``model.load_state_dict``.

    Raises:
        ValueError: a model without a backbone, an `img_size` that is not the checkpoint's, or a
            missing `img_size` or `in_chans` that is needed.

    Guarantees:
        At another size the loaded model equals the saved model, which resamples in each forward
        pass. For a grey image the result equals that of the colour model for three equal
        channels; after gains with a GELU (``"dwt"`` with `subband_act`, injected details) only if
        all channels have the same gains, as initially (tests/contract/test_checkpoints.py). *Not*
        guaranteed for details that a `BoundedLinear` reads: it keeps the direction of the sum but
        not its size.

    Example:
        >>> import wavevit
        >>> small = wavevit.create_model("test_vit", img_size=64)
        >>> wide = wavevit.create_model("test_vit", img_size=(64, 128))
        >>> wide.load_state_dict(adapt_state_dict(small.state_dict(), wide))
        <All keys matched successfully>
    """
    if not isinstance(state_dict, Mapping):
        fail("state_dict", "a mapping from names to tensors", type(state_dict).__name__)
    if not isinstance(model, nn.Module):
        fail("model", "a Backbone, or a module that contains one", type(model).__name__)
    adapted, found = dict(state_dict), False
    for name, module in model.named_modules():
        # Its own, and not one that a wrapper passes through.
        config = vars(module).get("config")
        if isinstance(config, BackboneConfig):
            found = True
            prefix = f"{name}." if name else ""
            noted = _noted(notes_of(state_dict, name))
            grid = _source_grid(adapted, prefix, config, img_size)
            channels = noted.channels if in_chans is None else in_chans
            try:
                changed = _adapted(adapted, module, Source(grid or noted.grid, channels), prefix)
            except ValueError:
                if grid is not None or noted.grid is None:
                    raise
                # The positions are no longer those of the note: somebody has resized them.
                changed = _adapted(adapted, module, Source(None, channels), prefix)
            adapted |= changed
    if not found:
        expected = "a Backbone, or a module that contains one"
        fail("model", expected, f"{type(model).__name__} without one")
    return adapted


def adapted_from(
    state_dict: Mapping[str, Tensor], model: Backbone, source: BackboneConfig
) -> dict[str, Tensor]:
    """`adapt_state_dict` of a checkpoint whose configuration is known."""
    images = Source(source.grid(source.patch_size), source.in_chans)
    return {**state_dict, **_adapted(state_dict, model, images)}


def _noted(notes: Mapping[str, Any]) -> Source:
    """What a state dict says of the images that its backbone was trained for."""
    return Source(**notes.get(_SOURCE, {}))


def save_with_source(
    model: Backbone, destination: dict[str, Any], prefix: str, keep_vars: bool
) -> None:
    """`torch.nn.Module._save_to_state_dict`; notes the grid and the channels of its images."""
    config = model.config
    source = Source(config.grid(config.patch_size), config.in_chans)
    notes_of(destination, prefix.removesuffix("."))[_SOURCE] = source._asdict()
    save_own_tensors(model, destination, prefix, keep_vars)


def _source_grid(
    state: Mapping[str, Tensor],
    prefix: str,
    config: BackboneConfig,
    img_size: int | tuple[int, int] | None,
) -> tuple[int, int] | None:
    """Rows and columns of the checkpoint's first tokens."""
    if img_size is None:
        return None
    changes: dict[str, Any] = {"img_size": check_size("img_size", img_size)}
    kernel = state.get(f"{prefix}tokenizer.proj.weight")
    resizes = TOKENIZERS.get(config.tokenizer).resizes_patch
    if resizes and kernel is not None and kernel.ndim == 4:
        changes["patch_size"] = kernel.shape[-1]
    source = dataclasses.replace(config, **changes)
    return source.grid(source.patch_size)


def _adapted(
    state: Mapping[str, Tensor],
    backbone: nn.Module,
    source: Source,
    prefix: str = "",
) -> dict[str, Tensor]:
    """The tensors that have to change."""
    changed: dict[str, Tensor] = {}
    for name, part in backbone.named_modules():
        adapt = getattr(part, "adapt_state", None)
        if adapt is not None:
            own = f"{prefix}{name}." if name else prefix
            tensors = {k.removeprefix(own): t for k, t in state.items() if k.startswith(own)}
            changed |= {own + key: tensor for key, tensor in adapt(tensors, source).items()}
    return changed


def load_or_explain(
    model: Backbone,
    state_dict: Mapping[str, Any],
    prefix: str,
    local_metadata: Any,
    strict: Any,
    missing_keys: list[str],
    unexpected_keys: list[str],
    error_msgs: list[str],
) -> None:
    """`torch.nn.Module._load_from_state_dict`; its errors name the function that helps."""
    own = {prefix + name: parameter.shape for name, parameter in model.named_parameters()}
    found = {k: state_dict[k] for k in own if isinstance(state_dict.get(k), Tensor)}
    source = _noted(local_metadata)
    moved = source.grid not in (None, model.config.grid(model.config.patch_size))
    misfits = any(tensor.shape != own[key] for key, tensor in found.items())
    if moved or misfits:
        mended, needs = {}, ""
        try:
            mended = _adapted(found, model, source, prefix)
        except ValueError as error:
            # Tensors that fit were resized since the state dict was made.
            needs = f", {str(error).partition(':')[0]}=…" if misfits else ""
        if needs or mended:
            error_msgs.append(
                "the checkpoint is for images of another size, patch or number of channels: load "
                f"wavevit.adapt_state_dict(state_dict, model{needs}), which resamples positions "
                "and fits the channels."
            )
    notes = (local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
    load_own_tensors(model, state_dict, prefix, *notes)
