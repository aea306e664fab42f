"""C16: does a text tower make the vocabulary semantic?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.effect import Effect
from experiments.claims.measured import between, by_seed, subjects_of
from experiments.claims.studies import Compared, against, variants_table
from experiments.claims.verdict import judge
from experiments.core.statistic import Statistic
from experiments.core.summary import StudySummary
from experiments.core.table import Table
from experiments.studies.clip import SHUFFLED

_STUDY, _RECORD = "clip/summary.json", "retrieval/measurement.json"
_KEYS = {"photograph": "same photograph", "kind": "same kind"}
# A share of right answers, what chance gives, and its title.
_SHARES = (
    ("image_to_text_r1", "image_to_text_r1_chance", "image to text R@1"),
    ("negatives_right", "negatives_chance", "right before one-word negatives"),
)


def _above_chance(summary: StudySummary, names: Sequence[str], predicted: str) -> list[Effect]:
    found = []
    for share, chance, title in _SHARES:
        for name in names:
            own, least = (summary.metrics[name][key].values for key in (share, chance))
            found.append(
                between(
                    name,
                    own,
                    "chance",
                    least,
                    title,
                    unit="points",
                    digits=1,
                    predicted=predicted,
                    over="seeds",
                )
            )
    return found


def _find(records: Mapping[str, Any]) -> Finding:
    summary = records[_STUDY]
    names = [name for name in summary.variants if name != SHUFFLED]
    deciding = _above_chance(summary, names, "higher")
    others = against(summary.baseline, names[1:])
    shown = _above_chance(summary, [SHUFFLED], "") + [
        effect
        for metric in ("image_to_text_r1", "same_caption at 1 px")
        for effect in Compared(metric, others).effects(summary)
    ]
    columns = ("image_to_text_r1", "image_to_text_r5", "text_to_image_r1", "negatives_right")
    few = summary.metrics[summary.baseline]
    gallery, chance = (few[k].mean for k in ("gallery_texts", "image_to_text_r1_chance"))
    table, effects, words = _without_text(records[_RECORD])
    body = (
        f"Study `clip`, mean ± standard deviation over seeds; {gallery:.0f} captions to choose "
        f"from, chance {chance:.1f} %, and {few['negatives_chance'].mean:.0f} % among one right "
        f"caption and three that differ in one word. `{SHUFFLED}` is the control: it was trained "
        "on captions of other pictures:",
        variants_table(summary, (*columns, "same_caption at 1 px"), ()),
        words,
        table,
    )
    return Finding(judge(deciding), (*deciding, *shown, *effects), body)


def _without_text(record: Mapping[str, Any]) -> tuple[str, list[Effect], str]:
    """What training on photographs alone gives: a table, effects that are only shown, words."""
    models, chance = record["models"], record["chance"]
    rows = [
        [f"`{name}`", *(Statistic.of(own[key]).text(1) for key in _KEYS)]
        for name, own in models.items()
    ]
    rows.append(["chance", *(f"{chance[key]:.1f}" for key in _KEYS)])
    crops = record["crops"]
    kinds = "; ".join(f"{name}: {', '.join(of)}" for name, of in record["kinds"].items())
    words = (
        "Without a text tower, models that learned which photograph a crop is from: the nearest of "
        f"{crops['gallery']} crops of training halves to each of {crops['asking']} crops of "
        "test halves (cosine of centred embeddings) is of the same photograph; and, that "
        f"photograph left out, of one of the same kind ({kinds}). Mean ± standard deviation "
        f"over {len(record['seeds'])} seeds:"
    )
    effects = [
        by_seed(f"{name}, trained", f"{name}, untrained", models, key, title, "points")
        for key, title in _KEYS.items()
        for name in subjects_of(models)
    ]
    return (
        Table(["model", *(f"{title}, %" for title in _KEYS.values())], rows).markdown(),
        (effects),
        words,
    )


CLAIM = Claim(
    id="C16",
    sentence=("A contrastive text tower makes the vocabulary semantic (CLIP)."),
    records=(_STUDY, _RECORD),
    find=_find,
    alt="How much better than chance six backbones choose captions of unseen combinations",
)
