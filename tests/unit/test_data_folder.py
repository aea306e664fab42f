"""Folders of classes: layouts, splits, kinds of pictures, a folder that changed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wavevit.data import FolderPictures, create_source

CPU = torch.device("cpu")


def write(path: Path, seed: int, size: tuple[int, int] = (14, 12)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def folder(path: Path, split: str, **options: object) -> FolderPictures:
    found = create_source("folder", split, 8, path=path, **options)
    assert isinstance(found, FolderPictures)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for index in range(30):
        write(tmp_path / "data" / ("cat" if index % 3 else "dog") / f"{index:02}.png", index)
    return tmp_path / "data"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf_8_are_read(root: Path) -> None:
    for index in range(10):
        file = root / "cat" / os.fsdecode(b"caf\xe9%d.png" % index)
        write(root / "cat" / "new.png", index)
        (root / "cat" / "new.png").rename(file)
    source = folder(root, "train")
    assert len(source) == 32
    assert source.sample(32, torch.Generator().manual_seed(0))["images"].isfinite().all()
    assert not source.unreadable
    digest = source.fingerprint()
    file.unlink()
    with pytest.raises(ValueError, match="digest: expected"):
        folder(root, "train", digest=digest)


def test_one_root_is_divided_by_file_each_class_in_equal_shares(root: Path) -> None:
    parts = {s: folder(root, s) for s in ("train", "test", "fit", "validation")}
    names = {split: set(source.names) for split, source in parts.items()}
    assert names["train"] | names["test"] == {
        f.relative_to(root).as_posix() for f in root.rglob("*.png")
    }
    assert not names["train"] & names["test"]
    assert names["fit"] | names["validation"] == names["train"]
    assert not names["fit"] & names["validation"]
    assert torch.bincount(parts["test"].labels).tolist() == [4, 2]
    assert parts["train"].classes == ("cat", "dog")
    assert all(
        name.startswith(source.classes[label])
        for source in parts.values()
        for name, label in zip(source.names, source.labels.tolist(), strict=True)
    )
    other = folder(root, "test", seed=1)
    assert set(other.names) != names["test"]
    assert len(folder(root, "train", share=0.5)) == 12
    batch = parts["test"].sample(6, torch.Generator().manual_seed(0))
    assert batch["images"].shape == (6, 1, 8, 8)
    assert float(batch["images"].mean(dim=(1, 2, 3)).abs().max()) < 1e-5


def test_folders_of_splits_are_the_splits(tmp_path: Path) -> None:
    for split, count in (("train", 8), ("val", 4), ("test", 2)):
        for index in range(count):
            write(tmp_path / "all" / split / ("a" if index % 2 else "b") / f"{index}.png", index)
    sizes = {s: len(folder(tmp_path / "all", s)) for s in ("train", "fit", "validation", "test")}
    assert sizes == {"train": 8, "fit": 8, "validation": 4, "test": 2}
    (tmp_path / "all" / "test").rename(tmp_path / "apart")
    sizes = {s: len(folder(tmp_path / "all", s)) for s in ("train", "fit", "validation", "test")}
    assert sizes == {"train": 8, "fit": 6, "validation": 2, "test": 4}
    (tmp_path / "all" / "val" / "c").mkdir()
    with pytest.raises(ValueError, match=r"classes of the training folder .* also \['c'\]"):
        folder(tmp_path / "all", "test")


def test_pictures_of_every_kind_are_read_or_named(root: Path) -> None:
    """Grey, palette, 16 bits, CMYK and turned by EXIF show the same; a truncated one is named."""
    grey = np.tile(np.linspace(0, 255, 16).round().astype(np.uint8), (12, 1))
    kinds = root.parent / "kinds" / "one"
    kinds.mkdir(parents=True)
    picture = Image.fromarray(grey)
    picture.save(kinds / "grey.png")
    picture.convert("P").save(kinds / "palette.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(kinds / "sixteen.png")
    picture.convert("CMYK").save(kinds / "cmyk.tif")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    picture.rotate(90, expand=True).save(kinds / "turned.png", exif=exif)
    (kinds / "truncated.jpg").write_bytes(b"")
    picture.save(kinds / "truncated.jpg")
    (kinds / "truncated.jpg").write_bytes((kinds / "truncated.jpg").read_bytes()[:-200])
    source = folder(kinds.parent, "train", mean=0.0, std=1.0, least_side=1)
    source.names = sorted(f.relative_to(kinds.parent).as_posix() for f in kinds.iterdir())
    source.labels = torch.zeros(6, dtype=torch.long)
    batch = source.epoch_batch(6, 0, 0)
    assert source.report()["unreadable"] == 1
    assert "one/truncated.jpg" in source.report()["unreadable_names"]
    # The same scale of grey in every one: steps of 17 levels from left to right.
    steps = batch["images"].diff(dim=-1) * 255
    assert float((steps - 17).abs().max()) < 0.02
    assert float(batch["images"].diff(dim=-2).abs().max()) < 1e-6


def test_a_folder_that_changed_is_refused(root: Path) -> None:
    digest = folder(root, "train").fingerprint()
    folder(root, "train", digest=digest)
    write(root / "cat" / "new.png", 99)
    with pytest.raises(ValueError, match=f"digest: expected {digest}, that of the files when"):
        folder(root, "train", digest=digest)


def test_complaints_name_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="path: expected a folder with a folder of pictures for"):
        folder(tmp_path / "none", "train")
    with pytest.raises(ValueError, match="path: expected a folder for each class, got none in"):
        folder(tmp_path, "train")
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="path: expected pictures of the class 'a', got none in"):
        folder(tmp_path, "train")
