"""Studies: one field per contrast, failures that stay alone, runs that machines share."""

from __future__ import annotations

import dataclasses
import inspect
import json
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from experiments.core import job as job_module
from experiments.core.cluster import _arguments
from experiments.core.config import RunConfig, changed, differing_fields
from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.job import (
    Job,
    default_workers,
    plan,
    run_job,
    run_jobs,
)
from experiments.core.records import environment, write_json
from experiments.core.reuse import reuse_equal_runs
from experiments.core.scale import at_scale
from experiments.core.side_by_side import take_next
from experiments.core.study import Contrast, Study, StudyOptions
from experiments.core.summarize import (
    _common_metrics,
    summarize,
)
from experiments.core.summary import Statistic
from experiments.reporting.page import render_page
from experiments.studies import STUDIES, get_study
from experiments.studies.smoke import SMOKE
from tests.experiments.quick_study import quick
from wavevit.layers import POSITIONS
from wavevit.measure import cost
from wavevit.models import Backbone

AT_SCALES = [at_scale(study, scale) for study in STUDIES.values() for scale in study.scales]


@pytest.mark.parametrize("study", AT_SCALES, ids=lambda study: study.name)
def test_contrasts_differ_in_exactly_the_field_they_name(study: Study) -> None:
    configs = study.configs()
    assert study.contrasts
    for contrast in study.contrasts:
        found = differing_fields(configs[contrast.baseline], configs[contrast.variant])
        assert found
        for path in found:
            assert path == contrast.field or path.startswith(contrast.field + "."), (contrast, path)


def test_negative_control_second_difference_is_detected() -> None:
    """Negative control of the rule above."""
    run = SMOKE.configs()["vit"]
    model = dataclasses.replace(run.model, alignment="phase_lock", position="none")
    found = differing_fields(run, dataclasses.replace(run, model=model))
    assert found == ["model.position", "model.alignment"]


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("model.position", "they differ in model.position, model.alignment"),
        ("model.alignment", "they differ in model.position, model.alignment"),
        ("optimizer.lr", "they differ in model.position, model.alignment"),
        ("model", None),
    ],
)
def test_contrast_of_two_changes_is_refused_unless_it_names_both(
    field: str, found: str | None
) -> None:
    def variants() -> dict[str, RunConfig]:
        run = SMOKE.configs()["vit"]
        both = {"model.alignment": "phase_lock", "model.position": "none"}
        return {"vit": run, "two": changed(run, both)}

    contrast = Contrast("two", "vit", field)
    study = dataclasses.replace(SMOKE, variants=variants, contrasts=(contrast,), applied={})
    if found is None:
        assert set(study.configs()) == {"vit", "two"}
        return
    expected = "contrast.field: expected the one field in which 'two' and 'vit' differ"
    with pytest.raises(ValueError, match=f"{expected}, got '{field}'; {found}"):
        study.configs()


def test_contrast_of_equal_variants_is_refused() -> None:
    run = SMOKE.configs()["vit"]
    contrast = Contrast("again", "vit", "model.alignment")
    twice = {"variants": lambda: {"vit": run, "again": run}, "contrasts": (contrast,)}
    with pytest.raises(ValueError, match=r"'model\.alignment'; they differ in nothing"):
        dataclasses.replace(SMOKE, applied={}, **twice).configs()


@pytest.mark.parametrize(
    ("name", "variants", "spread"),
    [
        (
            "patch_vs_wavelet",
            {"vit", "vit + phase_lock", "haar_vit", "haar_pyramid", "haar_pyramid + phase_lock"},
            1.05,
        ),
        ("backbones", {"vit", "swin", "pvt_v2", "haar_vit", "haar_pyramid"}, 1.10),
        ("tokenizers", {"vit", "overlap", "conv_stem", "dwt", "swt", "dtcwt", "scattering"}, 1.18),
    ],
)
def test_studies_compare_equals(name: str, variants: set[str], spread: float) -> None:
    """The variants that the issues name; equal steps; multiply-accumulates within a few percent."""
    study = get_study(name)
    configs = study.configs()
    assert set(configs) >= variants
    assert len(study.seeds) >= 3
    assert len({(run.optimizer, run.data) for run in configs.values()}) == 1
    image = torch.zeros(1, 1, 64, 64)
    macs = [cost(Backbone(run.model), image).macs for run in configs.values()]
    assert max(macs) / min(macs) < spread


