"""Convert a patch tokenizer to a linear block-Haar tokenizer and back (`unfold`, `fold`).

The packet transform `T` of a patch is orthonormal, so for a kernel `w` and a patch `p`
``<w, p> = <T w, T p>``: transforming the kernels turns one tokenizer into the other with equal
outputs. So replacing patches by Haar coefficients alone changes nothing (claim C17).
"""

from __future__ import annotations

import dataclasses

import torch

from wavevit.checks import fail
from wavevit.layers.tokenizers import PacketTokenizer, PatchTokenizer
from wavevit.models.backbone import Backbone
from wavevit.wavelets import wavepacket2

__all__ = ["fold", "unfold"]


def _check_backbone(model: object) -> None:
    if not isinstance(model, Backbone):
        fail("model", "a Backbone, such as create_model returns", type(model).__name__)


def _rebuilt(model: Backbone, weight: torch.Tensor, **changes: object) -> Backbone:
    twin = Backbone(dataclasses.replace(model.config, **changes))  # type: ignore[arg-type]
    twin.reset_classifier(model.num_classes, model.global_pool)
    twin = twin.to(device=weight.device, dtype=weight.dtype).train(model.training)
    twin.load_state_dict(model.state_dict() | {"tokenizer.proj.weight": weight})
    return twin


def unfold(model: Backbone) -> Backbone:
    """Converts a patch tokenizer to a linear block-Haar tokenizer with equal outputs.

    Args:
        model: a backbone with ``tokenizer="patch"`` and a patch size that is a power of two.

    Returns:
        A new backbone with ``tokenizer="dwt"``, without subband normalisation and activation.

    Raises:
        ValueError: another tokenizer, or a patch that the packet cannot split.

    Guarantees:
        Outputs equal to rounding, and ``fold(unfold(m))`` has the weights of `m`
        (tests/properties/test_fold_laws.py).
    """
    _check_backbone(model)
    config = model.config
    if config.tokenizer != "patch":
        fail("model.config.tokenizer", "'patch'", repr(config.tokenizer))
    assert isinstance(model.tokenizer, PatchTokenizer)
    kernel = model.tokenizer.proj.weight.detach()
    level = config.patch_size.bit_length() - 1
    if 1 << level != config.patch_size:
        fail("model.config.patch_size", "a power of two", config.patch_size)
    packets = wavepacket2(kernel, level=level).flatten(1, 2)
    return _rebuilt(
        model, packets, tokenizer="dwt", wavelet="haar", subband_norm=False, subband_act=False
    )


def fold(model: Backbone) -> Backbone:
    """Converts a linear block-Haar tokenizer to a patch convolution (inverse of `unfold`).

    Args:
        model: a backbone with ``tokenizer="dwt"``, Haar, no subband normalisation or activation.

    Returns:
        A new backbone with ``tokenizer="patch"``; it is faster, without the transform.

    Raises:
        ValueError: a tokenizer that is not a linear map of each block.

    Guarantees:
        Outputs equal to rounding (tests/properties/test_fold_laws.py).
    """
    _check_backbone(model)
    config, tokenizer = model.config, model.tokenizer
    kernel = tokenizer.patch_kernel() if isinstance(tokenizer, PacketTokenizer) else None
    if kernel is None:
        got = f"tokenizer={config.tokenizer!r}, subband_norm={config.subband_norm}"
        expected = "a linear block-Haar tokenizer (tokenizer='dwt' without norm and activation)"
        fail("model.config", expected, f"{got}, subband_act={config.subband_act}")
    return _rebuilt(model, kernel, tokenizer="patch")
