"""Scales: the same study with more of everything, in a folder of its own."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
import torch

from experiments.__main__ import main
from experiments.core.config import RunConfig, changed, differing_fields
from experiments.core.folder import StudyFolder
from experiments.core.scale import SCALES, Scale, at_scale
from experiments.core.study import Study, StudyOptions
from experiments.studies import STUDIES, get_study
from experiments.studies.smoke import SMOKE
from wavevit.data import Scenes
from wavevit.measure import cost
from wavevit.models import Backbone, BackboneConfig

LARGE = SCALES["large"]


def test_the_default_scale_changes_nothing() -> None:
    assert at_scale(SMOKE, "default") is SMOKE
    for run in SMOKE.configs().values():
        assert Scale().run(run) == run


@cache
def made(model: BackboneConfig) -> Backbone:
    """Without weights; many studies have models in common."""
    with torch.device("meta"):
        return Backbone(model)


@pytest.mark.parametrize(
    "study",
    [study for study in STUDIES.values() if "large" in study.scales],
    ids=lambda study: study.name,
)
def test_large_runs_can_be_made(study: Study) -> None:
    """Windows fit both halves of every photograph, and every model reads the larger crops."""
    large = at_scale(study, "large")
    assert large.name == f"{study.name}_large"
    assert len(large.seeds) >= 5
    for run in large.configs().values():
        data = run.data
        for split, margin in ((data.trained_on, 0), (data.held_out, data.margin)):
            Scenes(split, data.crop_size, margin, max_short_side=data.max_short_side)
        assert data.margin >= data.crop_size / 14, "no room for the crops of S-Cons"
        assert made(run.model).config == run.model


@pytest.mark.parametrize(("name", "spread"), [("tokenizers", 1.20), ("backbones", 1.18)])
def test_models_of_equal_cost_stay_equal_at_a_larger_scale(name: str, spread: float) -> None:
    """Equal steps at every scale; multiply-accumulates almost as near as before."""
    configs = at_scale(get_study(name), "large").configs()
    assert len({(run.optimizer, run.data) for run in configs.values()}) == 1
    image = torch.zeros(1, 1, 96, 96)
    macs = {key: cost(Backbone(run.model), image).macs for key, run in configs.items()}
    assert max(macs.values()) / min(macs.values()) < spread, macs
    small = cost(Backbone(get_study(name).configs()["vit"].model), image[..., :64, :64]).macs
    assert macs["vit"] > 10 * small


def test_what_grows_and_what_does_not() -> None:
    run = get_study("backbones").configs()["swin"]
    found = LARGE.run(run)
    old, new = run.model.stages[0], found.model.stages[0]
    assert (new.depth, new.embed_dim, new.num_heads) == (2, 84, 3)
    assert new.embed_dim // new.num_heads == old.embed_dim // old.num_heads
    assert (new.options("mixer").window_size, found.model.img_size) == (6, 96)
    assert found.model.patch_size == run.model.patch_size
    assert (found.data.crop_size, found.data.max_short_side) == (96, 384)
    assert found.data.margin == run.data.margin
    assert found.optimizer.steps == 2 * run.optimizer.steps
    assert found.optimizer.lr == pytest.approx(run.optimizer.lr / 3)
    assert differing_fields(old, new) == ["embed_dim", "num_heads", "mixer_options.window_size"]
    deeper = Scale(depth=3).stage(old)
    assert (deeper.depth, differing_fields(old, deeper)) == (6, ["depth"])


def test_sides_may_differ() -> None:
    stages = SMOKE.configs()["vit"].model.stages
    model = BackboneConfig(img_size=(32, 64), stages=stages, patch_size=8)
    assert LARGE.model(model).img_size == (48, 96)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0}, "width: expected an integer of at least 1, got 0"),
        ({"seeds": 0}, "seeds: expected an integer of at least 1, got 0"),
        ({"pixels": Fraction(1, 2)}, "pixels: expected a factor of at least 1"),
        ({"rate": 0.0}, "rate: expected a positive factor"),
    ],
)
def test_bad_factors_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scale(**fields)


def test_unknown_scales_are_refused() -> None:
    with pytest.raises(ValueError, match=r"scale: expected one of .*got 'huge'"):
        at_scale(SMOKE, "huge")


def test_runs_of_both_scales_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run and report find the same folder, which is not the default scale's."""
    monkeypatch.chdir(tmp_path)
    tiny = Scale(width=2, pixels=Fraction(3, 2), timed=2)
    monkeypatch.setitem(SCALES, "large", tiny)

    def variants() -> dict[str, RunConfig]:
        short = {"optimizer.steps": 2, "optimizer.warmup_steps": 1}
        return {"vit": changed(SMOKE.variants()["vit"], short)}

    small = {"variants": variants, "contrasts": (), "applied": {}, "measures": ()}
    monkeypatch.setitem(STUDIES, "smoke", dataclasses.replace(SMOKE, **small))
    options = StudyOptions(seeds=(0,), device="cpu", jobs=1, scale="large")
    assert get_study("smoke").run(options) == 0
    folder = StudyFolder(tmp_path / "runs" / "smoke_large", "smoke_large")
    folder.claim()
    assert json.loads(folder.latency.read_text())["batch"] == [64, 1, 48, 48]
    monkeypatch.setattr("sys.argv", ["experiments", "report", "smoke", "--scale", "large"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    page = (folder.path / "report" / "report.html").read_text()
    command = "python -m experiments run smoke --scale large"
    assert f"{command} &amp;&amp; python -m experiments report smoke --scale large" in page
    assert "forward pass of a batch of 64, timed" in page
    assert "Open " in capsys.readouterr().out
    assert not (tmp_path / "runs" / "smoke").exists()
