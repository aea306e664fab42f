"""C5: does a shift hurt less on photographs than on noise?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.measured import between, values_table
from experiments.claims.verdict import common_rule, judge

__all__ = ["CLAIM"]

_RECORD = "noise/measurement.json"
_WHAT = {"pixels": "change of patches", "vit": "change of the embedding"}


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
    keys = list(photographs)
    rows = {name: [own[key] for key in keys] for name, own in found.items()}
    columns = ["patches' pixels" if key == "pixels" else f"embedding of `{key}`" for key in keys]
    return Finding(judge(effects), (*effects, *shown), values_table("images", columns, rows, 3))


CLAIM = Claim(
    id="C5",
    sentence=(
        "Natural images are locally redundant, so a 1-px shift hurts less on photographs than "
        "on noise."
    ),
    hypothesis=(
        "A crop that moves by one pixel changes the patches, and the trained plain ViT's "
        "embedding, less on photographs than on white noise of the same contrast."
    ),
    test=(
        "Measurement `noise`: relative change of the patches' pixels and of the embedding, "
        "photographs − white noise, paired by photograph; photographs with random phases show "
        "what of it the spectrum alone explains."
    ),
    rule=common_rule("below"),
    records=(_RECORD,),
    find=_find,
    alt="Differences between photographs, their phase-randomised twins and white noise",
)
