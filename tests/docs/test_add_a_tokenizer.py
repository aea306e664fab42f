"""The example that adds a tokenizer and a mixer works in every place that it names."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import wavevit
from experiments.__main__ import main as experiments_command
from experiments.reporting.examples import FOLDER, ROOT
from tests import warm_python
from wavevit.cli import main
from wavevit.interop.hub import from_pretrained, save_pretrained
from wavevit.plugins import import_files
from wavevit.testing import CONTRACT, assert_backbone_contract

FILE = FOLDER / "add_a_tokenizer.py"


@pytest.fixture(autouse=True)
def registered() -> None:
    import_files([FILE])


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return warm_python.run([sys.executable, *arguments], cwd=ROOT, env=env)


def test_it_has_at_most_sixty_lines_and_the_library_does_not_name_it() -> None:
    assert len(FILE.read_text().splitlines()) <= 60
    for path in ROOT.glob("wavevit/**/*.py"):
        assert "smooth_patch" not in path.read_text()


@pytest.mark.parametrize("check", CONTRACT)
def test_it_keeps_the_contract(check: str) -> None:
    create = functools.partial(wavevit.create_model, "mean_vit", img_size=64)
    assert_backbone_contract(create, checks=[check])


def test_parts_work_in_models_of_other_families() -> None:
    swin = wavevit.create_model("test_swin", tokenizer="smooth_patch", img_size=64)
    assert swin(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)
    wide = wavevit.create_model("mean_vit", tokenizer_options={"reach": 3}, img_size=32)
    assert wide.config.options("tokenizer").reach == 3
    assert wavevit.create_model("mean_vit", img_size=32).config.tokenizer_options is None


def test_audit_takes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["models", "mean_vit", "--module", str(FILE)])
    assert "smooth_patch" in capsys.readouterr().out
    arguments = ("audit", "mean_vit", "--module", str(FILE), "--size", "32", "--quick")
    done = command("-m", "wavevit", *arguments, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "mean_vit" in (tmp_path / "audit.json").read_text()


def tokenizers_of_runs(folder: Path) -> set[str]:
    configs = [json.loads(path.read_text()) for path in folder.rglob("config.json")]
    return {config["model"]["tokenizer"] for config in configs}


def test_a_study_trains_it_in_a_worker_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new process, which has imported the file because the study's command named it."""
    words = ("smooth", "--module", str(FILE), "--out", str(tmp_path / "run"), "--no-timing")
    words += ("--jobs", "2", "--seeds", "0", "--variants", "smooth")
    monkeypatch.setattr("sys.argv", ["experiments", "run", *words])
    with pytest.raises(SystemExit) as end:
        experiments_command()
    assert end.value.code == 0
    assert tokenizers_of_runs(tmp_path) == {"smooth_patch"}
    assert len([*tmp_path.rglob("result.json")]) == 1


@pytest.mark.nightly  # every run has the test above, and the audit in a process of its own
def test_a_study_is_found_by_a_new_command(tmp_path: Path) -> None:
    arguments = ("smooth", "--module", str(FILE), "--out", str(tmp_path / "run"), "--no-timing")
    done = command("-m", "experiments", "run", *arguments, "--jobs", "2", "--seeds", "0")
    assert done.returncode == 0, done.stderr
    assert tokenizers_of_runs(tmp_path) == {"patch", "smooth_patch"}


def test_timm_builds_it() -> None:
    import timm

    from wavevit.interop import timm as ours

    assert ours.register()["mean_vit"] == "mean_vit"
    model = timm.create_model("mean_vit", img_size=32, num_classes=5)
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 5)


def test_a_checkpoint_needs_the_registration(tmp_path: Path) -> None:
    torch.manual_seed(0)
    fields = {"img_size": 32, "tokenizer_options": {"reach": 2}}
    model = wavevit.create_model("mean_vit", **fields).eval()
    save_pretrained(model, tmp_path)
    x = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(from_pretrained(tmp_path)(x), model(x), rtol=0, atol=0)
    load = f"from wavevit.interop.hub import from_pretrained; from_pretrained({str(tmp_path)!r})"
    done = command("-c", load)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "mixer 'mean' is not registered" in last
    assert "register_mixer('mean')" in last
