"""C17: block Haar and a linear layer are patchify; what beyond it helps?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.studies import metric_effect, variants_table
from experiments.claims.verdict import common_rule, judge

__all__ = ["CLAIM"]

_RECORD = "tokenizers/summary.json"
_BEYOND = ("dwt", "swt", "dtcwt", "scattering")


def _find(records: Mapping[str, Any]) -> Finding:
    summary = records[_RECORD]
    same = [metric_effect(summary, "dwt, linear", "vit", key) for key in ("top1", "crop")]
    effects = [
        metric_effect(summary, name, "vit", key, "higher")
        for key in ("top1", "crop")
        for name in _BEYOND
    ]
    body = variants_table(summary, ("top1", "circular", "crop"), (1, 4))
    return Finding(judge(effects), (*effects, *same), body)


CLAIM = Claim(
    id="C17",
    sentence="Block Haar and a linear layer equal patchify; what beyond it helps?",
    hypothesis=(
        "The equality is a law and has tests. Its complement can be false: wavelet tokens that a "
        "linear map of one block cannot make (gains and GELU on each subband, undecimated and "
        "dual-tree magnitudes, scattering) learn more than patches and keep the class under crops."
    ),
    test=(
        "Study `tokenizers`, `dwt`, `swt`, `dtcwt` and `scattering`, each − `vit`, in top-1 and in "
        "S-Cons, paired by seed; `dwt, linear` is the mere rotation of the patch."
    ),
    rule=common_rule("above"),
    records=(_RECORD,),
    command="python -m experiments run tokenizers",
    find=_find,
    alt="Differences of four wavelet tokenizers and of Haar as a rotation to the plain ViT",
)
