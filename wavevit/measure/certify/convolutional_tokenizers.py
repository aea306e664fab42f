"""Rules for tokenizers made of convolutions: patches, overlapping patches, stems."""

from __future__ import annotations

import math

from wavevit.layers.tokenizers import (
    ConvStemTokenizer,
    DeepStemTokenizer,
    OverlapTokenizer,
    PatchTokenizer,
)
from wavevit.measure.certify.results import LipschitzConstant
from wavevit.measure.certify.rules import lipschitz_of, lipschitz_rule, lipschitz_rule_at
from wavevit.measure.certify.torch_layers import GELU_CONSTANT
from wavevit.measure.circulant import circle_norm

__all__: list[str] = []


@lipschitz_rule(PatchTokenizer)
def _patch(module: PatchTokenizer, tokens: int | None) -> float:
    """The kernel's norm as a matrix: exact, because patches share no pixel."""
    return lipschitz_of(module.proj)


@lipschitz_rule_at(PatchTokenizer)
def _patch_at(module: PatchTokenizer, size: tuple[int, int]) -> LipschitzConstant:
    """The same at every size."""
    return LipschitzConstant(lipschitz_of(module.proj), exact=True)


@lipschitz_rule(OverlapTokenizer)
def _overlap(module: OverlapTokenizer, tokens: int | None) -> float:
    """A pixel is in four patches at most, with either border."""
    return lipschitz_of(module.proj)


@lipschitz_rule_at(OverlapTokenizer)
def _overlap_at(module: OverlapTokenizer, size: tuple[int, int]) -> LipschitzConstant:
    """Exact on a circle. Between zeros at most that of a circle of one patch more.

    On that circle the image with zeros behind it meets no pixel twice: the convolution
    between zeros is a part of what the circle's does to a part of its images.
    """
    stride, circular = module.reach + 1, module.padding == "circular"
    rows, columns = (side + (0 if circular else stride) for side in size)
    around = module.in_float64()
    around.padding = "circular"
    norm = circle_norm(around.linear_part, stride, module.proj.in_channels, (rows, columns))
    return LipschitzConstant(norm, exact=circular)


@lipschitz_rule(ConvStemTokenizer)
def _conv_stem(module: ConvStemTokenizer, tokens: int | None) -> float:
    """The product of all steps; each LayerNorm is as steep as its epsilon lets it."""
    steps = [*module.convs, *module.norms, module.proj]
    return GELU_CONSTANT ** len(module.convs) * math.prod(lipschitz_of(step) for step in steps)


@lipschitz_rule(DeepStemTokenizer)
def _deep_stem(module: DeepStemTokenizer, tokens: int | None) -> float:
    """The product of all steps; each LayerNorm is as steep as its epsilon lets it."""
    return math.prod(lipschitz_of(step) for step in (*module.convs, *module.norms, module.proj))
