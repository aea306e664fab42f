"""C2: does a shift by one pixel change almost all token inputs?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.measured import above, between, values_table
from experiments.claims.verdict import judge

_RECORD = "turnover/measurement.json"
_TOLD = ("pixels", "patch")  # what the claim is about
_KINDS = {"circular": "a circular shift", "crop": "a crop shift"}


def _find(records: Mapping[str, Any]) -> Finding:
    tokens = records[_RECORD]["tokens"]
    seen = {name: own["photographs"] for name, own in tokens.items()}
    percent: dict[str, Any] = {"unit": "%", "digits": 1}
    effects = [
        above(name, seen[name][kind]["percent"], 90.0, f"tokens changed by {how}", **percent)
        for name in _TOLD
        for kind, how in _KINDS.items()
    ]
    crop = {name: own["crop"]["percent"] for name, own in seen.items()}
    points, changed = {**percent, "unit": "points"}, "tokens changed by a crop shift"
    shown = [
        between(name, values, "patch", crop["patch"], changed, **points)
        for name, values in crop.items()
        if name not in _TOLD
    ]
    columns = ["changed by a circular shift, %", "by a crop shift, %"]
    columns.append("by a circular shift, white noise, %")
    rows, sizes = {}, {}
    for name, own in seen.items():
        noise = tokens[name]["white noise"]["circular"]["percent"]
        rows[name] = [own["circular"]["percent"], crop[name], noise]
        sizes[name] = [own[kind]["change"] for kind in _KINDS]
    body = (
        values_table("tokens", columns, rows, 1),
        "Mean change of a token, in units of a token's root mean square size:",
        values_table("tokens", [f"by {how}" for how in _KINDS.values()], sizes, 3),
    )
    return Finding(judge(effects), (*effects, *shown), body)


CLAIM = Claim(
    id="C2",
    sentence="A 1-px shift changes almost all token inputs.",
    records=(_RECORD,),
    find=_find,
    alt="Share of tokens that one pixel of shift changes, by tokenizer",
)
