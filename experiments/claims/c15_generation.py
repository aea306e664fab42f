"""C15: does one backbone serve recognition and generation?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.effect import Effect
from experiments.claims.measured import by_seed, subjects_of
from experiments.claims.studies import Compared, against, variants_table
from experiments.claims.verdict import judge
from experiments.core.statistic import Statistic
from experiments.core.summary import StudySummary, metric_named
from experiments.core.table import Table
from experiments.studies.autoregressive import ONE_LEVEL

_DECODING = "decoding/measurement.json"
_PLACES = {"first": "first tokens", "last": "last tokens"}
_HOW = ("untrained", "trained")
_TOKENS, _PYRAMIDS = ("haar_vit", "dtcwt_vit"), ("haar_pyramid", "dtcwt_pyramid")
_HYBRIDS = against("vit", (*_TOKENS, *_PYRAMIDS))
# In coarse-to-fine order each is compared with the plain ViT that has as many levels.
_EQUAL_LEVELS = (*against("vit", _TOKENS), *against(ONE_LEVEL, _PYRAMIDS))
_SWIN = against("vit", ["swin"])
# Record of a head's study -> what the head is called, its loss, the columns of its table, and what
# is compared.
_HEADS = {
    "masked/summary.json": (
        "masked",
        "relative",
        ("error", "relative", "relative_mean"),
        _HYBRIDS,
    ),
    "autoregressive/summary.json": ("autoregressive", "bits", ("bits",), _EQUAL_LEVELS),
    "diffusion/summary.json": ("diffusion", "flow", ("flow",), _HYBRIDS),
}


def _find(records: Mapping[str, Any]) -> Finding:
    deciding, shown, body = [], [], []
    for record, (name, score, columns, pairs) in _HEADS.items():
        summary = records[record]
        deciding += Compared(score, pairs, "lower").effects(summary)
        shown += Compared(score, _SWIN).effects(summary)
        if score == "relative":
            shown += [_against_inpainting(summary, name) for name in summary.variants]
        compared = [variant for pair in (*pairs, *_SWIN) for variant in pair]
        names = [name for name in summary.variants if name in compared]
        body += [
            f"Study `{name}`, mean ± standard deviation over seeds:",
            variants_table(summary, columns, (), names),
        ]
    decoding = records[_DECODING]
    table, effects = _read_back(decoding)
    crops = decoding["crops"]
    body += [
        "How well a patch can be read from its token, in a classifier: error of its pixels, "
        "predicted by ridge regression, in % of the error of a constant; mean ± standard deviation "
        f"over {len(decoding['seeds'])} seeds, fitted on {crops['fitted']} crops of training "
        f"halves, judged on {crops['judged']} of test halves:",
        table,
    ]
    return Finding(judge(deciding), (*deciding, *shown, *effects), tuple(body))


def _against_inpainting(summary: StudySummary, name: str) -> Effect:
    """The error of a model beside that of harmonic inpainting, which needs no training: 100 %."""
    values = summary.metrics[name]["relative"].values
    return Effect(
        variant=name,
        metric=metric_named(summary.task, "relative").title,
        unit="%",
        digits=1,
        difference=Statistic.paired(values, [100.0] * len(values), "%"),
        threshold=100.0,
    )


def _read_back(record: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """What a linear map reads from tokens: a table, and effects that are only shown."""
    models = record["models"]
    names = subjects_of(models)
    errors = [f"error, {title}, {how}" for title in _PLACES.values() for how in _HOW]
    rows = []
    for name in names:
        both = [(models[f"{name}, {how}"], place) for place in _PLACES for how in _HOW]
        cells = [Statistic.of(model[place]).text(1) for model, place in both]
        rows.append([f"`{name}`", *cells])
    effects = [
        by_seed(f"{name}, trained", "vit, trained", models, place, f"error, {title}", "points")
        for place, title in _PLACES.items()
        for name in names[1:]
    ]
    return Table(["tokens", *errors], rows).markdown(), effects


CLAIM = Claim(
    id="C15",
    sentence=(
        "One backbone serves recognition and generation: masked, autoregressive and diffusion "
        "heads work on ViT and on hybrids."
    ),
    records=(*_HEADS, _DECODING),
    find=_find,
    alt="Differences of four hybrids and Swin to the plain ViT in masked and diffusion losses and "
    "in bits per dimension",
)
