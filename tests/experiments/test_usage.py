"""Wrong usage of the experiments' command lines: said before anything is computed, status 2."""

from __future__ import annotations

import importlib
import shlex
from pathlib import Path

import pytest

from experiments.core import scheduler


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        ("run", "smoke --device cuda:99", "device: expected a device of this machine"),
        ("run", "smoke --device gpu", "device: expected a device of this machine"),
        ("run", "smoke --out FILE", "out: expected a folder, got"),
        ("run", "smoke --out /proc/none", "out: expected a folder in which files can be written"),
        ("run", "smoke --minutes nan", "minutes: expected a number of at least 0"),
        ("run", "smoke --jobs 0", "jobs: expected an integer of at least 1"),
        ("run", "smoke --seeds -1", "seeds: expected an integer of at least 0"),
        ("run", "smoke --variants nope", "variants: expected one of"),
        ("report", "smoke --out FILE", "out: expected a study's folder"),
        ("report", "nope", "study: expected one of"),
        ("measurements.__main__", "nope", "names: expected one of"),
        ("measurements.__main__", "noise --out FILE", "out: expected a folder, got"),
        ("benchmarks.transforms", "--out .", "out: expected a file, got the folder"),
        ("benchmarks.filters", "--out .", "out: expected a file, got the folder"),
        ("benchmarks.transforms_cuda", "--out .", "out: expected a file, got the folder"),
        ("benchmarks.backbones", "--out FILE", "out: expected a folder, got"),
    ],
)
def test_wrong_usage_is_told_first(
    program: str,
    arguments: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["program", *shlex.split(arguments.replace("FILE", "file"))])
    monkeypatch.setattr(scheduler, "run_cell", lambda *_: pytest.fail("computed"))
    with pytest.raises(SystemExit) as caught:
        importlib.import_module(f"experiments.{program}").main()
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"experiments.{program.removesuffix('.__main__')}: {message}")
