"""The example that adds a task works in the contract, in studies and in reports."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from experiments.core.folder import StudyFolder
from experiments.core.job import plan, run_jobs
from experiments.reporting.examples import FOLDER, ROOT
from experiments.reporting.study_report import write_report
from wavevit.plugins import import_files, imported_modules
from wavevit.tasks import TASKS, create_task
from wavevit.testing import assert_task_contract

FILE = FOLDER / "add_a_task.py"


@pytest.fixture
def example() -> ModuleType:
    import_files([FILE])
    (module,) = (m for m in imported_modules() if m.__file__ == str(FILE))
    return module


def test_it_has_at_most_sixty_lines_and_nothing_else_names_it() -> None:
    assert len(FILE.read_text().splitlines()) <= 60
    for path in (*ROOT.glob("wavevit/**/*.py"), *ROOT.glob("experiments/**/*.py")):
        assert '"rotation"' not in path.read_text(), path
    assert importlib.util.find_spec("wavevit.tasks.rotation") is None


def test_it_keeps_the_contract(example: ModuleType) -> None:
    for backbone in ("test_vit", "test_haar_pyramid"):
        assert_task_contract(lambda name=backbone: create_task("rotation", name, img_size=32))


def test_its_study_is_trained_and_reported(example: ModuleType, tmp_path: Path) -> None:
    study = example.ROTATION
    short = {
        name: dataclasses.replace(
            run, optimizer=dataclasses.replace(run.optimizer, steps=2, warmup_steps=1)
        )
        for name, run in study.variants().items()
    }
    study = dataclasses.replace(study, variants=lambda: short, seeds=(0,))
    folder = StudyFolder(tmp_path / "rotation", study.name)
    assert run_jobs(plan(study, folder, (0,)), torch.device("cpu"), 1, 1) == []
    page = write_report(study, folder.path).read_text()
    assert TASKS.get("rotation").title in page
    assert "same turn at 1 px" in page
