"""Rules for tokenizers of wavelet subbands."""

from __future__ import annotations

import math

import torch
from torch import nn

from wavevit.layers.tokenizers import (
    DTCWTTokenizer,
    PacketTokenizer,
    ScatteringTokenizer,
    SWTTokenizer,
)
from wavevit.layers.tokenizers.dtcwt import BIORT
from wavevit.measure.certify.operator_norms import spectral_norm, wavelet_norm
from wavevit.measure.certify.results import LipschitzConstant, NoLipschitzBound
from wavevit.measure.certify.rules import lipschitz_of, lipschitz_rule, lipschitz_rule_at
from wavevit.measure.certify.torch_layers import GELU_CONSTANT
from wavevit.measure.circulant import circle_norm
from wavevit.wavelets import filter_bank, level_one_frame_bounds

__all__: list[str] = []

# Of images whose sides the patch divides, with either border: all levels and the approximation.
_FRAME = level_one_frame_bounds(BIORT)[1]


@lipschitz_rule(PacketTokenizer)
def _packet(module: PacketTokenizer, tokens: int | None) -> float:
    """Packet, gains and projection as one matrix; exact without GELU for orthogonal filters."""
    side = 1 << module.level
    packet = wavelet_norm(module.wavelet, (side, side), module.level)
    # Gains and a pointwise slope commute.
    return spectral_norm(module.projection()) * _slope(module) * packet * _low_pass(module)


@lipschitz_rule_at(PacketTokenizer)
def _packet_at(module: PacketTokenizer, size: tuple[int, int]) -> LipschitzConstant:
    """Exact, but for a blur in front.

    With GELU too: a packet can be inverted, so some image has all its coefficients where GELU
    is steepest, and moves from there as the linear map does.
    """
    if not isinstance(module.low_pass, nn.Identity):
        return LipschitzConstant(_packet(module, None), exact=False)
    if filter_bank(module.wavelet).orthogonal:
        return LipschitzConstant(_packet(module, None), exact=True)
    linear = module.in_float64()
    linear.act = False
    norm = circle_norm(linear.linear_part, module.decimation, module.in_chans, size)
    return LipschitzConstant(_slope(module) * norm, exact=True)


def _slope(module: PacketTokenizer) -> float:
    return GELU_CONSTANT if module.act else 1.0


def _low_pass(module: PacketTokenizer) -> float:
    return lipschitz_of(module.low_pass)


@lipschitz_rule_at(SWTTokenizer)
def _undecimated_at(module: SWTTokenizer, size: tuple[int, int]) -> LipschitzConstant:
    """An upper bound: details, magnitudes that lengthen nothing, low-passes, one matrix.

    Every low-pass with its stride has norm 1/2 on a circle and between repeated borders (which
    are a mirror here, one sample wide), and so has the low-pass of the first, whose filter's
    squares are weights that sum to it. On a circle the norm of all details together is exact;
    between borders each scale's is bounded axis by axis and scales are added.
    """
    if not (module.options.undecimated and module.options.low_pass):
        raise NoLipschitzBound(module, "without all of its low-passes it has no rule")
    steps = [module.level - scale for scale in range(module.level)]
    if module.padding == "circular":
        factors = [1.0] + [0.5**step for step in steps for _ in range(3)]
        frame = circle_norm(module.in_float64().linear_part, 1 << module.level, 1, size)
        bound = frame * spectral_norm(module.projection(factors))
        return LipschitzConstant(bound, exact=False)
    matrix = module.projection().unflatten(1, (module.in_chans, -1))
    bound = spectral_norm(matrix[:, :, 0])
    for scale, step in enumerate(steps):
        details = 0.5 ** (step - 1) * math.prod(_scale_norm(module, s >> scale) for s in size)
        ours = matrix[:, :, 1 + 3 * scale : 4 + 3 * scale].flatten(1)
        bound += details * spectral_norm(ours)
    return LipschitzConstant(bound, exact=False)


def _scale_norm(module: SWTTokenizer, side: int) -> float:
    """Norm of all bands along one axis, each sample with its weight in the first low-pass."""
    wide = module.in_float64()
    # An image that is constant along the other axis: there the bands are its low-pass.
    lines = torch.eye(side, dtype=torch.float64)[:, None, :, None].expand(-1, 1, -1, 4)
    bands = wide.extended_bands(lines)[:, 0, :, :, 2] / sum(filter_bank(module.wavelet).dec_lo)
    low, high = bands[:, 0], bands[:, 1]
    taps = wide.first.kernel(torch.float64, lines.device).sum(0)
    weights = torch.zeros(side + 4, dtype=torch.float64)
    for token in range(side // 2):
        weights[2 * token : 2 * token + 5] += taps
    return spectral_norm(torch.cat([low, high], dim=1) * weights.sqrt().repeat(2))


@lipschitz_rule(DTCWTTokenizer)
def _dual_tree(module: DTCWTTokenizer, tokens: int | None) -> float:
    """The dual tree's frame bound; magnitudes lengthen nothing; then one matrix.

    What stands between magnitudes and projection is put into the matrix: the mean of four
    trees and every low-pass with its stride have norm 1/2, with either border.
    """
    factors = [0.5] + [0.5**steps for steps in range(module.level) for _ in range(6)]
    return math.sqrt(_FRAME) * spectral_norm(module.projection(factors))


@lipschitz_rule(ScatteringTokenizer)
def _scattering(module: ScatteringTokenizer, tokens: int | None) -> float:
    """Two dual trees' frame bounds, magnitudes that lengthen nothing, one matrix.

    A magnitude of the last scale is a coefficient itself; every other path ends in the mean
    of four trees (1/2), behind another dual tree where it has two magnitudes already.
    """
    last, low = module.scales, 0.5
    first = [1.0 if scale == last else low for scale in range(1, last + 1) for _ in range(6)]
    second = [
        1.0 if two == last else low * math.sqrt(_FRAME)
        for one in range(1, last)
        for two in range(one + 1, last + 1)
        for _ in range(36)
    ]
    trees = math.sqrt(_FRAME * max(_FRAME, 1.0))
    return trees * spectral_norm(module.projection([low, *first, *second]))
