"""magnitudes: why are magnitudes of wavelets good tokens?

The plain ViT of `patch_vs_wavelet` on Haar details of three scales. The tokenizer ``"swt"`` has a
detail for each sample (no decimation), takes magnitudes, and low-passes them down to the patch.
Here each step can be left out: coefficients as they are, their magnitudes, these with a low-pass,
these without decimation (``"swt"`` itself), and ``"swt"`` without magnitudes. In all of them a
low-pass that overlaps patches leads from one scale to the next, so the coefficients are as many as
the pixels and linear, but no orthonormal transform of a patch. Equal steps; multiply-accumulates
within 2 %.

Command: ``python -m experiments run magnitudes && python -m experiments report magnitudes``.
Hardware and time: 2 logical cores of an Intel Xeon, no GPU, 13 minutes.
Expected: top-1 of low-passed undecimated magnitudes and of magnitudes 76 %, vit 65, coefficients
63, low-passed undecimated coefficients 46. Record: ``experiments/records/magnitudes/``.
Chosen on data: nothing here; the peak learning rate is that of `patch_vs_wavelet`, chosen there for
the plain ViT. Variants and five seeds were fixed before the first run.
"""

from __future__ import annotations

from experiments.core.config import RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET

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
        name: changed(vit, {"model.tokenizer": "swt", "model.tokenizer_options": options})
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
