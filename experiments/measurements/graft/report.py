"""What the pages show of the record of `graft`: the answer, a table of the methods, the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.core.statistic import Statistic, number
from experiments.core.table import Table
from experiments.measurements.graft.methods import BLURRED, CONTROL, GRAFT, Setting
from wavevit.checks import fail

# Targets for a graft, as shares of the original's figure or in the unit of the figure.
R_SHARE, COSINE, TIME = 0.4, 0.98, 1.1
_CONSISTENCY = 6.0  # points of S-Cons; where less than twice as much is missing, half of that

# The data of a record that names none.
BUNDLED = "crops of 18 photographs"

# What the first sentence calls a method: it, whether it is needed, and beside what control.
_SENTENCES = {
    GRAFT: ("The graft", "Wavelets are", "wavelets", "the graft"),
    BLURRED: ("Blur-pool", "Blur-pool is", "it", "blur-pool"),
}


def figure(record: Mapping[str, Any], name: str, key: str) -> Statistic | None:
    """A figure of a method over seeds; ``"R"`` is R for a crop shift by 1 px. None if missing."""
    runs = record["methods"][name]["runs"]
    if key == "R":
        return Statistic.of([one["sensitivity"][0] for one in runs])
    if any(key not in one for one in runs):
        return None
    return Statistic.of([float(one[key]) for one in runs])


def difference(record: Mapping[str, Any], name: str, other: str, key: str) -> Statistic:
    """A figure of a method minus that of another one, seed by seed.

    Raises:
        ValueError: a figure that one of them lacks.
    """
    one, two = figure(record, name, key), figure(record, other, key)
    if one is None or two is None:
        fail("key", f"a figure of {name!r} and {other!r}", key)
    return Statistic.paired(one.values, two.values, unit="" if key == "R" else "points")


def verdict(record: Mapping[str, Any]) -> str:
    """The first sentence of the page: whether wavelets are needed.

    They are where R of the graft is lower than R of the control, distilled in the same way without
    wavelets: where the 95 % interval of the paired difference lies below 0.
    """
    return sentence(record, difference(record, GRAFT, CONTROL, "R"))


def sentence(
    record: Mapping[str, Any], change: Statistic, over: str = "", name: str = GRAFT
) -> str:
    """Whether wavelets are needed, by R(1 px crop) of the graft minus that of the control.

    Args:
        record: has the original, the control and the graft.
        change: the paired differences.
        over: what they are differences over, where it is not seeds.
        name: `GRAFT`, or what is compared in its place.
    """
    what, needed, beside, against = _SENTENCES[name]
    graft, control, plain = (figure(record, one, "R") for one in (name, CONTROL, "original"))
    assert graft is not None
    assert control is not None
    assert plain is not None
    means = f"R(1 px crop) is {plain.mean:.3f} for the original, {control.mean:.3f}"
    figures = f"{means} after distillation without {beside}, {graft.mean:.3f} with {against}"
    ends = change.ends()
    digits = 3 if f"{ends[0]:.3f}" != f"{ends[1]:.3f}" else 5  # so that the interval has a width
    paired = f"{against.removeprefix('the ')} minus control {change.change(digits)}"
    by = f"R is {100 * abs(graft.mean / control.mean - 1):.0f} %"
    match change.direction():
        case "lower":
            begin = f"{what} makes the model more shift-robust than distillation alone ({by} lower)"
        case "higher":
            begin = f"{needed} not needed: distillation alone makes the model more shift-robust"
            figures = f"{by} higher with {against}. {figures}"
        case "inconclusive":
            begin = f"No difference between {against} and distillation alone was found"
        case _:
            begin = f"One seed allows no statement on whether {needed.lower()} needed"
    return f"**{begin}**: {figures}; {paired}{over}."


def wanted_consistency(before: float) -> float:
    """Points of S-Cons that a graft should gain over the original's percentage."""
    return min(_CONSISTENCY, (100 - before) / 2)


