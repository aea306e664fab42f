"""Claim C19: its rule and its targets follow from the record, and can come out both ways."""

from __future__ import annotations

import json
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch

from experiments.benchmarks.adaptive_time import STUDY_RECORD
from experiments.claims.c19_adaptive_tokens import CLAIM
from experiments.claims.claim import Finding
from experiments.claims.data import data_words
from experiments.core.records import RECORDS
from experiments.core.scale import at_scale
from experiments.core.style import figure_style
from experiments.core.summarize import swept_budgets
from experiments.core.summary import StudySummary
from experiments.measurements.token_choice import CHOICES
from experiments.reporting.sentences import about_budgets
from experiments.reporting.study_figures import study_figures
from experiments.studies.adaptive import ADAPTIVE, equal_tokens
from wavevit.data import Source, create_source
from wavevit.models import Backbone, token_counts

TOKENS = {"vit": 64, "vit, patch 12": 36, "vit, patch 16": 16}
NOISE = (-0.2, 0.0, 0.2)


def records_with(top1: dict[str, float], s_cons: float = 80.0) -> dict[str, Any]:
    """Records with this top-1 by variant, 70 % for the others, and this S-Cons of `adaptive`."""
    plain = json.loads((RECORDS / "augmentation" / "summary.json").read_text())
    old = plain["baseline"]
    names = list(ADAPTIVE.configs())
    for key in ("metrics", "sensitivity", "turnover", "seeds", "configs"):
        plain[key] = dict.fromkeys(names, plain[key][old])
    plain |= {"study": "adaptive", "baseline": "vit", "contrasts": [], "pictured": names}
    plain["budgets"], plain["latency"] = {}, {}
    for place, name in enumerate(names):
        # Another order and size of the seeds' noise for each, so that differences have a spread.
        noise = [(1 + 0.1 * place) * NOISE[(seed + place) % 3] for seed in range(3)]
        plain["metrics"][name] = plain["metrics"][name] | {
            "top1": [top1.get(name, 70.0) + one for one in noise],
            "crop": [s_cons if name == "adaptive" else 80.0] * 3,
            "tokens": [TOKENS.get(name, 34.0)] * 3,
        }
        if name not in TOKENS:
            share = {"top1": [65.0, 66.0, 67.0], "tokens": [16.0, 17.0, 16.5]}
            plain["budgets"][name] = {"0.25": share, "1": plain["metrics"][name]}
    choice = {
        name: {"percent": [10.0 + place, 12.0, 13.0], "tokens": [34.0, 33.0, 35.0]}
        for place, name in enumerate(CHOICES)
    }
    return {
        "adaptive/summary.json": StudySummary.from_dict(plain),
        "token_choice/measurement.json": {"crops": 36, "choices": choice},
    }


def finding_with(top1: dict[str, float], s_cons: float = 80.0) -> Finding:
    return CLAIM.find(records_with(top1, s_cons))


@pytest.mark.parametrize(
    ("top1", "word"),
    [
        ({"adaptive": 75.0}, "supported"),
        ({"adaptive": 75.0, "adaptive, random": 78.0}, "mixed"),
        ({"adaptive": 65.0}, "refuted"),
        ({}, "inconclusive"),
        # What counts is the grid of as many tokens: that of twice as many may be better.
        ({"adaptive": 75.0, "vit": 80.0}, "supported"),
    ],
)
def test_rule_compares_with_equal_tokens_and_with_random_places(
    top1: dict[str, float], word: str
) -> None:
    assert finding_with(top1).verdict.word == word


@pytest.mark.parametrize(
    ("own", "other", "word"),
    [
        ({"adaptive": 75.0}, {"adaptive": 75.0}, "supported"),
        ({"adaptive": 75.0}, {"adaptive": 65.0}, "mixed"),
        ({}, {"adaptive": 75.0}, "supported"),
        ({}, {}, "inconclusive"),
    ],
)
def test_every_data_set_with_a_record_decides_and_is_named(
    own: dict[str, float], other: dict[str, float], word: str
) -> None:
    """The record of other data has the four variants that decide, and no others."""
    name = CLAIM.optional[0]
    record = json.loads(json.dumps(records_with(other)["adaptive/summary.json"].to_dict()))
    kept = ("vit", "vit, patch 12", "adaptive", "adaptive, random")
    for key in ("metrics", "sensitivity", "turnover", "seeds", "configs", "budgets"):
        record[key] = {key: one for key, one in record[key].items() if key in kept}
    for config in record["configs"].values():
        config["data"]["source_options"] = [["photographs", "gcompris"]]
    records = records_with(own) | {name: StudySummary.from_dict(record)}
    found = CLAIM.find(records)
    assert found.verdict.word == word
    deciding = [effect for effect in found.effects if effect.predicted]
    assert [effect.variant.partition(", ")[2] for effect in deciding] == [
        *["bundled photographs"] * 2,
        *["other photographs"] * 2,
    ]
    words = data_words(CLAIM, found, records)
    assert words.startswith("crops of 18 photographs and crops of ")
    assert words.endswith("(gcompris)")
    assert sum(part.startswith("Targets") for part in found.body) == 2
    assert data_words(CLAIM, CLAIM.find(records_with(own)), None) == "crops of 18 photographs"


