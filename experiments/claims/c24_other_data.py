"""C24: does the advantage of wavelet tokens survive other data, more data and larger models?

The runs of study `carry_again` decide: six seeds of two models on each data set. Rule, seeds and
data were committed before the first of them. The runs of `carry` are shown. They were tested first,
and on Fashion-MNIST again after two seeds had been added, so another test of them would be one more
chance of a false finding. The record of larger models was known before any rule was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.data import data_of
from experiments.claims.effect import Effect
from experiments.claims.measured import between, text_of
from experiments.claims.studies import study_effect
from experiments.claims.verdict import Judged, judge, judged, listed
from experiments.core.statistic import number
from experiments.core.summary import METRICS, StudySummary
from experiments.core.table import Table

_TOKENS, _PATCHES = "dtcwt", "vit"
_METRICS = ("top1", "crop")
_BALANCED = "balanced"  # shown beside them, where a record has it; it does not decide
# Other photographs, photographs of another kind, no photographs, and as many of these as there are.
_DATA = {
    "gcompris_duplicatesdrop": "other photographs",
    "elpv": "ELPV",
    "fashion_mnist_share0.1": "Fashion-MNIST, a tenth",
    "fashion_mnist_share1.0": "Fashion-MNIST, all",
}
_NEW = ", new seeds"
# Records that decide, with what a table calls their data.
DECIDING = {f"carry_again_{data}/summary.json": words + _NEW for data, words in _DATA.items()}
# Shown beside them: all models with the first seeds, few pictures, and larger models on the bundled
# photographs.
_FIRST = {f"carry_{data}/summary.json": words for data, words in _DATA.items()}
FEW, ALL = "carry_fashion_mnist_share0.01/summary.json", list(_FIRST)[-1]
LARGER = "tokenizers_large/summary.json"
SHOWN = _FIRST | {
    FEW: "Fashion-MNIST, a hundredth",
    LARGER: "larger models, bundled photographs",
}
NAMES = DECIDING | SHOWN
_REQUIRED = next(iter(DECIDING))
_ADVANTAGE = "The advantage of dual-tree tokens over patches"
_ANSWERS = {
    "supported": f"{_ADVANTAGE} carries over",
    "mixed": f"{_ADVANTAGE} carries over to some data, and is reversed on others",
    "refuted": f"{_ADVANTAGE} does not carry over",
    "inconclusive": f"{_ADVANTAGE} may or may not carry over",
}
_ANSWERS_IN_PART = {
    "supported": f"{_ADVANTAGE} carries over to some data",
    "refuted": f"{_ADVANTAGE} is reversed on some data",
}
_OUTCOMES = {
    "supported": "higher on",
    "refuted": "lower on",
    "inconclusive": "not found to differ on",
}


def _effects(records: Mapping[str, Any], predicted: Mapping[str, str]) -> list[Effect]:
    """Dual-tree tokens minus patches on each data set that is there, in both metrics."""
    return [
        study_effect(records[name], _TOKENS, _PATCHES, metric, sign).on(NAMES[name])
        for name, sign in predicted.items()
        if name in records
        for metric in _METRICS
    ]


def _gain_with_data(few: StudySummary, many: StudySummary) -> Effect:
    """How much larger the advantage in top-1 is with all pictures than with few, seed by seed."""
    gains = [summary.paired_difference(_TOKENS, _PATCHES, "top1") for summary in (many, few)]
    values = [() if gain is None else gain.values for gain in gains]
    variants = [f"{_TOKENS}, {NAMES[name]}" for name in (ALL, FEW)]
    return between(
        variants[0],
        values[0],
        variants[1],
        values[1],
        "top-1 over that of patches",
        unit="points",
        digits=1,
        over="seeds",
    )


def _find(records: Mapping[str, Any]) -> Finding:
    deciding = _effects(records, dict.fromkeys(DECIDING, "higher"))
    shown = _effects(records, dict.fromkeys(SHOWN, ""))
    if {FEW, ALL} <= records.keys():
        shown.append(_gain_with_data(records[FEW], records[ALL]))
    data = listed([data_of(records[name], "") for name in DECIDING if name in records])
    return Finding(judge(deciding), (*deciding, *shown), (carry_table(records),), data)


def answer(records: Mapping[str, Any] | None) -> str:
    """The first sentences of the page "How far does it carry?", by the claim's rule."""
    if records is None:
        return f"Not measured: {CLAIM.missing}."
    finding = _find(records)
    every = judged(finding.effects)
    answers = _ANSWERS_IN_PART if finding.verdict.partial else _ANSWERS
    begin = answers[finding.verdict.word]
    sentences = [f"{begin}.", *(_of_metric(every, METRICS[name].title) for name in _METRICS)]
    left = [words.removesuffix(_NEW) for name, words in DECIDING.items() if name not in records]
    if left:
        sentences.append(f"Without a record: {listed(left)}.")
    return " ".join(sentences)


