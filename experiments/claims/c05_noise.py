"""C5: does a shift hurt less on photographs than on noise?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.measured import between, values_table
from experiments.claims.verdict import judge

_RECORD = "noise/measurement.json"
_WHAT = {"pixels": "change of patches", "vit": "change of the embedding"}
# Shown beside them: two models that differ from the plain ViT.
_OTHERS = {
    "haar_pyramid": "change of the Haar pyramid's embedding",
    "dtcwt_pyramid": "change of the dual-tree pyramid's embedding",
}


def _find(records: Mapping[str, Any]) -> Finding:
    found = records[_RECORD]["change"]
    photographs, spectrum, white = (found[name] for name in found)
    effects = [
        between("photographs", photographs[key], "white noise", white[key], how, predicted="lower")
        for key, how in _WHAT.items()
    ]
    shown = [
        between("photographs", photographs[key], "same spectrum", spectrum[key], how)
        for key, how in _WHAT.items()
    ]
    shown += [
        between("same spectrum", spectrum[key], "white noise", white[key], how)
        for key, how in _WHAT.items()
    ]
    shown += [
        between("photographs", photographs[key], "white noise", white[key], how)
        for key, how in _OTHERS.items()
    ]
    keys = list(photographs)
    rows = {name: [own[key] for key in keys] for name, own in found.items()}
    columns = ["patches' pixels" if key == "pixels" else f"embedding of `{key}`" for key in keys]
    table = values_table("images", columns, rows, 3)
    return Finding(judge(effects), (*effects, *shown), (table,))


CLAIM = Claim(
    id="C5",
    sentence=(
        "Natural images are locally redundant, so a 1-px shift hurts less on photographs than "
        "on noise."
    ),
    records=(_RECORD,),
    find=_find,
    alt="Differences between photographs, photographs with random phases and white noise",
)