def test_alias_free_costs_what_the_vit_costs() -> None:
    """Parts are taken out of a model that is no larger than its baseline."""
    configs = get_study("alias_free").configs()
    assert len({(run.optimizer, run.data) for run in configs.values()}) == 1
    image = torch.zeros(1, 1, 64, 64)
    vit, ours = (cost(Backbone(configs[n].model), image).macs for n in ("vit", "alias_free"))
    assert ours / vit == pytest.approx(1, abs=0.05)


def test_study_must_name_its_own_variants() -> None:
    with pytest.raises(ValueError, match="baseline: expected one of 'vit'"):
        dataclasses.replace(SMOKE, baseline="resnet").configs()
    wrong = dataclasses.replace(SMOKE, contrasts=(Contrast("vit", "cnn", "model"),))
    with pytest.raises(ValueError, match=r"contrast.baseline: .*got 'cnn'"):
        wrong.configs()


def test_a_failed_job_does_not_end_the_study(tmp_path: Path) -> None:
    study = quick(lr=1e30)
    folder = StudyFolder(tmp_path / "runs", study.name)
    jobs = plan(study, folder, (0,))
    failed = run_jobs(jobs, torch.device("cpu"), workers=1, threads=1)
    assert [job.variant for job in failed] == ["vit + phase_lock"]
    summary = summarize(study, folder)
    assert summary.variants == ("vit", "vit then phase_lock")
    (reason,) = summary.failed.values()
    assert reason.startswith("NonFiniteLossError: ")
    page = render_page(summary, [], "")
    assert "vit + phase_lock, seed 0 failed: NonFiniteLossError" in page


def test_worker_processes_share_nothing_but_the_folder(tmp_path: Path) -> None:
    """One job's process dies, one job fails; the others have the bits that they have alone."""
    study = quick(lr=1e30)
    variants = ["vit", "vit + phase_lock"]
    folder = StudyFolder(tmp_path / "two", study.name)
    jobs = {job.label: job for job in plan(study, folder, (0, 1, 2), variants)}
    del jobs["vit + phase_lock, seed 2"], jobs["vit + phase_lock, seed 1"]
    spoiled = jobs["vit + phase_lock, seed 0"]
    dying = jobs["vit, seed 1"]
    (dying.folder.path / ".lock").mkdir()  # a folder where its lock file should be
    failed = run_jobs(list(jobs.values()), torch.device("cpu"), workers=2, threads=1)
    assert sorted(job.label for job in failed) == [spoiled.label, dying.label]
    assert json.loads(spoiled.folder.failed.read_text())["error"] == "NonFiniteLossError"
    failure = json.loads(dying.folder.failed.read_text())
    assert failure["error"] == "ProcessDied"
    assert failure["message"] == "its process ended with exit code 1"
    complete = ["vit, seed 0", "vit, seed 2"]
    assert all(jobs[label].complete for label in complete)
    alone = StudyFolder(tmp_path / "one", study.name)
    again = {job.label: job for job in plan(study, alone, (0, 2), ["vit"])}
    assert run_jobs(list(again.values()), torch.device("cpu"), workers=1, threads=1) == []
    for label in complete:
        here, there = again[label].folder, jobs[label].folder
        assert here.weights.read_bytes() == there.weights.read_bytes()
        result = json.loads(there.result.read_text())
        assert result | {"seconds": 0} == json.loads(here.result.read_text()) | {"seconds": 0}


