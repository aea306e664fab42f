"""places: which backbone finds the same place again, and is the list of neighbours stable under
shifts?

The task `retrieval` on two crops of each place. Figures: R@1, R@5 and mAP with the size of the
gallery and chance, and how much of the list of neighbours a crop shift keeps.

Command: ``python -m experiments run places && python -m experiments report places``.
Hardware and time: 2 logical cores of an Intel Xeon, no GPU, 8 minutes beside other work.
Expected: R@1 of dtcwt_vit 94 %, dtcwt_pyramid 89, the others 80 to 82. Record:
``experiments/records/places/``. Chosen on data: nothing; the peak learning rate is that of
`patch_vs_wavelet`, chosen there for the plain ViT as a classifier.
"""

from __future__ import annotations

from functools import partial

from experiments.core.study import Study
from experiments.studies.backbones import SIX_CONTRASTS, six_backbones

PLACES = Study(
    name="places",
    question="Which backbone finds a place again, and are its neighbours stable under shifts?",
    variants=partial(
        six_backbones,
        "retrieval",
        {},
        mlps={"haar_pyramid": 1.08, "dtcwt_pyramid": 1.08},
        test_crops=720,
        measured_crops=96,
    ),
    baseline="vit",
    contrasts=SIX_CONTRASTS,
)
