"""The measurement of grafts: its sentences follow from the record, and a run resumes."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.claims.c20_graft import CLAIM
from experiments.claims.verdict import Verdict
from experiments.core.folder import slug
from experiments.core.records import RECORDS
from experiments.core.registry import find_experiment
from experiments.measurements.graft.choice import Judgement, best
from experiments.measurements.graft.measurement import MEASUREMENT, measure
from experiments.measurements.graft.methods import (
    CONTROL,
    GRAFT,
    METHODS,
    SETTINGS,
    student,
    views_of,
)
from experiments.measurements.graft.options import GraftOptions
from experiments.measurements.graft.originals import unlabelled
from experiments.measurements.graft.report import (
    difference,
    render,
    table,
    targets,
    verdict,
)
from experiments.measurements.graft.run import cosines
from tests.experiments.tiny_graft import ONLY, make_tiny, tiny
from wavevit.models import Backbone


def record_with(graft: list[float], control: list[float]) -> dict[str, Any]:
    """A record of three methods, whose R are given for two seeds or more."""

    def runs(values: list[float], **more: float) -> list[dict[str, Any]]:
        base = {"top1": 60.0, "s_cons": 80.0, "cosine": 0.99, "condition": 5.0, "jumps": 0.0}
        return [
            {**base, "sensitivity": [value, 2 * value], "top1": 60.0 + seed, **more}
            for seed, value in enumerate(values)
        ]

    return {
        "seeds": list(range(len(graft))),
        "steps": 200,
        "batch": 32,
        "settings": {
            CONTROL: {"rate": 1e-4, "still": 1.0},
            GRAFT: {"rate": 3e-4, "still": 4.0},
        },
        "methods": {
            "original": {"time": 1.0, "times": [1.0] * 3, "runs": runs([0.2] * len(graft))},
            CONTROL: {"time": 1.0, "times": [1.0] * 3, "runs": runs(control, minutes=1.0)},
            GRAFT: {
                "time": 1.3,
                "times": [1.29, 1.3, 1.32],
                "runs": runs(graft, minutes=2.0, s_cons=88.0),
            },
        },
    }


def verdict_of(record: dict[str, Any]) -> Verdict:
    """Of claim C20."""
    return CLAIM.find({"graft/measurement.json": record}).verdict


def test_first_sentence_says_whether_wavelets_are_needed() -> None:
    better = record_with([0.05, 0.051, 0.052], [0.10, 0.102, 0.101])
    assert verdict(better).startswith("**The graft makes the model more shift-robust than")
    assert "than distillation alone (R is 50 % lower)**" in verdict(better)
    worse = record_with([0.10, 0.102, 0.101], [0.05, 0.051, 0.052])
    assert verdict(worse).startswith("**Wavelets are not needed: distillation alone makes")
    assert "R is 98 % higher with the graft" in verdict(worse)
    slightly = record_with([0.0991, 0.1001, 0.1010], [0.0999, 0.1010, 0.1018])
    assert "lower)**" in verdict(slightly)
    assert "minus control −0.00083 (−0.00098 to −0.00069)" in verdict(
        slightly
    )  # not "−0.001 (−0.001 to −0.001)"
    alike = record_with([0.08, 0.09, 0.07], [0.08, 0.07, 0.09])
    assert verdict(alike).startswith("**No difference between the graft and distillation alone")
    assert "0.200 for the original, 0.080 after distillation without wavelets" in verdict(alike)
    single = record_with([0.05], [0.10])
    assert verdict(single).startswith("**One seed allows no statement")
    assert render(alike).startswith(verdict(alike))


def test_targets_are_judged_by_the_record() -> None:
    lines = targets(record_with([0.05, 0.05], [0.1, 0.1])).splitlines()[2:]
    reached = [line.split("|")[3].strip() for line in lines]
    assert reached == ["reached", "reached", "reached", "reached", "**not reached**"]
    assert "| 0.25 |" in lines[0]
    assert "| 1.300 |" in lines[4]
    # 0.09 is more than 0.4 of 0.2.
    assert "**not reached**" in targets(record_with([0.09, 0.09], [0.1, 0.1])).splitlines()[2]


def test_claim_needs_a_graft_that_is_better_than_the_control_and_within_its_cost() -> None:
    good = record_with([0.05, 0.051, 0.052], [0.10, 0.102, 0.101])
    found = verdict_of(good)
    assert found.word == "mixed"
    assert "refuted for time" in found.detail
    good["methods"][GRAFT]["times"] = [1.02, 1.03, 1.03]
    assert verdict_of(good).word == "supported"
    # As good without wavelets: what the claim says of the graft is not supported.
    alike = record_with([0.05, 0.051, 0.052], [0.051, 0.050, 0.052])
    alike["methods"][GRAFT]["times"] = [1.02, 1.03, 1.03]
    assert "inconclusive for R" in verdict_of(alike).detail
    # Not at its accuracy.
    worse = copy.deepcopy(good)
    for seed, run in enumerate(worse["methods"][GRAFT]["runs"]):
        run["top1"] -= 5 + 0.1 * seed
    found = verdict_of(worse)
    assert found.word == "mixed"
    assert "refuted for top-1" in found.detail
    finding = CLAIM.find({"graft/measurement.json": good})
    assert "dtcwt graft" in finding.body[1]
    assert {effect.baseline for effect in finding.effects} >= {"original", CONTROL}


def test_table_has_a_row_for_each_method_and_no_made_up_figures() -> None:
    record = record_with([0.05, 0.07], [0.1, 0.1])
    del record["methods"]["original"]["runs"][1]["condition"]
    rows = table(record).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["original", CONTROL, GRAFT]
    assert "0.060 ± 0.014" in rows[2]
    assert rows[0].count("–") == 2  # the condition number and the minutes of distillation
    with pytest.raises(ValueError, match=r"key: expected a figure of 'original' and"):
        difference(record, "original", GRAFT, "condition")
    less = copy.deepcopy(record)
    del less["methods"][CONTROL]
    with pytest.raises(ValueError, match=r"record: expected one that has"):
        render(less)


def test_cosine_without_the_mean_image_is_stricter() -> None:
    generator = torch.Generator().manual_seed(0)
    target = 5 + torch.randn(50, 8, generator=generator)
    other = 5 + torch.randn(50, 8, generator=generator)
    found = cosines(other, target)
    assert found["cosine"] > 0.9
    assert abs(found["centred_cosine"]) < 0.2
    assert cosines(target, target)["centred_cosine"] == pytest.approx(1)


@pytest.mark.parametrize("name", METHODS)
def test_methods_start_at_the_original_or_say_what_they_change(name: str) -> None:
    torch.manual_seed(0)
    method, model = METHODS[name], Backbone(tiny().model).eval()
    before = copy.deepcopy(model.state_dict())
    images = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    changed = student(method, model)
    with torch.no_grad():
        logits, embed = views_of(method, changed, 4)
        assert embed(images).shape == (2, 8)
        same = torch.allclose(logits(images), model(images), atol=1e-5)
    assert same == (not method.blur and method.phases == 1)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_the_stillest_setting_that_keeps_its_accuracy_is_chosen() -> None:
    one, two, three, four = SETTINGS
    original = Judgement(0.2, 60.0)
    found = {
        one: Judgement(0.15, 61.0),
        two: Judgement(0.05, 57.0),
        three: Judgement(0.1, 58.5),
        four: Judgement(0.12, 66.0),
    }
    assert best(found, original) == three
    assert best(found, Judgement(0.2, 70.0)) == four  # none keeps it


def test_distillation_sees_windows_of_the_training_half_only() -> None:
    data = tiny().data
    draw = unlabelled(data, "fit", 4)
    windows = draw(5, 3)
    assert windows.shape == (5, 1, 20, 20)
    assert torch.equal(windows, draw(5, 3))
    larger = dataclasses.replace(data, crop_size=64)
    assert unlabelled(larger, "validation", 8)(2, 0).shape[-1] == 72


def test_the_whole_command_in_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_tiny(monkeypatch)
    monkeypatch.setattr("wavevit.progress._SILENT", 0.0)

    options = GraftOptions(
        runs=tmp_path, out=tmp_path, seeds=(0,), methods=(CONTROL, GRAFT), steps=1, batch=2, jobs=1
    )

    def record() -> dict[str, Any]:
        assert MEASUREMENT.run(options) == 0
        found: dict[str, Any] = json.loads((tmp_path / "graft" / "measurement.json").read_text())
        return found

    first = record()
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("[")]
    # Three methods, the original for the choice and a trial of each family; three repetitions.
    assert [line[: line.index(",")] for line in said[:6]] == [f"[{n}/6" for n in range(1, 7)]
    assert " left] original, seed 0: done" in said[0]
    assert said[-1].endswith("] timing, repetition 3")
    assert list(first["methods"]) == ["original", CONTROL, GRAFT]
    (grafted,) = first["methods"][GRAFT]["runs"]
    assert 0 < grafted["sensitivity"][0] < 2
    assert (grafted["jumps"], grafted["steps"]) == (0, 1)
    assert grafted["parameters"] > first["methods"][CONTROL]["runs"][0]["parameters"]
    assert list(first["choice"]) == ["original", CONTROL, GRAFT]
    for family in (CONTROL, GRAFT):
        assert first["settings"][family] == ONLY._asdict()
        assert 0 < first["choice"][family][ONLY.title]["sensitivity"] < 2
    assert "held_out_loss" not in grafted  # its windows were trained on
    assert "One seed allows no statement" in render(first)
    (view,) = MEASUREMENT.views("graft/measurement.json", first)
    assert render(first) in view.text(first, view.path.read_text())
    # What is complete is read and not measured again; what has other settings is measured.
    for name, settings in (("dtcwt-graft", {}), (slug(CONTROL), {"steps": 9})):
        path = tmp_path / "graft" / name / "seed0" / slug(f"train {ONLY.title}")
        noted = json.loads((path / "measured.json").read_text())
        noted["figures"]["top1"] = -1
        noted["settings"] |= settings
        (path / "measured.json").write_text(json.dumps(noted))
    again = record()["methods"]
    assert again[GRAFT]["runs"][0]["top1"] == -1
    for figure in ("top1", "sensitivity", "steps"):
        old, new = (by[CONTROL]["runs"][0][figure] for by in (first["methods"], again))
        assert new == old, figure


def test_command_line_options_are_checked(tmp_path: Path) -> None:
    commands = find_experiment("run", "graft").commands()
    assert commands["graft/measurement.json"] == CLAIM.command
    for record, command in commands.items():  # as they were typed
        if (RECORDS / record).exists():
            assert json.loads((RECORDS / record).read_text())["command"] == command
    with pytest.raises(ValueError, match=r"methods: expected one of 'original'"):
        measure(GraftOptions(runs=tmp_path, methods=("wavelets",)))
    with pytest.raises(ValueError, match="steps: expected an integer of at least 1"):
        measure(GraftOptions(runs=tmp_path, steps=0))
    with pytest.raises(ValueError, match="seeds: expected at least one"):
        measure(GraftOptions(runs=tmp_path, seeds=()))
    with pytest.raises(ValueError, match="photographs: expected a folder of photographs"):
        MEASUREMENT.run(GraftOptions(runs=tmp_path, out=tmp_path, model="vit_tiny_patch16_224"))
    assert not list(tmp_path.rglob("*.json"))
