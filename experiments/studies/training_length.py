"""training_length: do dual-tree tokens still lead when the training is longer?

Every study trains small models from scratch for 360 steps, which does not show that they have
converged. Here the plain ViT and the one with magnitudes of a dual tree as its tokens are trained
four and twelve times as long as well. Each length is a training of its own with a whole cosine
schedule; all else is equal, the steps of the warm-up too.

Command: ``python -m experiments run training_length &&
python -m experiments report training_length``. Runs of `tokenizers` beside it and of the same code
are not trained again. Hardware and time: 2 logical cores of an Intel Xeon, no GPU, 36 minutes.
Expected: top-1 of vit 66, 69 and 70 %, of dtcwt 77, 79 and 79; S-Cons of vit 80, 84 and 86, of
dtcwt 92 at each length. Record: ``experiments/records/training_length/``.
Chosen on data: nothing here; the peak learning rate is that of `patch_vs_wavelet`, chosen there for
the plain ViT. Lengths and seeds were fixed before the first run.
"""

from __future__ import annotations

from experiments.core.config import RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.tokenizers import TOKENIZERS

_FACTORS = {"4 times the steps": 4, "12 times the steps": 12}
_MODELS = ("vit", "dtcwt")


def _variants() -> dict[str, RunConfig]:
    tokens = TOKENIZERS.configs()
    runs = {name: tokens[name] for name in _MODELS}
    for words, factor in _FACTORS.items():
        for name in _MODELS:
            steps = factor * tokens[name].optimizer.steps
            runs[f"{name}, {words}"] = changed(tokens[name], {"optimizer.steps": steps})
    return runs


TRAINING_LENGTH = Study(
    name="training_length",
    question="Do dual-tree tokens still lead when the training is longer?",
    variants=_variants,
    baseline="vit",
    contrasts=(
        Contrast("dtcwt", "vit", "model.tokenizer"),
        *(Contrast(f"dtcwt, {words}", f"vit, {words}", "model.tokenizer") for words in _FACTORS),
        *(
            Contrast(f"{name}, {words}", name, "optimizer.steps")
            for name in _MODELS
            for words in _FACTORS
        ),
    ),
)
