"""Studies: one field per contrast, failures that stay alone, folders that are never overwritten."""

from __future__ import annotations

import dataclasses
import inspect
import json
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier

import pytest
import torch

from experiments.core import job as job_module
from experiments.core.checkpoint import save_checkpoint
from experiments.core.cluster import _arguments
from experiments.core.config import RunConfig, changed, differing_fields
from experiments.core.folder import RunFolder, StudyFolder, slug
from experiments.core.job import (
    Job,
    default_workers,
    note_environment,
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
    _found_seeds,
    codes_of_runs,
    summarize,
)
from experiments.core.summary import Statistic
from experiments.core.training import make_optimizer, make_task
from experiments.measurements import trained_here
from experiments.reporting.page import render_page
from experiments.reporting.study_report import _tell_other_code
from experiments.studies import STUDIES, get_study
from experiments.studies.smoke import SMOKE
from wavevit.layers import POSITIONS
from wavevit.measure import cost
from wavevit.models import Backbone


def quick(name: str = "smoke", lr: float | None = None) -> Study:
    """The smoke study in six steps; `lr` spoils its second variant."""

    def variants():
        configs = SMOKE.variants()
        short = {
            key: dataclasses.replace(
                run, optimizer=dataclasses.replace(run.optimizer, steps=6, warmup_steps=1)
            )
            for key, run in configs.items()
        }
        if lr is not None:
            spoiled = short["vit + phase_lock"]
            short["vit + phase_lock"] = dataclasses.replace(
                spoiled, optimizer=dataclasses.replace(spoiled.optimizer, lr=lr, warmup_steps=0)
            )
        return short

    contrasts = SMOKE.contrasts if lr is None else ()
    return dataclasses.replace(SMOKE, name=name, variants=variants, contrasts=contrasts)


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


def test_folder_with_other_files_is_not_changed(tmp_path: Path) -> None:
    study = quick()
    plan(study, StudyFolder(tmp_path / "a", study.name), (0,))
    with pytest.raises(
        ValueError, match=r"out: expected a folder of the study 'other', got .*'smoke'"
    ):
        StudyFolder(tmp_path / "a", "other").claim()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match="to be empty or a study's folder, got other files"):
        StudyFolder(tmp_path / "b", "smoke").claim()
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["thesis.tex"]
    (tmp_path / "c").write_text("a file")
    with pytest.raises(ValueError, match="to be a folder, got a file"):
        StudyFolder(tmp_path / "c", "smoke").claim()


def test_commands_that_claim_a_folder_together_both_get_it(tmp_path: Path) -> None:
    """One sees the other's files before, while and after they are written."""
    config = SMOKE.configs()["vit"]
    together = Barrier(2)

    def claim(_: int) -> None:
        for index in range(30):
            folder = StudyFolder(tmp_path / str(index), "smoke")
            together.wait(60)
            folder.claim()
            together.wait(60)
            folder.run("vit", 0).claim(config)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(claim, range(2))) == [None, None]
    with pytest.raises(ValueError, match="a folder of the study 'other'"):
        StudyFolder(tmp_path / "0", "other").claim()


def test_folder_in_which_a_killed_process_was_writing_is_claimed_again(tmp_path: Path) -> None:
    config, folder = SMOKE.configs()["vit"], StudyFolder(tmp_path / "runs", "smoke")
    folder.path.mkdir()
    (folder.path / ".study.json.4711.part").write_text('{"stu')
    folder.claim()
    run = folder.run("vit", 0)
    run.path.mkdir(parents=True)
    (run.path / ".config.json.4711.part").write_text("{")
    run.claim(config)
    assert run.load_config() == config


def test_parts_of_checkpoints_of_killed_processes_are_removed(tmp_path: Path) -> None:
    """They have the process in their name, so each kill would leave one more."""
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    for name in ("checkpoint.safetensors", "weights.safetensors", "ema.safetensors"):
        (run.path / f".{name}.4711.part").write_bytes(bytes(100))
    write_json(run.result, {})
    with run.locked():
        assert sorted(path.name for path in run.path.iterdir()) == [".lock", "result.json"]


