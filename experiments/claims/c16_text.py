"""C16: does a text tower make the vocabulary semantic?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.measured import by_seed, subjects_of
from experiments.claims.verdict import Verdict
from experiments.core.statistic import Statistic
from experiments.core.table import Table

_RECORD = "retrieval/measurement.json"
_MISSING = (
    "captioned photographs and a contrastive head; the bundled photographs have names and no "
    "captions"
)
_KEYS = {"photograph": "same photograph", "kind": "same kind"}


def _find(records: Mapping[str, Any]) -> Finding:
    record = records[_RECORD]
    models, chance = record["models"], record["chance"]
    rows = [
        [f"`{name}`", *(Statistic.of(own[key]).text(1) for key in _KEYS)]
        for name, own in models.items()
    ]
    rows.append(["chance", *(f"{chance[key]:.1f}" for key in _KEYS)])
    crops = record["crops"]
    kinds = "; ".join(f"{name}: {', '.join(of)}" for name, of in record["kinds"].items())
    body = (
        "No text tower is measured. It would have to exceed these shares: the nearest of "
        f"{crops['gallery']} crops of training halves to each of {crops['asking']} crops of "
        "test halves (cosine of centred embeddings) is of the same photograph; and, that "
        f"photograph left out, of one of the same kind ({kinds}). Mean ± standard deviation "
        f"over {len(record['seeds'])} seeds:",
        Table(["model", *(f"{title}, %" for title in _KEYS.values())], rows).markdown(),
    )
    shown = [
        by_seed(f"{name}, trained", f"{name}, untrained", models, key, title, "points")
        for key, title in _KEYS.items()
        for name in subjects_of(models)
    ]
    return Finding(Verdict("not measured", _MISSING), tuple(shown), body)


CLAIM = Claim(
    id="C16",
    sentence=("A contrastive text tower makes the vocabulary semantic (CLIP)."),
    records=(_RECORD,),
    find=_find,
    alt="What supervised training adds to retrieval by photograph and by kind, with intervals",
    missing=_MISSING,
)
