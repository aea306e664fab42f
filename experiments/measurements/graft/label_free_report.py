"""What the page shows of a pretrained model's record: the answer, a table, the targets.

The rules were written before a record existed. The first sentence compares R of the graft with R of
the control, distilled in the same way without wavelets: over seeds, or, where each was distilled
once, over the photographs that neither has seen. The model's own accuracy is that of one model, so
a standard deviation of it is binomial, over the pictures that it was asked about.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from experiments.core.statistic import Statistic, number
from experiments.measurements.graft.methods import BLURRED, CONTROL, GRAFT
from experiments.measurements.graft.report import (
    COSINE,
    EXPLAINED,
    R_SHARE,
    TIME,
    difference,
    figure,
    sentence,
    table,
    target_table,
    wanted_consistency,
)
from wavevit.checks import fail

MINUTES = 20.0
_ORIGINAL = "original"


def _judged(record: Mapping[str, Any]) -> str:
    """The method that is compared with the control: the graft, or blur-pool of a CNN."""
    return GRAFT if GRAFT in record["methods"] else BLURRED


def verdict(record: Mapping[str, Any]) -> str:
    """The first sentence: whether wavelets (of a CNN: blur-pool) are needed."""
    name = _judged(record)
    if len(record["seeds"]) > 1:
        return sentence(record, difference(record, name, CONTROL, "R"), name=name)
    (graft,), (control,) = (record["methods"][one]["runs"] for one in (name, CONTROL))
    change = Statistic.paired(graft["by_photograph"], control["by_photograph"], "")
    steps = f"of {graft['steps']} and {control['steps']} steps"
    over = (
        f", over {len(change.values)} photographs; one distillation of each, {steps}, others may "
        "differ"
    )
    return sentence(record, change, over, name)


def _mean(record: Mapping[str, Any], name: str, key: str) -> float | None:
    found = figure(record, name, key)
    return None if found is None else found.mean


def _kept(
    record: Mapping[str, Any], key: str, words: str, asked: int
) -> list[tuple[str, str, bool]]:
    """The target of an accuracy; no row where it was not measured."""
    before, after = (_mean(record, name, key) for name in (_ORIGINAL, _judged(record)))
    if before is None or after is None:
        return []
    share = before / 100
    allowed = 100 * math.sqrt(share * (1 - share) / asked)
    target = f"{words}, points: at least −{allowed:.1f} (one standard deviation, binomial)"
    return [(target, number(after - before, 1, signed=True), after - before >= -allowed)]


def targets(record: Mapping[str, Any]) -> str:
    """What was asked of the graft, and whether it was reached."""
    name = _judged(record)
    found = {key: _mean(record, name, key) for key in ("R", "s_cons", "cosine", "minutes")}
    plain, before = (_mean(record, _ORIGINAL, key) for key in ("R", "s_cons"))
    moved, cosine, minutes = found["R"], found["cosine"], found["minutes"]
    assert plain is not None
    assert moved is not None
    assert cosine is not None
    assert minutes is not None
    share = moved / plain
    rows = [
        (
            f"R(1 px crop), share of the original's: at most {R_SHARE}",
            f"{share:.2f}",
            share <= R_SHARE,
        )
    ]
    if before is not None and found["s_cons"] is not None:
        wanted, gained = wanted_consistency(before), found["s_cons"] - before
        rows.append(
            (
                f"S-Cons, points: at least {wanted:+.1f}",
                number(gained, 1, signed=True),
                gained >= wanted,
            )
        )
    if record["classified"] is not None:
        rows += _kept(record, "top1", "top-1", record["classified"])
    if record["labelled"] is not None:
        asked = record["labelled"]["asked"]
        rows += _kept(record, "probe", "linear probe", asked)
        rows += _kept(record, "neighbours", "nearest neighbours", asked)
    rows += _kept(record, "recall", "R@1", record["photographs"]["measured"])
    ratio = record["methods"][name]["time"]
    rows += [
        (
            f"cosine to the original's features averaged over shifts: at least {COSINE}",
            f"{cosine:.3f}",
            cosine >= COSINE,
        ),
        (f"time: at most {TIME}", f"{ratio:.3f}", ratio <= TIME),
        (
            f"minutes of distillation: at most {MINUTES:g}",
            f"{minutes:.1f}",
            minutes <= MINUTES,
        ),
    ]
    return target_table(name, rows)


def _steps(record: Mapping[str, Any]) -> str:
    """Steps of each method: as many as fitted into the minutes of the first one."""
    counts = {
        name: {run["steps"] for run in one["runs"] if "steps" in run}
        for name, one in record["methods"].items()
    }
    parts = [
        f"{name}: {' to '.join(map(str, sorted({min(own), max(own)})))} steps"
        for name, own in counts.items()
        if own
    ]
    return "; ".join(parts)


def _about(record: Mapping[str, Any]) -> str:
    photographs, labelled = record["photographs"], record["labelled"]
    parts = [
        f"{record['model']}: {record['minutes']:g} minutes of distillation on "
        f"{photographs['trained_on']} photographs, without labels, learning rate "
        f"{record['rate']:g} ({_steps(record)}). R and cosine "
        f"are measured on {photographs['measured']} other photographs. "
        "R@1: the share of these for which, of the lower right crops of "
        f"{photographs['gallery']} photographs, their own is nearest to their upper left crop."
    ]
    if labelled is not None:
        parts.append(
            f"Linear probe and nearest neighbours ({labelled['neighbours']} of them): top-1 on "
            f"{labelled['asked']} test pictures of {labelled['name']}, fitted on the features of "
            f"{labelled['fitted']} training pictures. It has {labelled['classes']} classes; the "
            f"most frequent one has {labelled['majority']:.1f} % of the test pictures."
        )
    if record["classified"] is not None:
        parts.append(
            f"Top-1: on {record['classified']} ImageNet images (from the package foolbox), as a "
            "sanity check. S-Cons: of the model's own classes on the photographs. R and cosine are "
            "those of its class scores. Blur: a low-pass before each stride (blur-pool)."
        )
    elif labelled is not None:
        parts.append("S-Cons: of the classes that the linear probe gives.")
    parts.append(EXPLAINED)
    return " ".join(parts)


def render(record: Mapping[str, Any]) -> str:
    """What the page shows of the record, its first sentence first.

    Raises:
        ValueError: a record without the graft or its control.
    """
    if not {_judged(record), CONTROL} <= set(record["methods"]):
        expected = f"one that has {CONTROL!r}, and {GRAFT!r} or {BLURRED!r}"
        fail("record", expected, list(record["methods"]))
    return "\n\n".join([verdict(record), _about(record), table(record), targets(record)])