def _of_metric(every: Sequence[Judged], title: str) -> str:
    """A sentence: where dual-tree tokens are better than patches in a metric, and where worse."""
    parts = []
    for outcome, words in _OUTCOMES.items():
        names = [
            f"{one.effect.variant.partition(', ')[2].removesuffix(_NEW)} ({one.amount()})"
            for one in every
            if one.outcome == outcome and one.effect.metric == title
        ]
        if names:
            parts.append(f"{words} {listed(names)}")
    return f"Their {title} is {'; '.join(parts)}."


def _interval(values: tuple[float, ...], digits: int) -> str:
    return text_of(values, digits) if len(values) > 1 else number(values[0], digits)


def carry_table(records: Mapping[str, Any]) -> str:
    """Data x variant: means with 95 % intervals over seeds."""
    summaries = {
        name: records[name] for name in NAMES if isinstance(records.get(name), StudySummary)
    }
    balanced = any(_BALANCED in own for one in summaries.values() for own in one.metrics.values())
    shown = ("top1", _BALANCED, "crop") if balanced else ("top1", "crop")
    head = ["data", "variant", *(METRICS[metric].heading for metric in shown)]
    head += ["R(1 px) crop", "peak rate", "time"]
    rows = []
    for name, summary in summaries.items():
        for variant in summary.variants:
            own = summary.metrics[variant]
            ratio = summary.latency.get(variant)
            rows.append(
                [
                    NAMES[name],
                    f"`{variant}`",
                    *(_interval(own[m].values, 1) if m in own else "–" for m in shown),
                    _interval(summary.sensitivity[variant]["crop"][1].values, 3),
                    f"{summary.configs[variant]['optimizer']['lr']:.3g}",
                    f"{ratio:.2f}" if ratio is not None else "not timed",
                ]
            )
    return Table(head, rows).markdown()


def rate_table(records: Mapping[str, Any]) -> str:
    """Top-1 on validation pictures at each peak rate; the taken one is bold."""
    found = {name: records[name] for name in NAMES if name in records and records[name].rates}
    rates = list(
        dict.fromkeys(rate for s in found.values() for own in s.rates.values() for rate in own)
    )
    rates.sort(key=float)
    rows = []
    for name, summary in found.items():
        for variant, own in summary.rates.items():
            taken = f"{summary.configs[variant]['optimizer']['lr']:.3g}"
            cells = [f"{own[rate]:.1f}" if rate in own else "–" for rate in rates]
            cells = [
                f"**{c}**" if rate == taken else c for rate, c in zip(rates, cells, strict=True)
            ]
            rows.append([NAMES[name], f"`{variant}`", *cells])
    return Table(["data", "variant", *(f"at {rate}" for rate in rates)], rows).markdown()


CLAIM = Claim(
    id="C24",
    sentence="The advantage of wavelet tokens survives more data, other data and larger models.",
    records=(_REQUIRED,),
    optional=tuple(name for name in NAMES if name != _REQUIRED),
    find=_find,
    alt="Differences of dual-tree tokens to the plain ViT in top-1 and S-Cons on each data set",
    missing="the study `carry_again` has no record yet",
    command=(
        "python -m experiments run carry_again --photographs gcompris "
        "--source-options duplicates=drop"
    ),
    fetched="photographs of gcompris-qt-data, ELPV, Fashion-MNIST",
)