def test_run_that_another_machine_works_on_is_left_for_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the same command on two machines shares the runs; what takes weights comes later still."""
    study = quick()
    jobs = plan(study, StudyFolder(tmp_path / "runs", study.name), (0,))
    first, second, applied = jobs
    order = []
    with ExitStack() as other:

        def run(path: Path, *arguments: object) -> bool:
            order.append(path)
            other.close()  # the other machine has ended its run
            return True

        other.enter_context(first.folder.locked())
        monkeypatch.setattr(job_module, "run_job", run)
        run_jobs(jobs, torch.device("cpu"), workers=1, threads=1)
    assert order == [job.folder.path for job in (second, first, applied)]
    assert all(can_be_taken(job.folder) for job in jobs)


def test_two_commands_that_start_together_take_different_runs(tmp_path: Path) -> None:
    """The processes that compute start seconds later: until then no folder is locked."""
    folder = StudyFolder(tmp_path / "runs", "smoke")
    here, there = (plan(quick(), folder, (0, 1)) for _ in range(2))
    taken = [take_next(waiting) for waiting in (here, there, there, here)]
    assert len({job.folder.path for job in taken}) == 4
    assert [job.label for job in taken] == [job.label for job in plan(quick(), folder, (0, 1))[:4]]
    for job in taken:
        job.folder.release()
        assert can_be_taken(job.folder)


@pytest.mark.parametrize("workers", [1, 2])
def test_runs_are_taken_while_they_run_and_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    study = quick()
    folder = StudyFolder(tmp_path / "runs", study.name)
    jobs = plan(study, folder, (0,))
    monkeypatch.setattr(job_module, "run_job", _note_whether_free)
    run_jobs(jobs, torch.device("cpu"), workers=workers, threads=1)
    for job in jobs:
        assert (job.folder.path / "free").read_text() == "False"
        assert can_be_taken(job.folder)


def _note_whether_free(path: Path, *arguments: object) -> bool:
    (path / "free").write_text(str(can_be_taken(RunFolder(path))))
    return True


def can_be_taken(folder: RunFolder) -> bool:
    taken = folder.take()
    folder.release()
    return taken


def test_run_of_another_machine_is_waited_for_if_nothing_else_is_left(tmp_path: Path) -> None:
    study = quick()
    waiting = plan(study, StudyFolder(tmp_path / "runs", study.name), (0,))[:2]
    first, second = waiting
    with first.folder.locked(), second.folder.locked():
        assert take_next(waiting) is first
    assert waiting == [second]


@pytest.mark.parametrize("workers", [1, 2])
def test_no_run_starts_after_the_time_budget(tmp_path: Path, workers: int) -> None:
    study = quick()
    jobs = plan(study, StudyFolder(tmp_path / "runs", study.name), (0, 1))
    left = run_jobs(jobs, torch.device("cpu"), workers=workers, threads=1, minutes=0)
    assert left == jobs
    assert not any(job.folder.failed.exists() or job.folder.weights.exists() for job in jobs)


def test_equal_runs_of_other_studies_are_not_trained_again(tmp_path: Path) -> None:
    """Nor measured, but for what they lack. Only equal configuration, code and machine count, and
    never a second run of the same study or weights that were lent."""
    here, cpu = environment(torch.device("cpu"), 1), torch.device("cpu")
    standard = dataclasses.replace(quick("first"), measures=())
    first = plan(standard, StudyFolder(tmp_path / "first", "first"), (0,))
    assert run_jobs(first, cpu, workers=1, threads=1) == []

    def planned(place: str, name: str) -> tuple[list[Job], StudyFolder]:
        folder = StudyFolder(tmp_path / place, name)
        return plan(quick(name), folder, (0, 1)), folder

    assert reuse_equal_runs(*planned("again", "first"), here) == 0
    assert reuse_equal_runs(*planned("later", "second"), here | {"code": "changed"}) == 0
    jobs, folder = planned("later", "second")
    with jobs[0].folder.locked():  # by another command: it is not waited for, nor overwritten
        assert reuse_equal_runs(jobs, folder, here) == 1
        assert not jobs[0].folder.weights.exists()
    assert reuse_equal_runs(jobs, folder, here) == 1  # in all, seed 0 of what is trained
    assert jobs[0].folder.result.exists()
    assert json.loads(jobs[0].folder.environment.read_text()) == here
    assert run_jobs(jobs, cpu, workers=1, threads=1) == []
    for mine, theirs in zip(jobs[:2], first[:2], strict=True):
        assert mine.folder.weights.read_bytes() == theirs.folder.weights.read_bytes()
        assert not mine.folder.metrics.exists()
        took, gave = (json.loads(job.folder.result.read_text()) for job in (mine, theirs))
        assert took["seconds"]["training"] < 1
        assert took.pop("worst_case")["images"] == 12
        assert took | {"seconds": None} == gave | {"seconds": None}
    third, folder = planned("third", "third")
    shutil.rmtree(tmp_path / "first")
    assert reuse_equal_runs(third, folder, here) == 2  # seed 1, trained by the second


def test_weights_of_another_run_must_fit() -> None:
    changed = dataclasses.replace(SMOKE, applied={"vit then phase_lock": "cnn"})
    with pytest.raises(ValueError, match=r"applied.*got 'cnn'"):
        changed.configs()

    def variants() -> dict[str, RunConfig]:
        runs = SMOKE.variants()
        model = dataclasses.replace(runs["vit"].model, position="none")
        return runs | {"vit then phase_lock": dataclasses.replace(runs["vit"], model=model)}

    with pytest.raises(ValueError, match=r"got a difference in model\.position"):
        dataclasses.replace(SMOKE, variants=variants).configs()


def test_missing_metric_is_computed_on_rerun(tmp_path: Path) -> None:
    """A study that asks for more measures that of its complete runs, and nothing else again."""
    cpu, folder = torch.device("cpu"), StudyFolder(tmp_path / "runs", "smoke")
    plain = dataclasses.replace(quick(), measures=())
    run_jobs(plan(plain, folder, (0,), ["vit"]), cpu, workers=1, threads=1)
    (job,) = plan(quick(), folder, (0,), ["vit"])
    trained = job.folder.weights.stat().st_mtime_ns
    before = json.loads(job.folder.result.read_text()) | {"top1": -1.0}  # not measured again
    write_json(job.folder.result, before)
    assert not job.complete
    assert run_jobs([job], cpu, workers=1, threads=1) == []
    after = json.loads(job.folder.result.read_text())
    assert after.pop("worst_case")["images"] == 12
    assert after.pop("seconds")["measuring"] >= before.pop("seconds")["measuring"]
    assert after == before
    assert job.folder.weights.stat().st_mtime_ns == trained


def test_complete_runs_are_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = quick()
    folder = StudyFolder(tmp_path / "runs", study.name)
    jobs = plan(study, folder, (0,), ["vit"])
    run_jobs(jobs, torch.device("cpu"), workers=1, threads=1)
    before = {path: path.stat().st_mtime_ns for path in jobs[0].folder.path.iterdir()}
    run_jobs(plan(study, folder, (0,), ["vit"]), torch.device("cpu"), workers=1, threads=1)
    assert "1 of 1 runs are complete already" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in jobs[0].folder.path.iterdir()}


def test_plans_refuse_bad_arguments(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "runs", "smoke")
    with pytest.raises(ValueError, match="seeds: expected at least one, all different"):
        plan(SMOKE, folder, (1, 1))
    with pytest.raises(ValueError, match="seeds: expected an integer of at least 0, got -1"):
        plan(SMOKE, folder, (-1,))
    with pytest.raises(ValueError, match=r"variants: .*got 'haar'"):
        plan(SMOKE, folder, (0,), ["haar"])
    assert not folder.path.exists()


def test_options_reach_the_runs(tmp_path: Path) -> None:
    options = StudyOptions(
        seeds=(3,), variants=("vit",), out=tmp_path / "o", device="cpu", jobs=1, timing=False
    )
    assert SMOKE.run(options) == 0
    assert (tmp_path / "o" / "vit" / "seed3" / "result.json").exists()
    assert not (tmp_path / "o" / "latency.json").exists()
    assert SMOKE.run(dataclasses.replace(options, timing=True)) == 0
    timed = (tmp_path / "o" / "latency.json").read_text()
    assert json.loads(timed)["ratios"]["vit"] == 1.0
    result = tmp_path / "o" / "vit" / "seed3" / "result.json"
    lacking = json.loads(result.read_text())
    del lacking["worst_case"]
    write_json(result, lacking)
    assert SMOKE.run(options) == 0
    assert "worst_case" in json.loads(result.read_text())
    assert (tmp_path / "o" / "latency.json").read_text() == timed  # of the same weights


def test_arguments_of_a_job_are_those_of_run_job() -> None:
    """Here as the study names its folders; on a cluster, where machines share paths, whole ones."""
    source = RunFolder(Path("runs/s/vit/seed1"))
    folder = RunFolder(Path("runs/s/lock/seed1"))
    job = Job("vit then lock", 1, folder, ("tokens",), source, (0, 45))
    given = inspect.signature(run_job).bind(*job.arguments(torch.device("cuda", 1), 3, 2))
    expected = {
        "path": Path("runs/s/lock/seed1"),
        "device": "cuda:1",
        "threads": 3,
        "label": "vit then lock, seed 1",
        "position": 2,
        "measures": ("tokens",),
        "weights_of": source.path,
        "snapshots": (0, 45),
    }
    assert given.arguments == expected
    there = inspect.signature(run_job).bind(*_arguments(job, torch.device("cuda", 1), 3))
    changes = {"path": Path.cwd() / expected["path"], "weights_of": Path.cwd() / source.path}
    assert there.arguments == expected | changes | {"device": "cuda", "position": 0}


def test_jobs_fill_the_cores() -> None:
    workers, threads = default_workers(torch.device("cpu"), jobs=15)
    assert workers * threads <= max(torch.get_num_threads(), 1)
    assert default_workers(torch.device("cuda"), jobs=15)[0] == 1


def test_balanced_accuracy_is_a_column_where_classes_are_of_unequal_size() -> None:
    """The mean over classes; of equal classes it is top-1, and old runs do not have it."""
    equal = {"top1": 50.0, "top1_by_class": {"a": 20.0, "b": 80.0 + 1e-12}}
    unequal = {"top1": 74.0, "top1_by_class": {"a": 80.0, "b": 50.0}}  # four in five are of a
    columns = _common_metrics("classification", [equal, unequal])
    assert columns["balanced"].of(unequal) == 65.0
    assert "balanced" not in _common_metrics("classification", [equal, equal])
    assert "balanced" not in _common_metrics("classification", [{"top1": 74.0}, unequal])


def test_statistics() -> None:
    statistic = Statistic.of([1.0, 2.0, 3.0])
    assert (statistic.mean, statistic.std) == (2.0, 1.0)
    assert statistic.text(1) == "2.0 ± 1.0"
    assert Statistic.of([5.0]).std == 0.0
    assert Statistic.of([5.0]).interval() is None
    low, high = statistic.interval()
    assert (low + high) / 2 == pytest.approx(2.0)
    assert (high - low) / 2 == pytest.approx(4.3027 / 3**0.5, rel=1e-4)  # t for 2 degrees


def test_stages_of_capacity_differ_in_one_field_of_the_stage() -> None:
    """The contrasts name ``model.stages``; inside, width or depth alone differs."""
    configs = get_study("capacity").configs()
    (base,) = configs["vit"].model.stages
    for name in ("width 32", "width 128", "depth 2", "depth 8"):
        (stage,) = configs[name].model.stages
        field = "embed_dim" if name.startswith("width") else "depth"
        assert differing_fields(base, stage) == [field]
        assert getattr(stage, field) == int(name.split()[1])


def test_positions_study_starts_from_the_plain_vit() -> None:
    """One window over the whole grid is global attention: same weights, same answers."""
    windowed = get_study("positions").configs()["learned"].model
    plain = get_study("patch_vs_wavelet").configs()["vit"].model
    torch.manual_seed(0)
    ours, theirs = Backbone(windowed).eval().double(), Backbone(plain).eval().double()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 1, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))


def test_every_position_is_compared() -> None:
    configs = get_study("positions").configs()
    assert {config.model.position for config in configs.values()} == set(POSITIONS.names())
    assert len(get_study("positions").seeds) >= 5
