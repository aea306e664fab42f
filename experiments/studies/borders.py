"""borders: does a phase lock help under crop shifts without circular padding, or with a gate?

A lock is exact for circular shifts, and a camera makes none: what enters at one side did not leave
at the other. The ViT whose shift period is a patch (``conv positions`` of `crop_shift`) is trained
without a lock; with a circular lock; with one that chooses by a window; with one that mirrors the
border; with one whose grid lies inside the image, one patch less on each axis (49 tokens of 64, so
26 % fewer multiply-accumulates); and with one whose weak choices fade out (a gate).

Command: ``python -m experiments run borders && python -m experiments report borders``. 2 logical
cores of an AMD EPYC, about 15 minutes. Expected before the first run: C-Cons 100 % with the lock on
the circle alone, S-Cons above ``conv positions`` for ``mirror`` and ``interior``. Record:
``experiments/records/borders/``.

Chosen on data: the gate, 0.06, is the median margin of training crops (2000 crops,
before any training). The peak learning rate is that of `patch_vs_wavelet`, chosen there for the
plain ViT.
"""

from __future__ import annotations

from typing import Any

from experiments.core.config import RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.crop_shift import CROP_SHIFT

# Each changes one field of the lock on the circle.
_LOCKS: dict[str, tuple[str, Any]] = {
    "window": ("model.alignment_boundary", "window"),
    "mirror": ("model.alignment_boundary", "mirror"),
    "interior": ("model.alignment_boundary", "interior"),
    "gate": ("model.alignment_options", {"gate": 0.06}),
}


def _variants() -> dict[str, RunConfig]:
    base = CROP_SHIFT.configs()["conv positions"]
    circle = changed(base, {"model.alignment": "phase_lock"})
    locks = {name: changed(circle, {field: value}) for name, (field, value) in _LOCKS.items()}
    return {"no lock": base, "circle": circle, **locks}


BORDERS = Study(
    name="borders",
    question="Does a phase lock help under crop shifts without circular padding, or with a gate?",
    variants=_variants,
    baseline="no lock",
    contrasts=(
        Contrast("circle", "no lock", "model.alignment"),
        *Contrast.each("circle", {name: field for name, (field, _) in _LOCKS.items()}),
    ),
)
