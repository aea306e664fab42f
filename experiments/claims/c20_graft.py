"""C20: does a graft make a pretrained model shift-robust, at its accuracy and cost?

That every data set with a record decides was written before a record of another one than the
bundled photographs was there. The time of a forward pass does not depend on the data: only the
record of the bundled photographs decides about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.data import data_of, names_of_data
from experiments.claims.effect import Effect
from experiments.claims.measured import between
from experiments.claims.verdict import judge
from experiments.core.statistic import Statistic
from experiments.measurements.graft.methods import CONTROL, GRAFT
from experiments.measurements.graft.report import BUNDLED, R_SHARE, TIME, figure, table

_RECORD = "graft/measurement.json"
# The measurement on each data set, with what the tables call them.
NAMES = {
    _RECORD: "bundled photographs",
    "graft_elpv/measurement.json": "ELPV",
    "graft_gcompris_duplicatesdrop/measurement.json": "other photographs",
}
_ORIGINAL, _BRANCH = "original", f"{GRAFT}, branch"
_R, _TOP1, _CONS = "R(1 px), crop shift", "top-1", "S-Cons"


def _values(record: Mapping[str, Any], name: str, key: str) -> list[float]:
    found = figure(record, name, key)
    assert found is not None  # every method has these figures
    return list(found.values)


def _compared(
    record: Mapping[str, Any], name: str, other: str, key: str, metric: str, predicted: str = ""
) -> Effect:
    """One method minus another one, seed by seed."""
    unit, digits = ("", 3) if key == "R" else ("points", 1)
    return between(
        name,
        _values(record, name, key),
        other,
        _values(record, other, key),
        metric,
        unit=unit,
        digits=digits,
        predicted=predicted,
        over="seeds",
    )


def _deciding(record: Mapping[str, Any]) -> list[Effect]:
    original = _values(record, _ORIGINAL, "R")
    right = _values(record, _ORIGINAL, "top1")
    allowed = Statistic.of(right).std
    return [
        _compared(record, GRAFT, CONTROL, "R", _R, "lower"),
        between(
            GRAFT,
            _values(record, GRAFT, "R"),
            f"{R_SHARE:g} of the original's",
            [R_SHARE * value for value in original],
            _R,
            predicted="lower",
            over="seeds",
        ),
        between(
            GRAFT,
            _values(record, GRAFT, "top1"),
            "the original less one standard deviation over seeds",
            [value - allowed for value in right],
            _TOP1,
            unit="points",
            digits=1,
            predicted="higher",
            over="seeds",
        ),
    ]


def _time(record: Mapping[str, Any]) -> Effect:
    times = record["methods"][GRAFT]["times"]
    return Effect(
        variant=GRAFT,
        metric="time as a multiple of the original's",
        unit="",
        digits=2,
        difference=Statistic.paired(times, [TIME] * len(times), unit=""),
        predicted="lower",
        over="repetitions",
        threshold=TIME,
    )


def _shown(record: Mapping[str, Any]) -> list[Effect]:
    """What is shown beside the deciding differences, of those methods that a record has."""
    keys = (("R", _R), ("s_cons", _CONS), ("top1", _TOP1))
    pairs = [(CONTROL, _ORIGINAL), (GRAFT, _ORIGINAL), (_BRANCH, _ORIGINAL)]
    pairs += [(GRAFT, f"mean of {count} phases") for count in (2, 4)]
    shown = [
        _compared(record, name, other, key, metric)
        for name, other in pairs
        for key, metric in keys
        if {name, other} <= set(record["methods"])
    ]
    return shown + [_compared(record, GRAFT, CONTROL, key, metric) for key, metric in keys[1:]]


def _part(record: Mapping[str, Any], on: str = "") -> tuple[str, str]:
    return (
        f"{on}{record['steps']} steps of distillation with {record['batch']} windows each; mean ± "
        f"standard deviation over {len(record['seeds'])} seeds:",
        table(record),
    )


def _find(records: Mapping[str, Any]) -> Finding:
    named, data = names_of_data(records, NAMES, BUNDLED)
    deciding, shown = [], []
    body: list[str] = []
    for name, words in named.items():
        record = records[name]
        deciding += [effect.on(words) for effect in _deciding(record)]
        shown += [effect.on(words) for effect in _shown(record)]
        body += _part(record, f"On {data_of(record, BUNDLED)}: " if words else "")
    deciding.append(_time(records[_RECORD]))
    return Finding(judge(deciding), (*deciding, *shown), tuple(body), data)


CLAIM = Claim(
    id="C20",
    sentence=(
        "A graft makes a trained model shift-robust, at its accuracy and at most 1.1 times its "
        "cost."
    ),
    records=(_RECORD,),
    optional=tuple(name for name in NAMES if name != _RECORD),
    data=BUNDLED,
    find=_find,
    alt="Differences of the graft to the control, to the original and to means over phases in "
    "crop sensitivity, S-Cons and top-1",
    command="python -m experiments run graft --original-steps 1440",
)
