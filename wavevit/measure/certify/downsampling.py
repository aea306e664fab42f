"""Rules for downsampling layers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from wavevit.layers.attention_downsample import AttentionDownsample
from wavevit.layers.downsample import (
    BandLimitedDownsample,
    BlurPoolDownsample,
    ConvDownsample,
    DWTDownsample,
    LiftingDownsample,
    LowPassDownsample,
    PatchMerging,
    PoolDownsample,
)
from wavevit.layers.merged_downsample import MergedDownsample
from wavevit.layers.old_bounds import OldGrowth
from wavevit.measure.certify.mixers import DOT_PRODUCTS
from wavevit.measure.certify.operator_norms import decimation_norm, spectral_norm, wavelet_norm
from wavevit.measure.certify.results import LipschitzConstant, NoLipschitzBound
from wavevit.measure.certify.rules import (
    lipschitz_at,
    lipschitz_of,
    lipschitz_rule,
    lipschitz_rule_at,
    no_lipschitz_bound,
)

__all__ = ["downsampling_constant", "growth_of"]

no_lipschitz_bound(AttentionDownsample, because=DOT_PRODUCTS)
no_lipschitz_bound(LiftingDownsample, because="learns its wavelet and declares no norm of it")


@lipschitz_rule(PatchMerging)
def _patch_merging(module: PatchMerging, tokens: int | None) -> float:
    """Four tokens side by side are as long as they are apart; zeros add nothing."""
    return _product(module.low_pass, module.norm, module.proj)


@lipschitz_rule(PoolDownsample, BlurPoolDownsample)
def _pooled(module: PoolDownsample | BlurPoolDownsample, tokens: int | None) -> float:
    """A maximum over windows that share nothing lengthens nothing.

    Nor does a low-pass whose taps are positive and sum to 1: it is a mean of shifts, of which none
    lengthens, on a circle or between zeros.
    """
    return _product(module.low_pass, module.norm, module.proj)


@lipschitz_rule(ConvDownsample)
def _conv(module: ConvDownsample, tokens: int | None) -> float:
    """The convolution and its norm; the kernel's places are added, at any size of the circle."""
    places = module.conv.weight.detach().double().permute(2, 3, 0, 1)
    kernel = float(torch.linalg.matrix_norm(places, ord=2).sum())
    if module.padding == "zeros":
        kernel = lipschitz_of(module.conv)
    return _product(module.low_pass, module.norm) * kernel


@lipschitz_rule(BandLimitedDownsample)
def _band_limited(module: BandLimitedDownsample, tokens: int | None) -> float:
    """Dropping harmonics lengthens nothing, nor does dropping tokens."""
    if module.filter == "short":
        raise NoLipschitzBound(module, "has a short low-pass, whose norm depends on the grid")
    return _product(module.low_pass, module.norm, module.proj)


@lipschitz_rule_at(BandLimitedDownsample)
def _band_limited_at(module: BandLimitedDownsample, grid: tuple[int, int]) -> LipschitzConstant:
    """The low-pass is one matrix for each axis."""
    circular = module.padding == "circular"
    low_pass = decimation_norm(grid, 2, module.filter, circular)
    rest = _product(module.low_pass, module.norm, module.proj)
    return LipschitzConstant(rest * low_pass, exact=False)


Subbands = DWTDownsample | LowPassDownsample | MergedDownsample


def _subbands(module: Subbands) -> float:
    """Norm and linear map. The wavelet step between them lengthens only what has odd sides."""
    if isinstance(module, MergedDownsample):
        return _product(module.low_pass, module.norm) * spectral_norm(module.weight)
    return _product(module.low_pass, module.norm, module.proj)


def _wavelet(module: Subbands) -> str:
    return "haar" if isinstance(module, MergedDownsample) else module.wavelet


@lipschitz_rule(DWTDownsample, LowPassDownsample, MergedDownsample)
def _subbands_anywhere(module: Subbands, tokens: int | None) -> float:
    """Of any grid: both sides may be odd, and repeat their last row."""
    return _subbands(module) * wavelet_norm(_wavelet(module), (1, 1))


@lipschitz_rule_at(DWTDownsample, LowPassDownsample, MergedDownsample)
def _subbands_at(module: Subbands, grid: tuple[int, int]) -> LipschitzConstant:
    return LipschitzConstant(_subbands(module) * wavelet_norm(_wavelet(module), grid), exact=False)


def growth_of(module: nn.Module, grid: tuple[int, int]) -> float:
    """Deprecated method ``growth`` of a downsampling: its constant for a grid over that for any."""
    return lipschitz_at(module, grid).value / lipschitz_of(module)


def downsampling_constant(module: nn.Module, grid: tuple[int, int]) -> float:
    """The constant of a downsampling of tokens on a grid.

    Args:
        module: a downsampling; a method ``growth(grid)`` of its own is a factor besides.
        grid: rows and columns of the tokens that come in.
    """
    constant = lipschitz_at(module, grid).value
    growth: Any = getattr(module, "growth", None)
    if growth is None or getattr(type(module), "growth", None) is OldGrowth.growth:
        return constant
    more: float = growth(grid)
    return constant * more


def _product(*parts: nn.Module) -> float:
    return math.prod(lipschitz_of(part) for part in parts)
