"""How stable is a choice of tokens by detail, when the camera moves by one pixel? (claim C19)

Crops of photographs move by one pixel. Measured is the share of the tokens that the new crop
changes (`wavevit.measure.choice_turnover`), for both splits and both energies, and for the random
control; patches of 8 to 64 pixels, a budget of half of the finest grid. No model is trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.core.measurement import Measurement
from experiments.measurements.samples import CROP, photographs
from wavevit.layers.tokenizers import AdaptiveOptions, AdaptiveTokenizer
from wavevit.measure import choice_turnover
from wavevit.progress import in_steps

CHOICES: dict[str, dict[str, Any]] = {
    f"{energy}, {splitting}": {"energy": energy, "splitting": splitting}
    for energy in ("haar", "swt")
    for splitting in ("soft", "hard")
} | {"random, hard": {"energy": "random", "splitting": "hard"}}
PATCH = 8


def measure(runs: Path, crops: int = 12) -> dict[str, Any]:
    """Turnover in percent by photograph, for each choice."""
    scenes, batch = photographs(crops)
    found: dict[str, Any] = {}
    for name in in_steps(CHOICES):
        options = AdaptiveOptions(**CHOICES[name])
        tokenizer = AdaptiveTokenizer(1, 8, PATCH, options=options)

        def choose(x: Tensor, tokenizer: AdaptiveTokenizer = tokenizer) -> Tensor:
            return torch.cat([w.flatten(1) for w in tokenizer.weights_of(x)], dim=1)

        parts = [
            choice_turnover(choose, batch.images[batch.labels == label], crop_size=CROP)
            for label in batch.labels.unique()
        ]
        found[name] = {
            "percent": [part.percent for part in parts],
            "tokens": [part.tokens for part in parts],
        }
    return {"photographs": list(scenes.classes), "crops": len(batch.images), "choices": found}


MEASUREMENT = Measurement(
    name="token_choice",
    question="How stable is a choice of tokens by detail, when the camera moves by one pixel?",
    measure=measure,
)
