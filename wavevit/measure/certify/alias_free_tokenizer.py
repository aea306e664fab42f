"""Rule for the alias-free tokenizer."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn

from wavevit.layers.padding import pad_map
from wavevit.layers.tokenizers import AliasFreeTokenizer, SubbandNorm
from wavevit.measure.certify.operator_norms import decimation_norm, spectral_norm
from wavevit.measure.certify.results import LipschitzConstant
from wavevit.measure.certify.rules import lipschitz_rule_at
from wavevit.measure.certify.torch_layers import GELU_CONSTANT
from wavevit.measure.circulant import circle_norm

__all__: list[str] = []


@lipschitz_rule_at(AliasFreeTokenizer)
def _alias_free_at(module: AliasFreeTokenizer, size: tuple[int, int]) -> LipschitzConstant:
    """An upper bound: the stem's steps, undecimated details, the low-pass, one matrix.

    A convolution has its norm on a circle, one pixel larger where zeros are around it.
    Details are convolutions on a circle, so their norm together is the largest of the sum of
    their filters' power spectra; the low-pass is one matrix for each axis.
    """
    wide = module.in_float64()
    around = (size[0] + 1, size[1] + 1) if module.padding == "zeros" else size
    stem = 1.0
    for conv in wide.stem:
        assert isinstance(conv, nn.Conv2d)
        linear = functools.partial(_circular, conv)
        stem *= GELU_CONSTANT * circle_norm(linear, 1, conv.in_channels, around)
    impulse = torch.zeros(1, 1, *size, dtype=torch.float64)
    impulse[..., 0, 0] = 1
    spectra = torch.fft.fft2(module.details(impulse)).abs().square()
    details = math.sqrt(float(spectra.sum((2, 3)).max()))
    circular = module.padding == "circular"
    low_pass = decimation_norm(size, module.patch_size, module.low_pass, circular)
    weight = module.proj.weight.detach().double()
    if isinstance(module.norm, SubbandNorm):
        weight = weight * module.norm.weight.detach().double()
    bands = weight.unflatten(1, (-1, 1 + 3 * module.scales))
    apart = spectral_norm(bands[:, :, 0]) + details * spectral_norm(bands[:, :, 1:].flatten(1))
    together = math.hypot(1.0, details) * spectral_norm(weight)
    return LipschitzConstant(stem * low_pass * min(apart, together), exact=False)


def _circular(conv: nn.Module, x: Tensor) -> Tensor:
    return conv(pad_map(x, 1, "circular"))
