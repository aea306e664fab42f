"""What each figure shows, written from the numbers, whichever way they went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from experiments.summary import Statistic, StudySummary

__all__ = [
    "about_consistency",
    "about_contrasts",
    "about_cost",
    "about_picture",
    "about_sensitivity",
    "headline",
    "verdict",
]


def verdict(difference: Statistic) -> str:
    """What a paired difference over seeds allows to say: its sign, if it stands out of the spread.

    "Stands out" means more than twice the standard error; with one seed nothing does.
    """
    count = len(difference.values)
    if count < 2:
        return "one seed: no statement"
    error = difference.std / count**0.5
    if abs(difference.mean) <= 2 * error:
        return "no effect found"
    return "higher" if difference.mean > 0 else "lower"


def _points(difference: Statistic) -> str:
    count = len(difference.values)
    spread = f" ± {difference.std:.1f}" if count > 1 else ""
    seeds = "seed" if count == 1 else "seeds"
    return f"{difference.mean:+.1f}{spread} points ({verdict(difference)}, {count} {seeds})"


def headline(summary: StudySummary) -> str:
    """The answer in two or three sentences."""
    base = summary.baseline
    circular, crop = summary.sensitivity[base]["circular"], summary.sensitivity[base]["crop"]
    turnover = summary.turnover[base]["circular"].mean
    text = (
        f"Rolling the image by one pixel changes {turnover:.0f} % of the last tokens of "
        f"<b>{base}</b> by more than a tenth and moves its embedding by "
        f"{100 * circular[1].mean:.0f} % of the distance to another image; moving a real crop by "
        f"one pixel moves it by {100 * crop[1].mean:.0f} %. "
    )
    others = [name for name in summary.variants if name != base]
    if not others:
        return text
    best_crop = min(others, key=lambda name: summary.sensitivity[name]["crop"][1].mean)
    value = summary.sensitivity[best_crop]["crop"][1].mean
    relation = "less" if value < crop[1].mean else "not less"
    text += (
        f"The least sensitive of the others to that one pixel of crop is <b>{best_crop}</b> with "
        f"{100 * value:.0f} %, {relation} than {base}. "
    )
    exact = [name for name in others if summary.metrics[name]["circular"].mean == 100]
    if exact:
        names = " and ".join(f"<b>{name}</b>" for name in exact)
        text += f"Exactly invariant to rolls (C-Cons 100 %): {names}."
    return text


def about_picture(changes: Mapping[str, Sequence[Tensor]], shifts: Sequence[int], kind: str) -> str:
    """Mean token change at one pixel, per model."""
    column = list(shifts).index(1)
    parts = [
        f"{100 * float(maps[column].mean()):.0f} % in {name}" for name, maps in changes.items()
    ]
    how = {"circular": "rolled", "crop": "cropped"}[kind]
    return (
        f"One photograph, {how} one pixel further to the right: the last tokens change on average "
        f"by {', '.join(parts)}. Maps are laid over each other by the best whole-token roll first, "
        "so a mere permutation of tokens counts as no change."
    )


def about_sensitivity(summary: StudySummary) -> str:
    """The ranking at one pixel for both shift models."""
    parts = []
    for kind, words in (("circular", "a roll"), ("crop", "a crop shift")):
        ranked = sorted(summary.variants, key=lambda n: summary.sensitivity[n][kind][1].mean)
        values = [f"{n} {summary.sensitivity[n][kind][1].mean:.3f}" for n in ranked]
        parts.append(f"Under {words} of 1 px the embedding moves by: {', '.join(values)}.")
    return " ".join(parts) + " Bands are one standard deviation over seeds."


def about_consistency(summary: StudySummary) -> str:
    """How often the class survives, and what circular exactness buys under crops."""
    base = summary.metrics[summary.baseline]
    text = (
        f"Two random shifts of one picture get the same class from {summary.baseline} in "
        f"{base['circular'].text(1)} % (circular) and {base['crop'].text(1)} % (crop) of pairs. "
    )
    for variant, baseline, field in summary.contrasts:
        if field != "model.alignment" or variant not in summary.metrics:
            continue
        difference = summary.paired_difference(variant, baseline, "crop")
        if difference is not None:
            text += (
                f"The lock takes {baseline} to "
                f"{summary.metrics[variant]['circular'].mean:.1f} % for rolls; for crops it "
                f"changes S-Cons by {_points(difference)}. "
            )
    return text.strip()


def about_cost(summary: StudySummary) -> str:
    """Accuracy and cost of every variant against the baseline."""
    base, parts = summary.baseline, []
    for name in summary.variants:
        if name == base:
            continue
        difference = summary.paired_difference(name, base, "top1")
        words = _points(difference) if difference is not None else "no common seeds"
        ratio = f", {summary.latency[name]:.2f}x the time" if summary.latency else ""
        parts.append(f"{name} {words}{ratio}")
    macs = [summary.metrics[name]["macs"].mean for name in summary.variants]
    spread = 100 * (max(macs) / min(macs) - 1)
    return (
        f"Top-1 against {base}: {'; '.join(parts)}. Multiply-accumulates differ by at most "
        f"{spread:.1f} %."
    )


def about_contrasts(summary: StudySummary) -> list[tuple[str, str, str, str, str]]:
    """Rows of the ablation table: variant, baseline, field, top-1 and S-Cons difference."""
    rows = []
    for variant, baseline, field in summary.contrasts:
        if variant not in summary.metrics or baseline not in summary.metrics:
            continue
        differences = [
            summary.paired_difference(variant, baseline, metric) for metric in ("top1", "crop")
        ]
        texts = [_points(d) if d is not None else "no common seeds" for d in differences]
        rows.append((variant, baseline, field, texts[0], texts[1]))
    return rows
