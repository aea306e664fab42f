"""Adaptive tokens: number of tokens, and conversion of a ViT with fixed patches."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import torch
from torch import Tensor

from wavevit.checks import check_image, fail
from wavevit.layers.padding import pad_to_multiple
from wavevit.layers.token_layout import present
from wavevit.models.backbone import Backbone

__all__ = ["make_adaptive", "token_counts"]


def token_counts(model: Backbone, images: Tensor) -> Tensor:
    """Tokens that are computed for each image, without the class token.

    Args:
        model: a backbone with the tokenizer ``"adaptive"``.
        images: (B, C, H, W).

    Returns:
        (B,) integers.

    Raises:
        ValueError: another tokenizer.
    """
    if not isinstance(model, Backbone):
        fail("model", "a backbone with tokenizer 'adaptive'", f"a {type(model).__name__}")
    if not model.tokenizer.weighted:
        fail("model", "a backbone with tokenizer 'adaptive'", repr(model.config.tokenizer))
    check_image(images, "images", channels=model.in_chans)
    with torch.no_grad():
        x = pad_to_multiple(images, model.config.patch_size)
        weights = cast("Any", model.tokenizer).weights_of(x)
    return torch.stack([present(w).flatten(1).sum(dim=1) for w in weights]).sum(dim=0)


def make_adaptive(model: Backbone, **options: Any) -> Backbone:
    """Converts a ViT with fixed patches to one with adaptive tokens, keeping its weights.

    Args:
        model: a backbone with ``tokenizer="patch"``; timm's weights come into one by
            `wavevit.interop.timm.load_timm_weights`.
        **options: fields of `AdaptiveOptions`.

    Returns:
        A new backbone with ``tokenizer="adaptive"``. What it adds for larger patches starts at 0:
        with every patch split (``threshold=0, budget=None``) its outputs are those of `model`.
        `wavevit.grafting.distil` with ``train="all"`` trains it without labels, with `model` as the
        teacher.

    Raises:
        ValueError: no `Backbone`, another tokenizer, a model with added parameters (a graft), or
            bad options.
    """
    if not isinstance(model, Backbone):
        expected = "a Backbone (into which load_timm_weights of wavevit.interop.timm brings timm's)"
        fail("model", expected, f"a {type(model).__name__}")
    if model.config.tokenizer != "patch":
        fail("model.config.tokenizer", "'patch'", repr(model.config.tokenizer))
    config = dataclasses.replace(model.config, tokenizer="adaptive", tokenizer_options=options)
    weight = next(model.parameters())
    twin = Backbone(config)
    twin.reset_classifier(model.num_classes, model.global_pool)
    twin = twin.to(device=weight.device, dtype=weight.dtype).train(model.training)
    own = twin.state_dict()
    added = sorted(model.state_dict().keys() - own.keys())
    if added:
        expected = "a Backbone without added parameters (wavevit.ungraft removes those of a graft)"
        fail("model", expected, f"{added[0]} and {len(added) - 1} more")
    twin.load_state_dict(own | model.state_dict())
    return twin
