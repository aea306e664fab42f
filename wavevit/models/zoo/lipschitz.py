"""Backbones with a Lipschitz constant that is proved, from the pixels to the embedding.

A ViT and a wavelet pyramid whose every part has a constant: attention between vectors of bounded
length, norms that divide by nothing, linear maps that never lengthen, and residual branches whose
gains start at one over their number, so that the product over all blocks does not grow with their
number. `wavevit.measure.certified_lipschitz` puts the constants together.

Source: Kim et al. 2021 (dot-product attention has none), Qi et al. 2023 (LipsFormer: centred norms,
scaled cosine attention, weighted branches). Enforced linear maps and the pyramid are ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from wavevit.models.config import BackboneConfig, make_stages
from wavevit.models.registry import register_model
from wavevit.models.zoo.vit import vit

__all__ = ["lipschitz_pyramid", "lipschitz_vit"]


def lipschitz_vit(embed_dim: int, depth: int, num_heads: int) -> BackboneConfig:
    """A columnar ViT; the mean over places is shorter by the root of their number."""
    plain = vit(embed_dim, depth, num_heads)
    stages = tuple(dataclasses.replace(stage, mixer="lipschitz") for stage in plain.stages)
    return dataclasses.replace(
        plain, stages=stages, norm="center", spectral_control=True, pool="avg"
    )


def lipschitz_pyramid(
    depths: Sequence[int], embed_dims: Sequence[int], head_dim: int = 32, patch_size: int = 8
) -> BackboneConfig:
    """Haar packet tokens, Haar downsampling and injected details, all tokens meeting.

    Orthonormal steps lengthen nothing. It starts at stride 8, where attention among all tokens is
    still affordable; rotations give positions and change no length.
    """
    stages = make_stages(
        depths=depths,
        embed_dims=embed_dims,
        num_heads=[dim // head_dim for dim in embed_dims],
        mixer="lipschitz",
        inject=[index > 0 for index in range(len(depths))],
    )
    return BackboneConfig(
        stages=stages,
        tokenizer="dwt",
        patch_size=patch_size,
        position="rope",
        padding="circular",
        norm="center",
        spectral_control=True,
    )


@register_model
def lipschitz_vit_tiny() -> BackboneConfig:
    return lipschitz_vit(192, 12, 3)


@register_model
def lipschitz_vit_small() -> BackboneConfig:
    return lipschitz_vit(384, 12, 6)


@register_model
def test_lipschitz_vit() -> BackboneConfig:
    return lipschitz_vit(64, 2, 2)


@register_model
def lipschitz_pyramid_tiny() -> BackboneConfig:
    return lipschitz_pyramid((2, 6, 2), (96, 192, 384))


@register_model
def test_lipschitz_pyramid() -> BackboneConfig:
    return lipschitz_pyramid((1, 1), (16, 32), head_dim=16, patch_size=8)
