"""magnitudes: why are magnitudes of wavelets good tokens?

The plain ViT of `patch_vs_wavelet` on Haar details of three scales. The tokenizer ``"swt"`` differs
from the linear coefficients of a patch in three steps: it has a detail for each sample (no
decimation), takes magnitudes, and low-passes them down to the patch. Here each step can be left
out: coefficients as they are, their magnitudes, these with a low-pass, these without decimation
(``"swt"`` itself), and ``"swt"`` without magnitudes. Equal steps; multiply-accumulates within 2 %.

Command: ``python -m experiments run magnitudes && python -m experiments report magnitudes``.
Hardware and time: 2 logical cores of an Intel Xeon, no GPU, 15 minutes.
Expected: not known before the first record.
Record: ``experiments/records/magnitudes/``.
Chosen on data: nothing here; the peak learning rate is that of `patch_vs_wavelet`, chosen there for
the plain ViT. Variants and five seeds were fixed before the first run.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.core.config import RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET
from wavevit.checks import check_bool
from wavevit.layers import PartContext, PartOptions, Symmetry, register_tokenizer
from wavevit.layers.decimation import Decimation
from wavevit.layers.padding import pad_map
from wavevit.layers.tokenizers.subbands import SubbandTokenizer, image_padding, levels_of
from wavevit.wavelets import swt2


@register_tokenizer("haar_details")
class HaarDetails(SubbandTokenizer):
    """The tokenizer ``"swt"`` with Haar filters, each of its steps an option.

    By default its tokens equal those of ``"swt"``; with all options False they are a linear map of
    one coefficient for each pixel of the patch (tests/experiments/test_magnitudes.py).
    """

    @dataclass(frozen=True)
    class Options(PartOptions):
        """Options of `HaarDetails`.

        Attributes:
            undecimated: a detail for each sample of its scale; if False, for every second one.
            magnitude: absolute values of the details.
            low_pass: a binomial low-pass before each halving down to the patch; if False, all
                details of a patch are kept, each a band of its own.
        """

        undecimated: bool = True
        magnitude: bool = True
        low_pass: bool = True

        def __post_init__(self) -> None:
            for field in dataclasses.fields(self):
                check_bool(field.name, getattr(self, field.name))

    def __init__(self, context: PartContext, options: Options) -> None:
        level = levels_of(context.patch_size, "haar_details")
        octaves = [level]
        for scale in range(level):
            side = 1 << (level - scale - (0 if options.undecimated else 1))
            octaves += [scale] * (3 if options.low_pass else 3 * side**2)
        super().__init__(context.in_chans, context.dim, octaves, context.subband_norm)
        self.level, self.padding = level, image_padding(context.padding)
        self.options = options
        self.first, self.later = Decimation(5, None), Decimation(4, self.padding)
        circular = context.padding == "circular"
        self.symmetry = Symmetry(context.patch_size, circular=circular)

    @classmethod
    def build(cls, context: PartContext, options: Options) -> Self:
        return cls(context, options)

    def analyse(self, x: Tensor) -> Tensor:
        bands = []
        for scale in range(self.level):
            details = self._details(x)
            if self.options.magnitude:
                details = details.abs()
            bands.append(self._on_the_patch(details, self.level - scale - 1))
            x = 2 * self.later(x)
        return torch.cat([x[:, :, None], *bands], dim=2).flatten(1, 2)

    def _details(self, x: Tensor) -> Tensor:
        """(B, C, 3, h, w): undecimated with two samples more on each side, or decimated."""
        extended = swt2(pad_map(x, 3, self.padding), "haar")[:, :, 0, 1:]
        # `swt2` reads the sample at the right of each: what went round its circle is cut off.
        inside = extended[..., 1:-1, 1:-1]
        return inside if self.options.undecimated else inside[..., 2:-2:2, 2:-2:2]

    def _on_the_patch(self, details: Tensor, halvings: int) -> Tensor:
        """Details to the grid of the patch, (B, C, bands, H/P, W/P).

        Args:
            details: as `_details` gives them.
            halvings: from the grid of decimated details down to that of the patch.
        """
        maps = details.flatten(1, 2)
        undecimated = self.options.undecimated
        if self.options.low_pass:
            if undecimated:
                maps = self.first(maps)
            for _ in range(halvings):
                maps = self.later(maps)
        else:
            if undecimated:
                maps, halvings = maps[..., 2:-2, 2:-2], halvings + 1
            maps = F.pixel_unshuffle(maps, 1 << halvings)
        return maps.unflatten(1, (self.in_chans, -1))


_DETAILS = {
    "coefficients": {"undecimated": False, "magnitude": False, "low_pass": False},
    "magnitudes": {"undecimated": False, "magnitude": True, "low_pass": False},
    "low-passed magnitudes": {"undecimated": False, "magnitude": True, "low_pass": True},
    "low-passed undecimated magnitudes": {},
    "low-passed undecimated coefficients": {"magnitude": False},
}
ALL_STEPS = "low-passed undecimated magnitudes"


def _variants() -> dict[str, RunConfig]:
    vit = PATCH_VS_WAVELET.configs()["vit"]
    return {"vit": vit} | {
        name: changed(vit, {"model.tokenizer": "haar_details", "model.tokenizer_options": options})
        for name, options in _DETAILS.items()
    }


MAGNITUDES = Study(
    name="magnitudes",
    question="Why are magnitudes of wavelets good tokens: magnitude, low-pass or no decimation?",
    variants=_variants,
    baseline="vit",
    contrasts=(
        Contrast("magnitudes", "coefficients", "model.tokenizer_options.magnitude"),
        Contrast("low-passed magnitudes", "magnitudes", "model.tokenizer_options.low_pass"),
        # The options of the first variant are all default, which is written as None.
        Contrast(ALL_STEPS, "low-passed magnitudes", "model.tokenizer_options"),
        Contrast(ALL_STEPS, "low-passed undecimated coefficients", "model.tokenizer_options"),
    ),
    seeds=(0, 1, 2, 3, 4),
)
