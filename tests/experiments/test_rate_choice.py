"""The peak learning rate of each variant: chosen on validation data, with one budget for all."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from experiments.core.config import RunConfig, changed
from experiments.core.data_choice import DataChoice
from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.rate_choice import (
    RateChoice,
    best_rate,
    rate_folder,
    rate_study,
    with_chosen_rates,
)
from experiments.core.records import write_json
from experiments.core.study import Study, StudyOptions
from experiments.core.summarize import summarize
from experiments.reporting.study_report import recordable
from experiments.studies.carry import CARRY
from experiments.studies.smoke import SMOKE
from experiments.studies.tokenizers import TOKENIZERS

LR = TOKENIZERS.configs()["vit"].optimizer.lr


def result(top1: float) -> dict[str, object]:
    """What a run of classification measures, made up."""
    kinds = ("circular", "crop", "subpixel")
    return {
        "top1": top1,
        "consistency": {kind: {"percent": 90.0} for kind in kinds},
        "sensitivity": {kind: {"shifts": [1], "values": [0.1]} for kind in kinds[:2]},
        "turnover": {kind: {"percent": 50.0} for kind in kinds[:2]},
        "lipschitz": {"relative": 3.0},
        "cost": {"parameters": 1, "macs": 2},
        "seconds": {"training": 60.0, "measuring": 60.0},
    }


def finish(run: RunFolder, top1: float) -> None:
    write_json(run.result, result(top1))
    write_json(run.environment, {"threads": 2, "device": "cpu"})


def tried(folder: StudyFolder, scores: dict[str, tuple[float, float, float]]) -> None:
    """Writes the results of the trainings of the choice, by variant: from the lowest rate on."""
    for name, values in scores.items():
        for rate, value in zip(("0.001", "0.003", "0.009"), values, strict=True):
            finish(rate_folder(folder).run(f"{name}, rate {rate}", 0), value)


@pytest.mark.parametrize(
    ("scores", "higher", "rate"),
    [
        ((50.0, 60.0, 55.0), True, "1"),
        ((50.0, 60.0, 61.0), True, "3"),
        ((60.0, 60.0, 60.0), True, "1"),
        ((60.0, 59.0, 58.0), True, "0.3"),
        ((50.0, 60.0, 55.0), False, "0.3"),
        ((50.0, 50.0, 55.0), False, "1"),
    ],
)
def test_best_rate_wins_and_the_studys_own_wins_a_tie(
    scores: tuple[float, ...], higher: bool, rate: str
) -> None:
    assert best_rate(dict(zip(("0.3", "1", "3"), scores, strict=True)), "1", higher) == rate


def test_every_variant_has_the_same_budget_and_no_run_reads_the_test_split() -> None:
    configs, rates = CARRY.configs(), CARRY.rates
    assert rates is not None
    trials = rate_study(CARRY, tuple(configs)).configs()
    tried_names = {name.partition(", rate")[0] for name in trials}
    assert tried_names == configs.keys() - rates.same_as.keys()
    for name in tried_names:
        own = [run for trial, run in trials.items() if trial.partition(", rate")[0] == name]
        assert [run.optimizer.lr for run in own] == pytest.approx([LR / 3, LR, 3 * LR])
        for run in own:
            assert run.model == configs[name].model
            assert (run.data.held_out, run.data.trained_on) == ("validation", "fit")
            assert run.optimizer.steps == configs[name].optimizer.steps // 3


def test_runs_take_the_chosen_rate_and_the_lock_that_of_its_model(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "carry", "carry")
    tried(folder, {"vit": (50, 60, 55), "dtcwt": (50, 60, 61), "swt": (70, 60, 61)})
    names = ("vit", "dtcwt", "swt", "vit + phase_lock", "dtcwt, augmented")
    chosen = with_chosen_rates(CARRY, folder, names)
    rates = {name: run.optimizer.lr for name, run in chosen.configs().items()}
    wanted = {"vit": 1, "dtcwt": 3, "swt": 1 / 3, "vit + phase_lock": 1, "dtcwt, augmented": 3}
    assert {name: rates[name] / LR for name in names} == pytest.approx(wanted)
    assert chosen.chosen.scores["swt"] == {"0.001": 70, "0.003": 60, "0.009": 61}
    assert chosen.chosen.core_minutes == 3 * 3 * 2 * 2  # nine trainings, two minutes, two threads


def test_alignment_after_training_takes_the_rate_of_its_weights(tmp_path: Path) -> None:
    """Or else it would differ from them in more than the alignment, which `configs` refuses."""
    study = dataclasses.replace(SMOKE, rates=RateChoice(same_as={"vit + phase_lock": "vit"}))
    names = tuple(study.configs())
    assert {n.partition(", rate")[0] for n in rate_study(study, names).configs()} == {"vit"}
    folder = StudyFolder(tmp_path / "smoke", "smoke")
    own = study.configs()["vit"].optimizer.lr
    for rate, value in zip((own / 3, own, 3 * own), (70.0, 60.0, 50.0), strict=True):
        finish(rate_folder(folder).run(f"vit, rate {rate:.3g}", 0), value)
    configs = with_chosen_rates(study, folder, names).configs()
    assert {f"{run.optimizer.lr:.3g}" for run in configs.values()} == {f"{own / 3:.3g}"}


def test_missing_training_of_the_choice_is_named(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "carry", "carry")
    tried(folder, {"vit": (50, 60, 55)})
    with pytest.raises(ValueError, match=r"out: expected complete runs in .*carry_rates"):
        with_chosen_rates(CARRY, folder, ("vit", "dtcwt"))


def test_study_without_a_choice_stays_what_it_is(tmp_path: Path) -> None:
    assert (
        with_chosen_rates(TOKENIZERS, StudyFolder(tmp_path, "tokenizers"), ("vit",)) is TOKENIZERS
    )


def test_bad_choices_are_refused() -> None:
    for factors in ((Fraction(2),), (Fraction(1), Fraction(1)), (Fraction(1), Fraction(-1))):
        with pytest.raises(ValueError, match="factors: expected positive ones"):
            RateChoice(factors=factors)
    with pytest.raises(ValueError, match="shorter"):
        RateChoice(shorter=0)
    loop = dataclasses.replace(CARRY, rates=RateChoice(same_as={"vit": "vit"}))
    with pytest.raises(ValueError, match="same_as"):
        rate_study(loop, ("vit",))


def on_folder(path: Path, source: str, option: str) -> Study:
    """The study's plain ViT as `on_data` places it, without reading the data."""
    vit = CARRY.configs()["vit"]
    data = dataclasses.replace(vit.data, source=source, source_options={option: str(path)})
    return dataclasses.replace(
        CARRY,
        name="carry_mine",
        variants=lambda: {"vit": dataclasses.replace(vit, data=data)},
        contrasts=(),
        rates=None,
    )


