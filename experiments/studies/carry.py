"""carry: does the advantage of wavelet tokens hold on other data, and with more of it?

The nine models that the project compares, as they are in `tokenizers`, `backbones` and
`patch_vs_wavelet`: plain ViT, the same on Haar packets, on magnitudes of undecimated Haar details,
on magnitudes of the dual tree, behind a convolutional stem and behind a phase lock; Haar pyramid,
dual-tree pyramid, Swin. Equal steps; multiply-accumulates within 10 % of the plain ViT's but for
the stem (17 % more). Each of them once more with the usual augmentation: translation, resizing,
flips.

The peak learning rate of each variant is chosen before its runs (`experiments.core.rate_choice`): a
third, once and three times the rate of the other studies, one seed each and a third of the steps,
trained on ``"fit"`` and judged on ``"validation"``. The phase lock and the augmented variants take
the rate of the model that they are made from.

Commands: ``python -m experiments run carry`` with the options of each data set
(docs/how-far-does-it-carry.md), then ``report carry`` with the same and ``--record``. Records:
``experiments/records/carry_DATA/`` (augmented models other than plain ViT and dual-tree tokens in
those of the other photographs and of ELPV). Hardware and time: CPU, 25 to 50 minutes
a data set on two quiet cores.

Chosen on data: the rates, on validation pictures of each data set. The models are those of the
other studies, which chose their shapes on the bundled photographs; nothing else was chosen on these
data.
"""

from __future__ import annotations

from pathlib import Path

from experiments.core.config import AUGMENTATIONS, RunConfig, changed
from experiments.core.data_choice import DataChoice
from experiments.core.rate_choice import RateChoice
from experiments.core.study import Contrast, Study
from experiments.studies.backbones import BACKBONES
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET
from experiments.studies.tokenizers import TOKENIZERS

_LOCK = "vit + phase_lock"
# By model, in what it differs from the plain ViT.
_FIELDS = {
    **dict.fromkeys(("haar_vit", "swt", "dtcwt", "conv_stem"), "model.tokenizer"),
    **dict.fromkeys(("haar_pyramid", "dtcwt_pyramid", "swin"), "model"),
    _LOCK: "model.alignment",
}


def _augmented(name: str) -> str:
    return f"{name}, augmented"


def _variants() -> dict[str, RunConfig]:
    tokens, families = TOKENIZERS.configs(), BACKBONES.configs()
    runs = {
        "vit": tokens["vit"],
        "haar_vit": families["haar_vit"],
        **{name: tokens[name] for name in ("swt", "dtcwt", "conv_stem")},
        **{name: families[name] for name in ("haar_pyramid", "dtcwt_pyramid", "swin")},
        _LOCK: PATCH_VS_WAVELET.configs()[_LOCK],
    }
    return runs | {
        _augmented(name): changed(run, {"data.augmentation": AUGMENTATIONS})
        for name, run in runs.items()
    }


def _fashion_mnist(share: str) -> DataChoice:
    return DataChoice(source="fashion_mnist", source_options=(f"share={share}",))


CARRY = Study(
    name="carry",
    question="Does the advantage of wavelet tokens hold on other data, and with more of it?",
    variants=_variants,
    baseline="vit",
    contrasts=(
        *(Contrast(name, "vit", field) for name, field in _FIELDS.items()),
        *(
            Contrast(_augmented(name), name, "data.augmentation")
            for name in ("vit", "dtcwt")  # one contrast each: does it replace the tokens?
        ),
        *(Contrast(_augmented(name), _augmented("vit"), field) for name, field in _FIELDS.items()),
    ),
    rates=RateChoice(
        same_as={
            _LOCK: "vit",
            _augmented(_LOCK): "vit",
            **{_augmented(name): name for name in ("vit", *_FIELDS) if name != _LOCK},
        }
    ),
    data_sets=(
        DataChoice(photographs=Path("gcompris"), source_options=("duplicates=drop",)),
        DataChoice(source="elpv"),
        *(_fashion_mnist(share) for share in ("0.1", "1.0", "0.01")),
    ),
)
