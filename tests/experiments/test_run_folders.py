"""Folders of runs: never overwritten, and what interrupted or changed trainings leave in them."""

from __future__ import annotations

import dataclasses
import json
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import torch

from experiments.core.checkpoint import save_checkpoint
from experiments.core.folder import RunFolder, StudyFolder, slug
from experiments.core.job import (
    note_environment,
    plan,
    run_jobs,
)
from experiments.core.records import environment, write_json
from experiments.core.reuse import reuse_equal_runs
from experiments.core.summarize import (
    _found_seeds,
    codes_of_runs,
)
from experiments.core.training import make_optimizer, make_task
from experiments.measurements import trained_here
from experiments.reporting.study_report import _tell_other_code
from experiments.studies.smoke import SMOKE
from tests.experiments.quick_study import quick


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


def test_training_that_resumes_with_other_code_is_reported(
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


def test_training_of_a_measurement_that_resumes_with_other_code_is_reported(
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
