"""learning_rate: does the ranking of patches and dual-tree tokens depend on the learning rate?

Every study takes the rate that `patch_vs_wavelet` chose for the plain ViT, and a larger scale
(`experiments.core.scale`) divides it by a rule. Here the plain ViT and the one with magnitudes of a
dual tree as its tokens are trained at half and at twice that rate as well, so that a rate that
suits one of them cannot decide the comparison.

Command: ``python -m experiments run learning_rate && python -m experiments report learning_rate``,
with ``--scale large`` for the larger one. Runs of `tokenizers` beside it and of the same code are
not trained again. Hardware and time: 2 logical cores of an AMD EPYC, no GPU, 10 minutes.
Expected: dual-tree tokens lead by 11 to 17 points of top-1 at each rate; no rate better than the
studies' for either. Record: ``experiments/records/learning_rate/``. Nothing is selected here: all
six are shown (docs/selection.md).
"""

from __future__ import annotations

from experiments.core.config import RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.tokenizers import TOKENIZERS

_FACTORS = {"half the rate": 0.5, "twice the rate": 2.0}
_MODELS = ("vit", "dtcwt")


def _variants() -> dict[str, RunConfig]:
    tokens = TOKENIZERS.configs()
    runs = {name: tokens[name] for name in _MODELS}
    for name in _MODELS:
        for words, factor in _FACTORS.items():
            rate = factor * tokens[name].optimizer.lr
            runs[f"{name}, {words}"] = changed(tokens[name], {"optimizer.lr": rate})
    return runs


LEARNING_RATE = Study(
    name="learning_rate",
    question="Does the ranking of patches and dual-tree tokens depend on the learning rate?",
    variants=_variants,
    baseline="vit",
    contrasts=(
        Contrast("dtcwt", "vit", "model.tokenizer"),
        *(
            Contrast(f"{name}, {words}", name, "optimizer.lr")
            for name in _MODELS
            for words in _FACTORS
        ),
    ),
)
