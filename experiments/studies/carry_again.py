"""carry_again: does the advantage of dual-tree tokens on other data repeat with new seeds?

Plain ViT and dual-tree tokens of study `carry`, on its data, with six seeds that no run of it had.
`carry` had tested them twice on Fashion-MNIST, with seeds added after a first look, and found
nothing significant with three seeds elsewhere. So the rule, the seeds and the data were written
down and committed before the first run of this study; claim C24 is decided by these runs alone.
The peak learning rates are chosen as in `carry`.

Commands: ``python -m experiments run carry_again`` with the options of each data set
(docs/how-far-does-it-carry.md), then ``report carry_again`` with the same and ``--record``.
Records: ``experiments/records/carry_again_DATA/``. Hardware and time: 2 logical cores of an Intel
Xeon, no GPU, 7 minutes a data set.
Chosen on data: the rates, on validation pictures of each data set.
"""

from __future__ import annotations

from experiments.core.rate_choice import RateChoice
from experiments.core.study import Contrast, Study
from experiments.studies.carry import CARRY

_COMPARED = ("vit", "dtcwt")

CARRY_AGAIN = Study(
    name="carry_again",
    question="Does the advantage of dual-tree tokens on other data repeat with new seeds?",
    variants=lambda: {name: CARRY.configs()[name] for name in _COMPARED},
    baseline="vit",
    contrasts=(Contrast("dtcwt", "vit", "model.tokenizer"),),
    seeds=(5, 6, 7, 8, 9, 10),
    rates=RateChoice(),
    data_sets=CARRY.data_sets[:4],
)
