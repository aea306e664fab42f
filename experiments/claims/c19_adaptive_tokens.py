"""C19: should tokens go where the detail is?

That every data set of the study decides was written before a record of another one than the bundled
photographs was there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from experiments.claims.claim import Claim, Finding
from experiments.claims.data import data_of, names_of_data
from experiments.claims.effect import Effect
from experiments.claims.measured import between, values_table
from experiments.claims.names import reader_name
from experiments.claims.studies import Compared, variants_table
from experiments.claims.verdict import judge
from experiments.core.budgets import budgets_figure, budgets_table
from experiments.core.summary import StudySummary

_STUDY, _CHOICE = "adaptive/summary.json", "token_choice/measurement.json"
_TIMES = "latency/adaptive_study.json"  # of the study's variants, on crops of its photographs
# The study on each data set, with what the tables call them.
NAMES = {
    _STUDY: "bundled photographs",
    "adaptive_gcompris_duplicatesdrop/summary.json": "other photographs",
    "adaptive_elpv/summary.json": "ELPV",
}
_DATA = "crops of 18 photographs"
_SOFT, _SWT, _RANDOM = "adaptive", "adaptive, swt", "adaptive, random"
_HALF, _FULL = "vit, patch 12", "vit"  # uniform grids with as many tokens, and with twice as many
_DECIDING = Compared("top1", ((_SOFT, _HALF), (_SOFT, _RANDOM)), "higher")
_PAIRS = ((_SOFT, _FULL), (_SOFT, _HALF), (_SOFT, "adaptive, hard"), (_SWT, _SOFT))
_SHOWN = (
    Compared("top1", ((_SOFT, _FULL), ("adaptive, hard", _RANDOM), *_PAIRS[2:])),
    Compared("crop", _PAIRS),
    Compared(("crop", 1), _PAIRS),
)
_CHOICES = (
    ("swt, soft", "haar, soft"),
    ("haar, soft", "haar, hard"),
    ("haar, soft", "random, hard"),
)


def _targets(summary: StudySummary) -> str:
    """The targets of the study's lab note, and whether they are met."""
    own, grid, random = (summary.metrics[name] for name in (_SOFT, _FULL, _RANDOM))
    top1, least = own["top1"].mean, grid["top1"].mean - grid["top1"].std
    found = {
        f"top-1 at most one standard deviation below the uniform grid of {grid['tokens'].mean:.0f} "
        f"tokens ({top1:.1f} %, at least {least:.1f} %)": top1 >= least,
        f"top-1 above the random choice ({random['top1'].mean:.1f} %)": top1 > random["top1"].mean,
        f"S-Cons not below that uniform grid ({own['crop'].mean:.1f} %, "
        f"{grid['crop'].mean:.1f} %)": own["crop"].mean >= grid["crop"].mean,
    }
    parts = [f"{words}: {'met' if met else 'missed'}" for words, met in found.items()]
    count = own["tokens"].mean
    return (
        f"Targets of the lab note for the soft split, with {count:.1f} tokens, by means over "
        f"seeds: {'; '.join(parts)}."
    )


def _turnover(record: Mapping[str, Any]) -> tuple[str, list[Effect]]:
    choices = record["choices"]
    rows = {name: [own["percent"], own["tokens"]] for name, own in choices.items()}
    effects = [
        between(
            variant,
            choices[variant]["percent"],
            baseline,
            choices[baseline]["percent"],
            "tokens changed by 1 px of crop",
            unit="points",
            digits=1,
        )
        for variant, baseline in _CHOICES
    ]
    return values_table("choice", ("tokens changed, %", "tokens"), rows, 1), effects


def _effects(summary: StudySummary, compared: Compared, words: str) -> list[Effect]:
    """Effects of those pairs whose variants a record has, named after its data."""
    return [effect.on(words) for effect in compared.recorded(summary).effects(summary)]


def _times(records: Mapping[str, Any]) -> dict[str, float] | None:
    """Times of the variants as multiples of the plain ViT's, where there is a record."""
    record = records.get(_TIMES)
    return None if record is None else dict(record["ratios"])


def _study_part(
    summary: StudySummary, on: str = "", times: Mapping[str, float] | None = None
) -> tuple[str, ...]:
    about = f"Study `adaptive`{on}, mean ± standard deviation over seeds"
    if times:
        about += "; time of a forward pass as a multiple of the plain ViT's"
    return (
        f"{about}:",
        variants_table(summary, ("tokens", "top1", "crop"), (1,), times=times),
        _targets(summary),
    )


def _find(records: Mapping[str, Any]) -> Finding:
    summary, choice = records[_STUDY], records[_CHOICE]
    named, data = names_of_data(records, NAMES, _DATA)
    deciding = [
        e for name, words in named.items() for e in _effects(records[name], _DECIDING, words)
    ]
    shown = [
        effect
        for name, words in named.items()
        for compared in _SHOWN
        for effect in _effects(records[name], compared, words)
    ]
    table, changed = _turnover(choice)
    others = [records[name] for name in named if name != _STUDY]
    body = (
        *_study_part(summary, times=_times(records)),
        *(part for one in others for part in _study_part(one, f" on {data_of(one, _DATA)}")),
        "Each trained model with other budgets than that of its training:",
        budgets_table(summary),
        "How many of the chosen tokens a crop by one pixel changes, untrained, mean [95 % "
        f"interval] over photographs, {choice['crops']} crops:",
        table,
    )
    effects = (*deciding, *shown, *changed)
    return Finding(judge(deciding), effects, body, data)


def _draw(records: Mapping[str, Any], finding: Finding) -> Figure:
    return budgets_figure(records[_STUDY], reader_name, _times(records))


CLAIM = Claim(
    id="C19",
    sentence=(
        "Tokens should go where the detail is: at equal tokens, wavelet-adaptive tokens beat a "
        "uniform grid."
    ),
    records=(_STUDY, _CHOICE),
    optional=(*(name for name in NAMES if name != _STUDY), _TIMES),
    data=_DATA,
    find=_find,
    draw=_draw,
    alt=(
        "Top-1 against tokens and against time: uniform grids, adaptive tokens by energy and at "
        "random places"
    ),
)
