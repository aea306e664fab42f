"""C13: is the visual vocabulary expressive, and does it transfer?"""

from __future__ import annotations

from experiments.claims.claim import Claim, unmeasured

__all__ = ["CLAIM"]

CLAIM = Claim(
    id="C13",
    sentence=(
        "The visual vocabulary is expressive if it transfers: effective rank, n-term error and "
        "probes rise with capacity, data and objective."
    ),
    hypothesis=(
        "Effective rank of the tokens and the accuracy of a linear probe on another task rise "
        "with width, with training crops and with a self-supervised objective, seed by seed."
    ),
    test=(
        "Effective rank (`wavevit.measure.effective_rank`), n-term error (`n_term_error`) and a "
        "linear probe on photographs that training has not seen, along the axes of study "
        "`capacity` and for each objective."
    ),
    rule=(
        "Holds if rank and probe both rise along capacity, data and objective; holds only if it "
        "is one of the axes along which they do."
    ),
    records=(),
    command="python -m experiments.run capacity",
    find=unmeasured,
    missing="objectives beside the supervised one, and a second task to probe",
)
