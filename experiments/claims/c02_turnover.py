"""C2: does a shift by one pixel change almost all token inputs?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.measured import above, between, values_table
from experiments.claims.verdict import judge

__all__ = ["CLAIM"]

_RECORD = "turnover/measurement.json"
_ALMOST_ALL = 90.0
_KINDS = {"circular": "a circular shift", "crop": "a crop shift"}


def _find(records: Mapping[str, Any]) -> Finding:
    tokens = records[_RECORD]["tokens"]
    percent: dict[str, Any] = {"unit": "%", "digits": 1}
    effects = [
        above(
            name,
            tokens[name]["photographs"][kind]["percent"],
            _ALMOST_ALL,
            f"tokens changed by {how}",
            **percent,
        )
        for name in ("pixels", "patch")
        for kind, how in _KINDS.items()
    ]
    patch = tokens["patch"]["photographs"]
    shown = [
        between(
            name,
            own["photographs"]["crop"]["percent"],
            "patch",
            patch["crop"]["percent"],
            "tokens changed by a crop shift",
            unit="points",
            digits=1,
        )
        for name, own in tokens.items()
        if name not in ("pixels", "patch")
    ]
    columns = [
        "changed by a circular shift, %",
        "by a crop shift, %",
        "by a circular shift, white noise, %",
    ]
    rows = {
        name: [
            own["photographs"]["circular"]["percent"],
            own["photographs"]["crop"]["percent"],
            own["white noise"]["circular"]["percent"],
        ]
        for name, own in tokens.items()
    }
    sizes = {
        name: [own["photographs"][kind]["change"] for kind in _KINDS]
        for name, own in tokens.items()
    }
    body = "\n\n".join(
        (
            values_table("tokens", columns, rows, 1),
            "Mean change of a token, in units of a token's root mean square size:",
            values_table("tokens", [f"by {how}" for how in _KINDS.values()], sizes, 3),
        )
    )
    return Finding(judge(effects), (*effects, *shown), body)


CLAIM = Claim(
    id="C2",
    sentence="A 1-px shift changes almost all token inputs.",
    hypothesis=(
        "On photographs, a shift by one pixel, circular or crop, changes more than 90 % of a ViT's "
        "token inputs by more than a tenth of a token's size."
    ),
    test=(
        "Measurement `turnover`: the pixels of patches of 8 and what the untrained patch "
        "projection makes of them, percent of tokens that change by more than a tenth after the "
        "best realignment by whole tokens, − 90 %, photograph by photograph; the other "
        "tokenizers at random weights beside them."
    ),
    rule=(
        "Supported for each share that is above 90 %, refuted for each that is below (t tests over "
        "photographs, Holm-adjusted together, 5 %); mixed if both occur, inconclusive if no "
        "difference is significant."
    ),
    records=(_RECORD,),
    find=_find,
    alt="Share of tokens that one pixel of shift changes, by tokenizer",
)
