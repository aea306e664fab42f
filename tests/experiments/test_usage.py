"""Wrong usage of the experiments' command lines: said before anything is computed, status 2."""

from __future__ import annotations

import errno
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from experiments.__main__ import VERBS, main
from experiments.core import job
from experiments.core.registry import all_experiments, experiments_by_verb
from wavevit import plugins
from wavevit.deprecated import REMOVED_IN


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
        ("report", "nope", "name: expected one of"),
        ("run", "nope", "name: expected one of"),
        ("run", "patch_vs_wavelt", "name: expected one of"),
        ("run", "noise --out FILE", "out: expected a folder, got"),
        ("bench", "transforms --out FILE", "out: expected a folder, got"),
        ("bench", "filters --out FILE", "out: expected a folder, got"),
        ("bench", "transforms_cuda --out FILE", "out: expected a folder, got"),
        ("bench", "axes colour", "axis: expected one of"),
        ("bench", "axes mixer --out DIR.json", "out: expected a file, got the folder"),
        ("bench", "nope", "name: expected one of"),
        ("bench", "", "name: expected the name of an experiment first"),
        ("run", "smoke --module nothing.py", "module: expected an existing Python file"),
        ("", "nope", "command: expected one of"),
        (
            "run",
            "smoke --source scenes --source-options colour=true",
            "options: expected options of the source 'scenes'",
        ),
        ("explorer", "--out DIR.json", "out: expected a file, got the folder"),
        # Said in one line, without the boxes of tyro.
        ("run", "smoke --jobs a", "jobs: expected an integer, got 'a'"),
        ("run", "smoke --minutes a", "minutes: expected a number, got 'a'"),
        ("run", "smoke --seeds", "seeds: expected at least one value, got none"),
        ("run", "smoke --variants --jobs 1", "variants: expected at least one value, got none"),
        (
            "run",
            "smoke --nope",
            "option: expected one that `python -m experiments run smoke ",
        ),
        ("report", "smoke --nope", "option: expected one that `python -m experiments report smoke"),
        (
            "claims",
            "--nope",
            "option: expected one that `python -m experiments claims ",
        ),
        (
            "run",
            "smoke --photographs no/such",
            "photographs: expected a folder of photographs",
        ),
        # The data of this study are a user's: nine runs would begin and fail.
        (
            "run",
            "imagenet",
            "path: expected a folder with a folder of pictures",
        ),
        ("run", "imagenet_trial --device cpu", "path: expected a folder with a folder of pictures"),
        ("bench", "backbones --out FILE", "out: expected a folder, got"),
    ],
)
def test_wrong_usage_is_reported_before_any_work(
    program: str,
    arguments: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.json").mkdir()
    monkeypatch.chdir(tmp_path)
    words = arguments.replace("FILE", "file").replace("DIR.json", "folder.json")
    monkeypatch.setattr("sys.argv", ["experiments", *program.split(), *shlex.split(words)])
    monkeypatch.setattr(job, "run_job", lambda *_: pytest.fail("computed"))
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert torch.is_grad_enabled()  # a command leaves nothing behind in its process
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith(f"experiments {program}".rstrip() + f": {message}")
    assert len(lines) == 1 or not arguments or message.startswith("name:")


def test_full_disk_is_said_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of what is no run, such as its configuration; any other error has its traceback."""
    error = OSError(errno.ENOSPC, "No space left on device", "/runs/config.json")

    def run(words: list[str]) -> int:
        raise error

    monkeypatch.setitem(VERBS, "run", run)
    monkeypatch.setattr(sys, "argv", ["experiments", "run", "smoke"])
    with pytest.raises(SystemExit, match="74"):
        main()
    said = "experiments run: No space left on device: /runs/config.json. When this is solved"
    assert capsys.readouterr().err.startswith(said)
    error = OSError(errno.ECONNRESET, "Connection reset by peer")
    with pytest.raises(OSError, match="Connection reset"):
        main()


def test_missing_extra_is_named_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacks(words: object) -> int:
        raise ImportError("this needs ray: pip install 'wavevit[cluster]'")

    monkeypatch.setitem(VERBS, "run", lacks)
    monkeypatch.setattr("sys.argv", ["experiments", "run", "smoke"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    found = capsys.readouterr().err
    assert found == "experiments run: this needs ray: pip install 'wavevit[cluster]'\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("run smoke --jobs 0", "run smoke --jobs 0"),
        ("report nope", "report nope"),
        ("measurements noise --out FILE", "run noise --out FILE"),
        ("benchmarks.filters --out FILE", "bench filters --out FILE"),
        ("explorer --out FILE", "explorer --out FILE"),
        ("claims --nope", "claims --nope"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")  # of runpy
def test_old_commands_do_what_the_new_ones_do_and_name_them(
    old: str,
    new: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Here both refuse; that is said by the command that the old one stands for."""
    file = tmp_path / "file"
    file.touch()
    module, *words = old.replace("FILE", str(file)).split()
    monkeypatch.setattr("sys.argv", [module, *words])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module(f"experiments.{module}", run_name="__main__")
    assert caught.value.code == 2
    first, *rest = capsys.readouterr().err.splitlines()
    new = new.replace("FILE", str(file))
    said = f"wavevit {REMOVED_IN} removes this command. The new one is: "
    assert first == f"{said}python -m experiments {new}"
    assert rest


@pytest.mark.parametrize("verb", ["run", "bench"])
def test_help_lists_every_experiment(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["experiments", verb, "--help"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for name, one in experiments_by_verb(verb).items():
        assert f"{name} " in text
        assert one.question in text


def test_two_experiments_of_one_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of two kinds with one verb: one would hide the other."""
    file = tmp_path / "second_noise.py"
    file.write_text(
        "import dataclasses\n"
        "from experiments.studies.smoke import SMOKE\n"
        "MINE = dataclasses.replace(SMOKE, name='noise', question='Mine?')\n"
    )
    monkeypatch.setattr(plugins, "_FILES", {})
    (hidden,) = (one for one in all_experiments() if one.name == "noise")
    plugins.import_files([file])
    expected = (
        f"name: expected one experiment named 'noise', got the measurement {hidden.question!r} "
    )
    with pytest.raises(ValueError, match=re.escape(expected + "and the study 'Mine?'")):
        experiments_by_verb("run")
    assert "noise" not in experiments_by_verb("bench")


@pytest.mark.nightly  # every run trains the study of docs/examples/add_a_tokenizer.py
def test_a_users_file_adds_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One file, nothing else: it is run and resumed by its name, in processes of its own too."""
    (tmp_path / "my_study.py").write_text(
        "import dataclasses\n"
        "from experiments.studies.smoke import SMOKE\n"
        "def variants():\n"
        "    runs = SMOKE.variants()\n"
        "    return {k: dataclasses.replace(r, optimizer=dataclasses.replace(\n"
        "        r.optimizer, steps=2, warmup_steps=1)) for k, r in runs.items()}\n"
        "MINE = dataclasses.replace(SMOKE, name='mine', variants=variants, measures=())\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_FILES", {})
    words = "run mine --module my_study.py --seeds 0 --device cpu --jobs 2 --no-timing"
    for done in ("[3/3]", "3 of 3 runs are complete already"):
        monkeypatch.setattr("sys.argv", ["experiments", *words.split()])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 0
        assert done in capsys.readouterr().out
    assert (tmp_path / "runs" / "mine" / "vit" / "seed0" / "result.json").exists()


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("data.gcompris", "", "DEB: expected the package"),
        ("data.gcompris", "--nope", "package: expected a value, got none"),
        ("data.gcompris", "no.deb DIR", "package: expected an existing file"),
        ("reporting.site", "--nope", "option: expected one that `python -m experiments."),
        ("reporting.site", "--out FILE", "out: expected a folder, got"),
        ("explorer.picture", "--nope", "option: expected one that `python -m experiments."),
    ],
)
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")  # of runpy
def test_wrong_usage_of_single_modules(
    module: str,
    arguments: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    words = arguments.replace("FILE", str(tmp_path / "file")).replace("DIR", str(tmp_path / "new"))
    monkeypatch.setattr("sys.argv", [module, *shlex.split(words)])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module(f"experiments.{module}", run_name="__main__", alter_sys=True)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"experiments.{module}: {message}")


@pytest.mark.parametrize("missing", ["tyro", "cattrs"])
def test_a_missing_package_names_the_extra(missing: str) -> None:
    """As in an environment that has the library alone."""
    code = f"import sys; sys.modules[{missing!r}] = None; import experiments.__main__"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 1
    last = found.stderr.splitlines()[-1]
    assert f"this needs {missing}, which comes with wavevit's extra 'experiments'" in last
