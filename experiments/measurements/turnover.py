"""How many token inputs does a shift by one pixel change, and how much? (claim C2)

The patch's own pixels, and what tokenizers of stride 8 make of them at random weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.core.measurement import Measurement
from experiments.measurements.samples import CROP, by_photograph, mean_over, photographs
from experiments.measurements.subjects import SEEDS, state, untrained
from experiments.studies.patch_vs_wavelet import small_vit
from wavevit.measure.shift import token_change
from wavevit.measure.shifting import center_crop, shifted
from wavevit.progress import in_steps

TOKENIZERS = ("patch", "overlap", "conv_stem", "dwt", "swt", "dtcwt", "scattering")
THRESHOLD = 0.1
_SIZE = (CROP, CROP)


def _pixels(x: Tensor) -> Tensor:
    """Each patch of 8 pixels as the numbers that it holds, (B, 64, h, w)."""
    return F.pixel_unshuffle(x, 8)


def measure(runs: Path, crops: int = 4) -> dict[str, Any]:
    """Percent of tokens that change by more than a tenth of a token's size, and the mean change."""
    scenes, batch = photographs(crops)
    noise = torch.randn(batch.images.shape, generator=torch.Generator().manual_seed(1))
    sources = {"photographs": batch.images, "white noise": scenes.normalized(noise)}
    found: dict[str, Any] = {}
    with torch.no_grad():
        for name in in_steps(("pixels", *TOKENIZERS)):
            seeds = (0,) if name == "pixels" else SEEDS
            found[name] = {
                source: {
                    kind: _changes(name, seeds, images, batch.labels, kind)
                    for kind in ("circular", "crop")
                }
                for source, images in sources.items()
            }
    return {"photographs": list(scenes.classes), "seeds": list(SEEDS), "tokens": found}


def _changes(
    name: str, seeds: tuple[int, ...], windows: Tensor, labels: Tensor, kind: str
) -> dict[str, list[float]]:
    whole = center_crop(windows, _SIZE)
    moved = shifted(windows if kind == "crop" else whole, (0, 1), kind, _SIZE)
    shares, changes = [], []
    for seed in seeds:
        if name == "pixels":
            before, after = _pixels(whole), _pixels(moved)
        else:
            model = untrained(small_vit(), seed, {"tokenizer": name})
            before, after = state(model, whole, -1), state(model, moved, -1)
        change = token_change(before, after)
        share = 100 * (change > THRESHOLD).double().mean(dim=(1, 2))
        shares.append(by_photograph(share, labels))
        changes.append(by_photograph(change.mean(dim=(1, 2)), labels))
    return {"percent": mean_over(shares), "change": mean_over(changes)}


MEASUREMENT = Measurement(
    name="turnover",
    question="How many token inputs does a shift by one pixel change, and how much?",
    measure=measure,
)
