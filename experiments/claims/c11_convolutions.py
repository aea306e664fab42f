"""C11: do CNNs bake shift equivariance in?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.measured import above, between, values_table
from experiments.claims.verdict import Verdict, judged, listed

_RECORD = "convolutions/measurement.json"
_EXACT, _ROUNDING = "stride-free, circular", 1e-9


def _find(records: Mapping[str, Any]) -> Finding:
    found = records[_RECORD]["error"]
    one = {name: own["1"] for name, own in found.items()}
    effects = [
        above(name, one[name], 0.01, "error, circular shift by 1 px")
        for name in found
        if name != _EXACT
    ]
    blurred, strided = "strided after a blur, circular", "strided, circular"
    shown = [between(blurred, one[blurred], strided, one[strided], "error, circular shift by 1 px")]
    worst = max(max(values) for values in found[_EXACT].values())
    tested = judged(effects)  # here an error above 1 % speaks against equivariance
    inexact = [one.effect.name for one in tested if one.outcome == "supported"]
    unclear = [one.effect.name for one in tested if one.outcome != "supported"]
    exact = (
        f"for circular shifts without strides and with circular padding (largest error {worst:.0e})"
    )
    if worst > _ROUNDING:
        verdict = Verdict("refuted", f"not exact even {exact}")
    elif not inexact:
        verdict = Verdict("supported", f"exact {exact}; inconclusive for {listed(unclear)}")
    else:
        detail = f"supported (exact) {exact}; refuted for {listed(inexact)}"
        if unclear:
            detail += f"; inconclusive for {listed(unclear)}"
        verdict = Verdict("mixed", detail)
    columns = [f"{shift} px" for shift in found[_EXACT]]
    rows = {name: list(own.values()) for name, own in found.items()}
    body = (
        "Distance between the map of the shifted image and the shifted map, relative to the map:",
        values_table("network", columns, rows, 3),
        f"Largest error of `{_EXACT}`, any shift and photograph: {worst:.0e}.",
        'In the table of comparisons, "supported" means that the error is above the threshold, as '
        "the hypothesis predicts. This speaks against the claim that such a network is "
        "equivariant.",
    )
    return Finding(verdict, (*effects, *shown), body)


CLAIM = Claim(
    id="C11",
    sentence="CNNs bake shift equivariance in (true of stride-free ones only?).",
    records=(_RECORD,),
    find=_find,
    alt="Equivariance errors of convolutional networks under a circular shift by one pixel",
)
