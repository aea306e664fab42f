"""phase_average: is an average over all grid offsets worth its cost?

An alignment that chooses one grid offset gives exactness under circular shifts and nothing else
(`crop_shift`). The average over all offsets is the reference that it stands for: exact for circular
shifts, continuous, 64 calls of the model for an image. The ViT whose shift period is a patch
(convolutional positions, circular padding) is trained without an alignment, with a lock, with a
weighted frame and with the average; the last two are also added to the plain one after training.

Command: ``python -m experiments run phase_average --jobs 2 && python -m experiments report
phase_average``. On a CPU one run with the average takes an hour of two cores (a training step runs
the model 4,096 times: seven seconds, 7 GB; 0.3 to 0.6 on an H100 that other runs share), of which
measuring takes half an hour of a core. Record: ``experiments/records/phase_average/``; all runs of
seeds 0 and 1 were trained on an H100, all of seed 2 on a CPU; alignments added after training, the
worst case of all variants and the time were measured on a CPU. Nothing in it was chosen on data;
the peak learning rate is the one that `patch_vs_wavelet` chose for the plain ViT.
"""

from __future__ import annotations

from experiments.core.config import RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.crop_shift import CROP_SHIFT

_ALIGNMENTS = ("phase_lock", "weighted_frame", "group_average")
_AFTER = ("weighted_frame", "group_average")


def _variants() -> dict[str, RunConfig]:
    base = CROP_SHIFT.configs()["conv positions"]
    aligned = {method: changed(base, {"model.alignment": method}) for method in _ALIGNMENTS}
    return {
        "conv positions": base,
        **{f"conv positions + {method}": run for method, run in aligned.items()},
        **{f"conv positions then {method}": aligned[method] for method in _AFTER},
    }


PHASE_AVERAGE = Study(
    name="phase_average",
    question="Is an average over all grid offsets worth its cost?",
    variants=_variants,
    baseline="conv positions",
    contrasts=Contrast.each(
        "conv positions",
        {f"conv positions + {method}": "model.alignment" for method in _ALIGNMENTS}
        | {f"conv positions then {method}": "model.alignment" for method in _AFTER},
    ),
    applied={f"conv positions then {method}": "conv positions" for method in _AFTER},
    measures=CROP_SHIFT.measures,
)