@pytest.mark.parametrize(("source", "option"), [("", "photographs"), ("elpv", "path")])
def test_record_names_no_path_of_this_machine(tmp_path: Path, source: str, option: str) -> None:
    """Its folder's own name stays, and so do the rates that were tried."""
    study = on_folder(tmp_path / "mine", source, option)
    folder = StudyFolder(tmp_path / "runs" / study.name, study.name)
    folder.claim()
    folder.run("vit", 0).claim(study.configs()["vit"])
    finish(folder.run("vit", 0), 61.0)
    summary = recordable(summarize(study, folder))
    text = json.dumps(summary.to_dict())
    assert str(tmp_path) not in text
    assert f'["{option}", "mine"]' in text
    assert type(summary).from_dict(json.loads(text)) == type(summary).from_dict(summary.to_dict())


def test_records_of_other_data_are_named_after_them() -> None:
    """The label of a command with the user's own path is that of the record's command."""
    by_label = {data.label: f"carry_{data.label}/summary.json" for data in CARRY.data_sets}
    assert list(CARRY.data_commands()) == list(by_label.values())
    typed = DataChoice(
        photographs=Path("/somewhere/else/gcompris"), source_options=("duplicates=drop",)
    )
    assert typed.label in by_label
    typed = DataChoice(source="fashion_mnist", source_options=("share=0.1", "path=/some/where"))
    assert typed.label in by_label


def test_report_of_a_variant_that_changed_since_its_run_is_refused(tmp_path: Path) -> None:
    """Its figures would be shown, and recorded, as those of the changed variant. The folder of the
    pictures may be elsewhere, and the parts of a batch are no part of the study."""

    def study(fields: dict[str, Any], parent: str = "here") -> Study:
        on = on_folder(tmp_path / parent / "mine", "elpv", "path")
        runs = {name: changed(run, fields) for name, run in on.configs().items()}
        return dataclasses.replace(on, variants=lambda: runs)

    before = study({})
    folder = StudyFolder(tmp_path / "runs" / before.name, before.name)
    folder.claim()
    for seed in (0, 3):
        folder.run("vit", seed).claim(dataclasses.replace(before.configs()["vit"], seed=seed))
        finish(folder.run("vit", seed), 61.0)
    for same in (before, study({}, "elsewhere"), study({"execution.accumulate": 2})):
        assert summarize(same, folder).seeds == {"vit": (0, 3)}
    after = study({"model.tokenizer": "dwt", "optimizer.lr": 0.5})
    with pytest.raises(
        ValueError, match=r"seed0 to hold .* got .* model\.tokenizer, optimizer\.lr"
    ):
        summarize(after, folder)


@pytest.mark.nightly
def test_run_chooses_rates_first_and_resumes(tmp_path: Path) -> None:
    """Trained, not made up: the runs have the rate that the validation crops chose."""

    def variants() -> dict[str, RunConfig]:
        short = {"optimizer.steps": 3, "optimizer.warmup_steps": 1, "optimizer.batch_size": 4}
        return {name: changed(run, short) for name, run in SMOKE.variants().items()}

    locked = "vit + phase_lock"
    choice = RateChoice(same_as={locked: "vit"}, shorter=1)
    study = dataclasses.replace(SMOKE, name="tried", variants=variants, rates=choice)
    options = StudyOptions(
        out=tmp_path / "tried", seeds=(0,), device="cpu", jobs=1, threads=1, timing=False
    )
    assert study.run(options) == 0
    folder = StudyFolder(tmp_path / "tried", "tried")
    weights = folder.run("vit", 0).weights
    before = weights.stat().st_mtime_ns
    assert study.run(options) == 0
    assert weights.stat().st_mtime_ns == before
    summary = summarize(with_chosen_rates(study, folder, tuple(variants())), folder)
    own = variants()["vit"].optimizer.lr
    best = best_rate(summary.rates["vit"], f"{own:.3g}")
    for name in ("vit", locked):
        assert f"{folder.run(name, 0).load_config().optimizer.lr:.3g}" == best
    trial = rate_folder(folder).run(f"vit, rate {best}", 0)
    assert set(json.loads(trial.result.read_text())) == {"top1", "test_crops", "seconds"}