def test_disk_that_is_full_stops_a_run_which_resumes_when_there_is_room(tmp_path: Path) -> None:
    """The run's last checkpoint stays, its failure names the file, nothing else is left behind."""
    study, cpu = quick(), torch.device("cpu")
    folder = StudyFolder(tmp_path / "runs", study.name)
    (job,) = plan(study, folder, (0,), ["vit"])
    before = sorted(path.name for path in job.folder.path.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # the weights do not fit
    try:
        assert run_jobs([job], cpu, workers=1, threads=1) == [job]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    failure = json.loads(job.folder.failed.read_text())
    assert failure["error"] == "OSError"
    assert str(job.folder.weights) in failure["message"]
    added = {".lock", ".taken", "environment.json", "failed.json", "metrics.jsonl"}
    assert {path.name for path in job.folder.path.iterdir()} == added | set(before)
    assert run_jobs([job], cpu, workers=1, threads=1) == []
    assert not job.folder.failed.exists()


def test_training_that_resumes_with_other_code_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In its environment, to the one who runs it and in the report; no other study takes it."""
    study, cpu = quick("first"), torch.device("cpu")
    folder = StudyFolder(tmp_path / "first", "first")
    jobs = plan(study, folder, (0, 1), ["vit"])
    here = environment(cpu, 1)
    for job in jobs:
        write_json(job.folder.environment, here | {"code": "of before"})
    resumed, fresh = (job.folder for job in jobs)
    config = resumed.load_config()
    task = make_task(config)
    save_checkpoint(resumed.checkpoint, task, make_optimizer(task, config.optimizer), 1)
    assert run_jobs(jobs, cpu, workers=1, threads=1) == []
    assert json.loads(fresh.environment.read_text()) == here
    assert json.loads(resumed.environment.read_text()) == here | {
        "earlier": [{"code": "of before"}]
    }
    told = capsys.readouterr().err
    assert "vit, seed 0: resumes a training that began with other code" in told
    assert "vit, seed 1: resumes" not in told
    codes = codes_of_runs(study, folder)
    assert codes == {
        f"of before, then {here['code']}": ["vit, seed 0"],
        here["code"]: ["vit, seed 1"],
    }
    second = StudyFolder(tmp_path / "second", "second")
    assert reuse_equal_runs(plan(quick("second"), second, (0, 1), ["vit"]), second, here) == 1
    first_version = {name: value for name, value in here.items() if name != "code"}
    write_json(fresh.environment, first_version)
    write_json(resumed.environment, here | {"earlier": [{"code": None}]})
    assert codes_of_runs(study, folder) == {
        f"unknown, then {here['code']}": ["vit, seed 0"],
        "unknown": ["vit, seed 1"],
    }


def test_training_that_resumes_on_other_ranks_keeps_all_that_it_ran_on(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    write_json(run.checkpoint, {})
    one, two = {"code": "a", "threads": 1}, {"code": "a", "threads": 1, "ranks": 2}
    for here in (one, one, two, one, one):
        note_environment(run, here, "vit, seed 0")
    expected = one | {"earlier": [{"ranks": None}, {"ranks": 2}]}
    assert json.loads(run.environment.read_text()) == expected


def test_training_of_a_measurement_that_resumes_with_other_code_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained_here, "train", lambda *_, **__: None)
    run, here = RunFolder(tmp_path / "vit" / "seed0"), environment(torch.device("cpu"), 1)
    run.claim(SMOKE.configs()["vit"])
    write_json(run.environment, here | {"code": "of before"})
    write_json(run.checkpoint, {})
    trained_here._train(run.path)
    resumed = here | {"earlier": [{"code": "of before"}]}
    assert json.loads(run.environment.read_text()) == resumed
    write_json(run.weights, {})
    monkeypatch.setattr(trained_here, "environment", lambda *_: here | {"code": "of later"})
    trained_here._train(run.path)  # nothing is trained any more
    assert json.loads(run.environment.read_text()) == resumed


def test_report_says_which_runs_other_code_trained(capsys: pytest.CaptureFixture[str]) -> None:
    _tell_other_code({"new": ["vit, seed 0"]})
    assert capsys.readouterr().err == ""
    _tell_other_code({"old": ["haar, seed 0"], "new": [f"vit, seed {seed}" for seed in range(3)]})
    told = capsys.readouterr().err
    expected = "Not all runs were trained with one code: haar, seed 0 with digest old, 3 with new "
    assert told.startswith(expected)


def test_copy_of_a_run_is_no_run(tmp_path: Path) -> None:
    study = quick()
    folder = StudyFolder(tmp_path / "runs", study.name)
    (job,) = plan(study, folder, (0,), ["vit"])
    shutil.copytree(job.folder.path, job.folder.path.with_name("seed0_before"))
    assert [seed for seed, _ in _found_seeds(folder, "vit")] == [0]


def test_run_of_another_configuration_is_not_changed(tmp_path: Path) -> None:
    config = SMOKE.configs()["vit"]
    folder = RunFolder(tmp_path / "run")
    folder.claim(config)
    folder.claim(config)
    other = dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, lr=0.5))
    with pytest.raises(ValueError, match=r"a run that differs in optimizer\.lr"):
        folder.claim(other)
    assert folder.load_config() == config
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="to be empty or a run, got other files"):
        RunFolder(tmp_path / "other").claim(config)


def test_files_are_written_atomically(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="Out of range float values"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert slug("haar_pyramid + phase_lock") == "haar_pyramid-phase_lock"


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
    assert json.loads((tmp_path / "o" / "latency.json").read_text())["ratios"]["vit"] == 1.0


def test_arguments_of_a_job_are_those_of_run_job() -> None:
    """Here as the study names its folders; on a cluster, where machines share paths, whole ones."""
    source = RunFolder(Path("runs/s/vit/seed1"))
    job = Job("vit then lock", 1, RunFolder(Path("runs/s/lock/seed1")), ("tokens",), source)
    given = inspect.signature(run_job).bind(*job.arguments(torch.device("cuda", 1), 3, 2))
    expected = {
        "path": Path("runs/s/lock/seed1"),
        "device": "cuda:1",
        "threads": 3,
        "label": "vit then lock, seed 1",
        "position": 2,
        "measures": ("tokens",),
        "weights_of": source.path,
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
