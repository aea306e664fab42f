"""C11: do CNNs bake shift equivariance in?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding, Verdict
from experiments.claims.measured import above, between, values_table

__all__ = ["CLAIM"]

_RECORD = "convolutions/measurement.json"
_EXACT, _ROUNDING = "stride-free, circular", 1e-9


def _find(records: Mapping[str, Any]) -> Finding:
    found = records[_RECORD]["error"]
    one = {name: own["1"] for name, own in found.items()}
    effects = [
        above(name, one[name], 0.01, "error, roll by 1 px") for name in found if name != _EXACT
    ]
    blurred, strided = "strided after a blur, circular", "strided, circular"
    shown = [between(blurred, one[blurred], strided, one[strided], "error, roll by 1 px")]
    worst = max(max(values) for values in found[_EXACT].values())
    broken = [e for e in effects if (e.difference.interval() or (0, 0))[0] > 0]
    if worst > _ROUNDING:
        verdict = Verdict("fails", f"without stride or border the error is {worst:.0e}")
    elif len(broken) == len(effects):
        verdict = Verdict("holds only if", "nothing strides and borders wrap")
    elif broken:
        names = ", ".join(f"`{e.variant}`" for e in broken)
        verdict = Verdict("holds only if", f"it is none of {names}")
    else:
        verdict = Verdict("holds")
    columns = [f"{shift} px" for shift in found[_EXACT]]
    rows = {name: list(own.values()) for name, own in found.items()}
    body = "\n\n".join(
        (
            "Distance between the map of the rolled image and the rolled map, relative to the map:",
            values_table("network", columns, rows, 3),
            f"Largest error of `{_EXACT}`, any roll and photograph: {worst:.0e}.",
        )
    )
    return Finding(verdict, (*effects, *shown), body)


CLAIM = Claim(
    id="C11",
    sentence="CNNs bake shift equivariance in (true of stride-free ones only?).",
    hypothesis=(
        "A CNN's map moves with the image exactly; strides, and borders that do not wrap, make "
        "it miss by more than 1 % of its size at a roll by one pixel."
    ),
    test=(
        "Measurement `convolutions`: relative equivariance error at random weights in float64, "
        "by photograph; a small CNN with one property changed at a time, and timm's ResNet-18 "
        "and ConvNeXt-Atto."
    ),
    rule=(
        "Fails if the CNN without strides and borders is off by more than 1e-9; else holds only "
        "if the network is none of those whose error has an interval above 1 %; holds if there "
        "are none."
    ),
    records=(_RECORD,),
    command="python -m experiments.measurements convolutions",
    find=_find,
    alt="Equivariance errors of convolutional networks at a roll by one pixel, above one percent",
)
