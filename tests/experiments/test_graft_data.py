"""The measurement of grafts on other data: photographs in a folder, pictures with classes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from experiments.claims.c20_graft import CLAIM, NAMES
from experiments.core.data_choice import DataChoice
from experiments.core.experiment import DOCS
from experiments.measurements.graft.measurement import MEASUREMENT, OTHER_DATA
from experiments.measurements.graft.methods import CONTROL, GRAFT
from experiments.measurements.graft.options import GraftOptions
from experiments.measurements.graft.originals import base_configuration, unlabelled
from experiments.measurements.graft.report import render
from tests.experiments.test_graft_measurement import record_with
from tests.experiments.tiny_graft import make_tiny, tiny


def write_pictures(folder: Path, count: int, height: int = 90, width: int = 120) -> None:
    """Pictures of noise, so that no two are near-duplicates."""
    folder.mkdir(parents=True)
    for index in range(count):
        generator = torch.Generator().manual_seed(index)
        pixels = torch.randint(0, 256, (height, width), dtype=torch.uint8, generator=generator)
        Image.fromarray(pixels.numpy()).save(folder / f"{index}.png")


def photographs(root: Path) -> dict[str, Any]:
    """Options for a folder of photographs, each a class."""
    write_pictures(root / "places", 3)
    return {"photographs": root / "places", "source_options": ("duplicates=drop",)}


def classes(root: Path) -> dict[str, Any]:
    """Options for a folder with a folder of pictures for each class."""
    for name in ("dark", "bright"):
        write_pictures(root / "kinds" / name, 12)
    return {"source": "folder", "source_options": (f"path={root / 'kinds'}",)}


@pytest.mark.parametrize(
    ("data", "label", "typed", "words", "count"),
    [
        (
            photographs,
            "places_duplicatesdrop",
            "--photographs places --source-options duplicates=drop",
            "crops of 3 photographs (places)",
            3,
        ),
        (classes, "folder", "--source folder", "folder kinds", 2),
    ],
)
def test_another_source_has_a_record_of_its_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: Any,
    label: str,
    typed: str,
    words: str,
    count: int,
) -> None:
    make_tiny(monkeypatch)
    options = GraftOptions(
        runs=tmp_path / "runs",
        out=tmp_path / "out",
        seeds=(0,),
        methods=(CONTROL, GRAFT),
        steps=1,
        batch=2,
        original_steps=2,
        jobs=1,
        **data(tmp_path / "data"),
    )
    assert MEASUREMENT.run(options) == 0
    (file,) = (tmp_path / "out").rglob("*.json")
    assert file.relative_to(tmp_path / "out") == Path(f"graft_{label}/measurement.json")
    record = json.loads(file.read_text())
    assert record["data"] == words
    assert record["command"] == (
        f"python -m experiments run graft {typed} --methods 'distilled, no wavelets' 'dtcwt graft'"
        " --seeds 0 --steps 1 --batch 2 --original-steps 2"
    )
    assert str(tmp_path) not in file.read_text()
    config = record["configuration"]
    assert config["model"]["num_classes"] == count
    assert config["optimizer"]["steps"] == 2
    assert f"a ViT trained on {words} in 2 steps, 1 seeds" in render(record)
    (view,) = MEASUREMENT.views(f"graft_{label}/measurement.json", record)
    assert view.mark == f"graft-{label}"
    # Another training of the originals is another folder of runs, not a record of both.
    with pytest.raises(ValueError, match=r"differs in optimizer.steps"):
        MEASUREMENT.run(dataclasses.replace(options, original_steps=3))


def test_windows_of_other_photographs_are_those_of_the_training_half(tmp_path: Path) -> None:
    write_pictures(tmp_path / "wide", 2)
    write_pictures(tmp_path / "small", 1, 17, 40)
    (tmp_path / "small" / "0.png").rename(tmp_path / "wide" / "narrow.png")
    options = (("photographs", str(tmp_path / "wide")),)
    data = dataclasses.replace(tiny().data, source_options=options)
    left = torch.stack([torch.as_tensor(_pixels(tmp_path / "wide" / f"{i}.png")) for i in (0, 1)])
    drawn = unlabelled(data, "train", 8)(6, 3)  # the narrow photograph holds no window
    assert drawn.shape == (6, 1, 24, 24)
    assert torch.equal(drawn, unlabelled(data, "train", 8)(6, 3))
    places = left[:, :, :60].unfold(1, 24, 1).unfold(2, 24, 1).flatten(1, 2).flatten(0, 1)
    for window in drawn[:, 0]:
        assert _found(window, places)
    # Negative control: windows of the test halves are none of these.
    other = unlabelled(data, "test", 8)(6, 3)
    assert not any(_found(window, places) for window in other[:, 0])


def _pixels(path: Path) -> Any:
    import numpy as np

    return np.asarray(Image.open(path)).astype("float32")


def _found(window: torch.Tensor, places: torch.Tensor) -> bool:
    """Whether a normalised window is one of these, up to mean and gain."""

    def plain(x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(-2)
        x = x - x.mean(-1, keepdim=True)
        return x / x.norm(dim=-1, keepdim=True)

    return bool((plain(places) @ plain(window) > 0.9999).any())


def test_options_of_the_other_kind_of_model_are_refused(tmp_path: Path) -> None:
    def run(**options: Any) -> None:
        MEASUREMENT.run(GraftOptions(runs=tmp_path, out=tmp_path, **options))

    with pytest.raises(ValueError, match=r"source: expected its default for a pretrained model"):
        run(model="vit_tiny_patch16_224", photographs=tmp_path, source="elpv")
    with pytest.raises(ValueError, match=r"repeats: expected its default for a pretrained model"):
        run(model="vit_tiny_patch16_224", photographs=tmp_path, repeats=2)
    with pytest.raises(ValueError, match=r"original_steps: expected its default for a pretrained"):
        run(model="vit_tiny_patch16_224", photographs=tmp_path, original_steps=3)
    with pytest.raises(ValueError, match=r"labelled: expected its default for a model that is tr"):
        run(labelled=tmp_path)
    with pytest.raises(ValueError, match="original_steps: expected an integer of at least 1"):
        run(original_steps=0)
    assert not list(tmp_path.rglob("*.json"))


def test_originals_need_data_with_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    without = dataclasses.replace(tiny(), model=dataclasses.replace(tiny().model, num_classes=0))
    make_tiny(monkeypatch)
    assert base_configuration(DataChoice(), 7).optimizer.steps == 7
    monkeypatch.setattr("tests.experiments.tiny_graft.tiny", lambda: without)
    with pytest.raises(ValueError, match="source: expected one with classes"):
        base_configuration(DataChoice())


def test_every_data_set_decides_the_claim_and_the_bundled_ones_alone_decide_about_time() -> None:
    bundled = record_with([0.05, 0.051, 0.052], [0.10, 0.102, 0.101])
    bundled["methods"][GRAFT]["times"] = [1.02, 1.03, 1.03]
    other = record_with([0.10, 0.102, 0.101], [0.05, 0.051, 0.052])  # the control is better
    other["data"] = "crops of 115 photographs (gcompris)"
    first, _ = CLAIM.optional
    alone = CLAIM.find({"graft/measurement.json": bundled})
    assert (alone.verdict.word, alone.data) == ("supported", "")
    both = CLAIM.find({"graft/measurement.json": bundled, first: other})
    assert both.verdict.word == "mixed"
    assert both.data == "crops of 18 photographs and crops of 115 photographs (gcompris)"
    deciding = [effect for effect in both.effects if effect.predicted]
    assert len(deciding) == 7
    assert sum("time" in effect.metric for effect in deciding) == 1
    assert any(f"{GRAFT}, {NAMES[first]}" in effect.variant for effect in deciding)
    assert "On crops of 115 photographs (gcompris): 200 steps" in both.body[2]


def test_claim_and_page_have_a_place_for_each_other_data_set() -> None:
    commands = MEASUREMENT.commands()
    assert set(CLAIM.optional) <= set(commands)
    assert len(CLAIM.optional) == len(OTHER_DATA)
    page = (DOCS / "graft.md").read_text()
    for record in CLAIM.optional:
        (view,) = MEASUREMENT.views(record, {})
        assert f"<!-- begin: {view.mark} -->" in page, record