def targets(record: Mapping[str, Any]) -> str:
    """What was asked of the graft, and whether it was reached."""
    graft, plain = (figure(record, one, "R") for one in (GRAFT, "original"))
    right, cosine = figure(record, "original", "top1"), figure(record, GRAFT, "cosine")
    assert graft is not None
    assert plain is not None
    assert right is not None
    assert cosine is not None
    consistency = difference(record, GRAFT, "original", "s_cons").mean
    before = figure(record, "original", "s_cons")
    assert before is not None
    wanted = wanted_consistency(before.mean)
    accuracy = difference(record, GRAFT, "original", "top1").mean
    ratio = record["methods"][GRAFT]["time"]
    rows = [
        (
            f"R(1 px crop), share of the original's: at most {R_SHARE}",
            f"{graft.mean / plain.mean:.2f}",
            graft.mean <= R_SHARE * plain.mean,
        ),
        (
            f"S-Cons, points: at least {wanted:+.1f}",
            number(consistency, 1, signed=True),
            consistency >= wanted,
        ),
        (
            f"top-1, points: at least −{right.std:.1f} (one standard deviation over seeds)",
            number(accuracy, 1, signed=True),
            accuracy >= -right.std,
        ),
        (
            f"cosine to the original's features averaged over shifts: at least {COSINE}",
            f"{cosine.mean:.3f}",
            cosine.mean >= COSINE,
        ),
        (f"time: at most {TIME}", f"{ratio:.3f}", ratio <= TIME),
    ]
    return target_table(GRAFT, rows)


def target_table(name: str, rows: Sequence[tuple[str, str, bool]]) -> str:
    """Rows of target, what was found, and whether the target was reached.

    Args:
        name: of the method.
        rows: one for each target.
    """
    cells = [
        [words, found, "reached" if reached else "**not reached**"]
        for words, found, reached in rows
    ]
    return Table([f"target for `{name}`", "found", "result"], cells).markdown()


_COLUMNS = {
    "top1": ("top-1, %", 1),
    "probe": ("linear probe, %", 1),
    "neighbours": ("nearest neighbours, %", 1),
    "recall": ("R@1, %", 1),
    "s_cons": ("S-Cons, %", 1),
    "R": ("R(1 px) crop", 3),
    "cosine": ("cosine", 3),
    "condition": ("condition number", 1),
    "minutes": ("minutes", 1),
}


def table(record: Mapping[str, Any]) -> str:
    """A row for each method: mean ± standard deviation over seeds, or the figure of one run.
    Figures that no method has get no column."""
    names = list(record["methods"])
    columns = [
        (key, *words)
        for key, words in _COLUMNS.items()
        if any(figure(record, name, key) is not None for name in names)
    ]
    jumping = any(figure(record, name, "jumps") is not None for name in names)
    head = ["method", *(words for _, words, _ in columns), "time"]
    head += ["images that jump"] * jumping
    rows = []
    for name, one in record["methods"].items():
        cells = [name]
        for key, _, digits in columns:
            found = figure(record, name, key)
            cells.append("–" if found is None else found.shown(digits))
        jumps = figure(record, name, "jumps")
        cells.append(f"{one['time']:.2f}")
        if jumping:
            cells.append("–" if jumps is None else f"{sum(jumps.values):.0f}")
        rows.append(cells)
    return Table(head, rows).markdown()


def _setting(record: Mapping[str, Any], family: str) -> str:
    found = Setting(**record["settings"][family])
    return f"learning rate {found.rate:g} and `still` {found.still:g}"


def _trained(record: Mapping[str, Any]) -> str:
    """Steps of the original's training; a record that does not say it has those of the study."""
    if "configuration" not in record:
        return ""
    return f" in {record['configuration']['optimizer']['steps']} steps"


# What the columns are that the glossary does not have in these words.
EXPLAINED = (
    "Cosine: between the features and the original's features averaged over all shifts by less "
    "than a patch. Images that jump: images whose features have a discontinuity while they move by "
    "one pixel. Time: of a forward pass, as a multiple of the original's."
)


def render(record: Mapping[str, Any]) -> str:
    """What the page shows of the record, its first sentence first."""
    names: Sequence[str] = list(record["methods"])
    if not {GRAFT, CONTROL} <= set(names):
        fail("record", f"one that has {GRAFT!r} and {CONTROL!r}", names)
    about = (
        f"The original is a ViT trained on {record.get('data', BUNDLED)}{_trained(record)}, "
        f"{len(record['seeds'])} seeds. Each distillation has {record['steps']} steps of "
        f"{record['batch']} windows, without labels: {_setting(record, CONTROL)} without wavelets, "
        f"{_setting(record, GRAFT)} for the grafts. {EXPLAINED} Minutes: of distillation on one "
        "core."
    )
    return "\n\n".join([verdict(record), about, table(record), targets(record)])