def test_targets_are_met_or_missed_by_the_record() -> None:
    def targets(found: Finding) -> str:
        return next(part for part in found.body if part.startswith("Targets"))

    assert targets(finding_with({"adaptive": 75.0})).count(": met") == 3
    missed = targets(finding_with({"adaptive": 60.0}, s_cons=79.0))
    assert missed.count(": missed") == 3
    assert ": met" not in missed


def test_figure_has_each_budget_and_each_uniform_grid() -> None:
    records = records_with({"adaptive": 75.0})
    assert CLAIM.draw is not None
    with figure_style():
        figure = CLAIM.draw(records, CLAIM.find(records))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    curves = [len(line.get_xdata()) for line in figure.axes[0].get_lines() if "--" in line.get_ls()]
    plt.close(figure)
    assert labels[:2] == ["uniform grids", "adaptive tokens"]
    assert len(labels) == 1 + 4
    assert curves == [2] * 4


def test_times_of_the_variants_are_a_column_and_a_second_diagram() -> None:
    records = records_with({"adaptive": 75.0})
    assert CLAIM.draw is not None
    assert not any("| time |" in part for part in CLAIM.find(records).body)
    ratios = {name: 1 + 0.1 * place for place, name in enumerate(ADAPTIVE.configs())}
    records[STUDY_RECORD] = {"ratios": ratios}
    table = next(part for part in CLAIM.find(records).body if "| time |" in part)
    row = next(line for line in table.splitlines() if line.startswith("| `adaptive, swt` |"))
    assert f"| {ratios['adaptive, swt']:.2f} | 3 |" in row
    with figure_style():
        figure = CLAIM.draw(records, CLAIM.find(records))
    drawn = [line.get_xdata() for line in figure.axes[1].get_lines() if line.get_marker() in "oD"]
    plt.close(figure)
    assert sorted(x for xs in drawn for x in xs) == pytest.approx(sorted(ratios.values()))


def test_summary_holds_the_budgets_of_adaptive_models() -> None:
    """A model with a uniform grid has none."""

    def run(top1: float) -> dict[str, Any]:
        return {"tokens": {"mean": 34.0, "by_budget": {"0.5": {"top1": top1, "tokens": 34.0}}}}

    found = swept_budgets([run(60.0), run(62.0)])
    assert found["0.5"]["top1"].values == (60.0, 62.0)
    assert found["0.5"]["tokens"].mean == 34.0
    assert swept_budgets([{"tokens": {"mean": 64.0}}]) == swept_budgets([{}]) == {}
    summary = records_with({})["adaptive/summary.json"]
    assert list(summary.budgets) == [name for name in summary.variants if name not in TOKENS]
    assert StudySummary.from_dict(json.loads(json.dumps(summary.to_dict()))) == summary
    assert "adaptive 66.0 % with 16 tokens and 70.0 % with 34" in about_budgets(summary)
    assert any(one.name == "budgets" for one in study_figures(summary))


class Ramp(Source):
    """Noise that grows from left to right."""

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        noise = torch.randn(count, 1, self.window, self.window, generator=generator)
        return {"images": noise * torch.linspace(0.7, 1, self.window)}


def test_budgets_of_other_data_are_those_of_equal_tokens() -> None:
    """Those of the bundled photographs come out as they are in the record; other pictures need
    another budget, with which the models compute as many tokens."""
    names = ("vit", "adaptive", "adaptive, hard")
    runs = {name: ADAPTIVE.configs()[name] for name in names}
    assert equal_tokens(runs, create_source("scenes", "train", 64, 0)) == runs
    source = Ramp("train")
    found = equal_tokens(runs, source)
    assert found["vit"] == runs["vit"]
    assert found["adaptive"] != runs["adaptive"]
    crops = source.sample(64, torch.Generator().manual_seed(1))["images"]
    for name in names[1:]:
        tokens = token_counts(Backbone(found[name].model), crops).double().mean()
        assert float(tokens) == pytest.approx(34, abs=1.5 if name == "adaptive" else 0)


def test_budgets_grow_with_the_grid() -> None:
    """At the large scale: 144 finest patches in place of 64."""
    large = at_scale(ADAPTIVE, "large").configs()
    budgets = [
        large[name].model.options("tokenizer").budget for name in ("adaptive", "adaptive, hard")
    ]
    assert budgets == [58, 76]
