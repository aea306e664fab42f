"""Does a shift by one pixel hurt less on photographs than on noise? (claim C5)

Three kinds of image with the same mean and contrast: photographs; the same with random phases, so
that only the spectrum is left of them; white noise. Crops move by one pixel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.core.evaluation import embed
from experiments.core.measurement import Measurement
from experiments.measurements.samples import CROP, by_photograph, mean_over, photographs
from experiments.measurements.subjects import SEEDS, trained
from wavevit.measure.shift import token_change
from wavevit.measure.shifting import center_crop, shifted
from wavevit.progress import in_steps

VARIANTS = ("vit", "haar_pyramid", "dtcwt_pyramid")
_SIZE = (CROP, CROP)


def same_spectrum(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images (N, C, H, W) with the phases of white noise in place of their own."""
    noise = torch.fft.fft2(torch.randn(images.shape, generator=generator))
    phases = noise / noise.abs().clamp_min(1e-12)
    return torch.fft.ifft2(torch.fft.fft2(images).abs() * phases).real


def measure(runs: Path, crops: int = 4) -> dict[str, Any]:
    """Change of the patches' pixels and of trained embeddings, relative to their own size."""
    scenes, batch = photographs(crops)
    generator = torch.Generator().manual_seed(2)
    windows = {
        "photographs": batch.images,
        "same spectrum": scenes.normalized(same_spectrum(batch.images, generator)),
        "white noise": scenes.normalized(torch.randn(batch.images.shape, generator=generator)),
    }
    found: dict[str, Any] = {}
    with torch.no_grad():
        for source in in_steps(windows):
            images = windows[source]
            before, after = center_crop(images, _SIZE), shifted(images, (0, 1), "crop", _SIZE)
            change = token_change(F.pixel_unshuffle(before, 8), F.pixel_unshuffle(after, 8))
            found[source] = {"pixels": by_photograph(change.mean(dim=(1, 2)), batch.labels)}
            for variant in VARIANTS:
                values = []
                for seed in SEEDS:
                    model = trained(runs, variant, seed)
                    one, two = embed(model, before), embed(model, after)
                    moved = (two - one).norm(dim=1) / one.norm(dim=1)
                    values.append(by_photograph(moved, batch.labels))
                found[source][variant] = mean_over(values)
    return {"photographs": list(scenes.classes), "seeds": list(SEEDS), "change": found}


MEASUREMENT = Measurement(
    name="noise",
    question="Does a shift by one pixel hurt less on photographs than on noise?",
    measure=measure,
)
