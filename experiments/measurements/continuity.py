"""Do small changes of the pixels make small changes of the embedding? (claim C4)

Trained models of study `backbones` in float64: the condition number at each photograph, and a scan
for jumps along two kinds of path. The control has the plain ViT's weights behind a polyphase grid,
which is chosen by an argmax.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from experiments.core.evaluation import embed
from experiments.core.measurement import Measurement
from experiments.measurements.samples import CROP, by_photograph, mean_over, photographs
from experiments.measurements.subjects import SEEDS, trained
from wavevit.measure import jump_scan, local_lipschitz
from wavevit.measure.jumps import PATHS
from wavevit.measure.shifting import center_crop
from wavevit.progress import in_steps

CONTROL = "vit + polyphase"
SUBJECTS: dict[str, tuple[str, dict[str, Any]]] = {
    "vit": ("vit", {}),
    "haar_vit": ("haar_vit", {}),
    "haar_pyramid": ("haar_pyramid", {}),
    "dtcwt_pyramid": ("dtcwt_pyramid", {}),
    CONTROL: ("vit", {"alignment": "polyphase"}),
}


def measure(runs: Path, crops: int = 1) -> dict[str, Any]:
    """By subject: condition numbers, jumps along paths, and how many images jump."""
    scenes, batch = photographs(crops)
    images = center_crop(batch.images, (CROP, CROP)).double()
    found: dict[str, Any] = {}
    for name in in_steps(SUBJECTS):
        variant, changes = SUBJECTS[name]
        conditions: list[list[float]] = []
        steps: dict[str, tuple[list[list[float]], list[list[float]]]]
        steps = {path: ([], []) for path in PATHS}
        for seed in SEEDS:
            model = trained(runs, variant, seed, **changes).double()
            f = partial(embed, model)
            relative = torch.tensor(local_lipschitz(f, images, iterations=8).relative)
            conditions.append(by_photograph(relative, batch.labels))
            for path, (heights, jumped) in steps.items():
                scan = jump_scan(f, images, path=path, steps=16, candidates=1)
                heights.append(by_photograph(torch.tensor(scan.jump), batch.labels))
                jumped.append(by_photograph(torch.tensor(scan.jumps()).double(), batch.labels))
        found[name] = {
            "condition": mean_over(conditions),
            **{
                path: {"jump": mean_over(heights), "jumped": mean_over(jumped)}
                for path, (heights, jumped) in steps.items()
            },
        }
    # A linear map's constant is its largest singular value: exact, for any two images.
    kernels = [trained(runs, "vit", seed).state_dict()["tokenizer.proj.weight"] for seed in SEEDS]
    embedding = [float(torch.linalg.matrix_norm(kernel.flatten(1), 2)) for kernel in kernels]
    return {
        "photographs": list(scenes.classes),
        "seeds": list(SEEDS),
        "subjects": found,
        "patch_embedding_norm": embedding,
    }


MEASUREMENT = Measurement(
    name="continuity",
    question="Do small changes of the pixels make small changes of the embedding?",
    measure=measure,
)
