"""timm's own scripts train and validate our models by name."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import warm_python
from wavevit.interop import timm_script
from wavevit.interop.timm_script import run_script

CLONE = "WAVEVIT_TIMM"
MODULE = "wavevit.interop.timm_script"
OURS = """
import argparse, json, pathlib, sys
import timm
parser = argparse.ArgumentParser()
parser.add_argument("--model")
name = parser.parse_args().model
facts = {"name": __name__, "path": sys.path[0], "known": timm.is_model(name)}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(facts))
"""


def photographs(root: Path) -> Path:
    """Eight pictures in the folders that timm reads: split, class, file."""
    numbers = np.random.default_rng(0)
    for split in ("train", "validation"):
        for name in ("cat", "dog"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(2):
                picture = numbers.integers(0, 256, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(picture).save(folder / f"{index}.png")
    return root


def test_a_script_finds_our_models_and_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.py"
    script.write_text(OURS)
    monkeypatch.setattr(sys, "argv", ["before"])
    monkeypatch.setattr(sys, "path", ["the folder of python -m", *sys.path])
    run_script([str(script), "--model", "haar_vit_tiny"])
    assert sys.argv == [str(script), "--model", "haar_vit_tiny"]
    facts = json.loads(script.with_suffix(".json").read_text())
    assert facts == {"name": "__main__", "path": str(tmp_path.resolve()), "known": True}


def test_what_is_no_script_is_refused_before_timm_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timm_script, "import_timm", lambda: pytest.fail("imported"))
    with pytest.raises(ValueError, match=r"arguments: expected the path .*got nothing"):
        run_script([])
    with pytest.raises(ValueError, match=r"script: expected an existing Python file, got 'train'"):
        run_script(["train", "--model", "haar_vit_tiny"])
    with pytest.raises(ValueError, match="script: expected an existing Python file"):
        run_script([str(tmp_path)])


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["wavevit_test_vit", "test_haar_vit", "test_haar_pyramid"])
def test_train_and_validate(name: str, tmp_path: Path) -> None:
    """An epoch with an average of weights; then the checkpoint has the accuracy that it had."""
    if CLONE not in os.environ:
        pytest.skip(
            f"timm's train.py is in no wheel: set {CLONE} to a clone of "
            "https://github.com/huggingface/pytorch-image-models"
        )
    clone = Path(os.environ[CLONE])
    data, out = photographs(tmp_path / "data"), tmp_path / "out"
    shared = [str(data), "--model", name, "--num-classes", "2", "--img-size", "32"]
    shared += ["--model-kwargs", "img_size=32"]
    shared += ["--device", "cpu", "--workers", "0", "--batch-size", "2", "--no-prefetcher"]
    options = ["--epochs", "1", "--warmup-epochs", "0", "--opt", "adamw", "--lr", "1e-3"]
    options += ["--layer-decay", "0.75", "--drop-path", "0.1", "--model-ema"]
    options += ["--output", str(out), "--experiment", "run"]
    trained = warm_python.run(
        [sys.executable, "-m", MODULE, str(clone / "train.py"), *shared, *options]
    )
    assert trained.returncode == 0, trained.stderr
    with (out / "run" / "summary.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["train_loss"]) > 0

    results = tmp_path / "results.csv"
    weights = ["--checkpoint", str(out / "run" / "last.pth.tar"), "--use-ema", "--split"]
    validated = warm_python.run(
        [sys.executable, "-m", MODULE, str(clone / "validate.py"), *shared, *weights]
        + ["validation", "--results-file", str(results)]
    )
    assert validated.returncode == 0, validated.stderr
    with results.open() as file:
        (found,) = csv.DictReader(file)
    assert float(found["top1"]) == pytest.approx(float(row["eval_top1"]))


@pytest.mark.nightly
def test_the_command_line_says_what_it_needs() -> None:
    done = warm_python.run([sys.executable, "-m", MODULE, "no_such_script.py"])
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "wavevit: script: expected an existing Python file, got 'no_such_script.py'"
    )
