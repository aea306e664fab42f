"""tokenizers: is cutting an image into fixed patches a bad idea, and do wavelets fix it?

The plain ViT of `patch_vs_wavelet` with one field changed, what its tokens are made of: patches,
overlapping patches, a convolutional stem, Haar packets as a mere rotation of the patch (the same
function class) and with gains and GELU, magnitudes of undecimated Haar details, magnitudes of the
dual tree with and without gains, scattering. Equal steps; multiply-accumulates within 7 % but for
the stem (17 % more).

Command: ``python -m experiments run tokenizers && python -m experiments report tokenizers``.
Hardware and time: 2 logical cores of an AMD EPYC, no GPU, about 25 minutes; runs of `backbones`,
`crop_shift` or `patch_vs_wavelet` in the same folder and of the same code are not trained again.
Expected: top-1 83 % for scattering, 79 for dtcwt, 76 for swt, 65 for the plain ViT, spread 1 to 3;
S-Cons 95, 92, 91, 79. Record: ``experiments/records/tokenizers/``.

Chosen on data: the peak learning rate is that of `patch_vs_wavelet`, chosen there
for the plain ViT. The study was written after the first seed of ``dtcwt tokens`` in `crop_shift`
had been seen on the test halves (78.6 % where the plain ViT had 62.5); nothing was tuned since.
"""

from __future__ import annotations

from typing import Any

from experiments.core.config import RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET

_LINEAR = {"model.subband_norm": False, "model.subband_act": False}
_CHANGES: dict[str, dict[str, Any]] = {
    "overlap": {"model.tokenizer": "overlap"},
    "conv_stem": {"model.tokenizer": "conv_stem"},
    "dwt, linear": {"model.tokenizer": "dwt", **_LINEAR},
    "dwt": {"model.tokenizer": "dwt"},
    "swt": {"model.tokenizer": "swt"},
    "dtcwt": {"model.tokenizer": "dtcwt"},
    "dtcwt, no gains": {"model.tokenizer": "dtcwt", "model.subband_norm": False},
    "scattering": {"model.tokenizer": "scattering"},
}


def _variants() -> dict[str, RunConfig]:
    vit = PATCH_VS_WAVELET.configs()["vit"]
    return {"vit": vit} | {name: changed(vit, fields) for name, fields in _CHANGES.items()}


TOKENIZERS = Study(
    name="tokenizers",
    question="Is cutting an image into fixed patches a bad idea, and do wavelets fix it?",
    variants=_variants,
    baseline="vit",
    contrasts=(
        Contrast("overlap", "vit", "model.tokenizer"),
        Contrast("conv_stem", "vit", "model.tokenizer"),
        Contrast("dwt, linear", "vit", "model"),
        Contrast("dwt", "vit", "model.tokenizer"),
        Contrast("swt", "vit", "model.tokenizer"),
        Contrast("dtcwt", "vit", "model.tokenizer"),
        Contrast("dtcwt, no gains", "dtcwt", "model.subband_norm"),
        Contrast("scattering", "vit", "model.tokenizer"),
    ),
)
