"""Photographs of a user's folder: scenes, near-duplicates, what is left out or refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from wavevit.data import (
    NearDuplicateWarning,
    create_source,
    load_photograph,
    near_duplicates,
    photograph_scenes,
    scan_photographs,
)
from wavevit.data.photographs import NAMES
from wavevit.data.picture_files import luminance, read_picture

SOURCES = ("scenes", "composites", "crops_uint8", "places", "objects", "object_pixels")


def photograph(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Smooth random brightness, as photographs have."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photographs"
    (root / "inner").mkdir(parents=True)
    for index in range(5):
        photograph(index).save(root / ("inner" if index % 2 else ".") / f"p{index}.png")
    return root


def test_scenes_of_a_folder_keep_the_rule_of_two_halves(folder: Path) -> None:
    scenes = {s: photograph_scenes(s, 12, 2, photographs=folder) for s in ("train", "test")}
    assert scenes["train"].classes == ("inner/p1.png", "inner/p3.png", "p0.png", "p2.png", "p4.png")
    for split, own in scenes.items():
        batch = own.draw(20, torch.Generator().manual_seed(0))
        assert torch.bincount(batch.labels).tolist() == [4] * 5
        left, right = batch.corners[:, 1], batch.corners[:, 1] + own.window
        assert bool((right <= 24).all() if split == "train" else (left >= 24).all())
        first = luminance(read_picture(folder / own.classes[batch.labels[0]]).pixels)[0]
        row, column = batch.corners[0].tolist()
        assert torch.equal(batch.images[0, 0], first[row : row + 16, column : column + 16])


@pytest.mark.parametrize("name", SOURCES)
def test_sources_made_of_photographs_take_a_folder(folder: Path, name: str) -> None:
    train, test = (create_source(name, s, 12, 1, photographs=folder) for s in ("train", "test"))
    batch = train.crop(train.sample(4, torch.Generator().manual_seed(0)))
    assert batch["images"].shape == (4, 1, 12, 12)
    assert train.num_classes == test.num_classes
    assert train.report() == {"photographs": 5, "digest": train.fingerprint()}


def copies(picture: Image.Image) -> dict[str, Image.Image]:
    file = io.BytesIO()
    picture.convert("L").save(file, "JPEG", quality=40)
    small = (picture.width // 2, picture.height // 2)
    return {
        "compressed": Image.open(file),
        "small": picture.resize(small),
        "bright": ImageEnhance.Brightness(picture).enhance(1.3),
        "mirrored": picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    }


@pytest.mark.parametrize("kind", ["compressed", "small", "bright", "mirrored"])
def test_copies_are_found_reported_dropped_or_refused(folder: Path, kind: str) -> None:
    copies(photograph(2))[kind].save(folder / "zz.png")
    with pytest.warns(NearDuplicateWarning, match=r"p2\.png and zz\.png"):
        found = scan_photographs(folder)
    assert found.report()["near_duplicates"] == [["p2.png", "zz.png"]]
    assert len(found.names) == 6
    dropped = scan_photographs(folder, "drop")
    assert dropped.dropped == ("zz.png",)
    assert len(dropped.names) == 5
    with pytest.raises(ValueError, match=r"photographs: expected no near-duplicates, got p2\.png"):
        scan_photographs(folder, "refuse")


def test_bundled_photographs_are_all_different() -> None:
    assert near_duplicates([load_photograph(name) for name in NAMES]) == []


def test_flat_pictures_are_like_no_other() -> None:
    assert near_duplicates([torch.zeros(20, 20), torch.full((20, 20), 0.5)]) == []


def test_small_and_unreadable_photographs_are_named(folder: Path) -> None:
    photograph(7, (30, 20)).save(folder / "small.png")
    found = scan_photographs(folder, least_side=40)
    assert found.small == ("small.png",)
    assert len(found.names) == 5
    with pytest.raises(ValueError, match=r"of at most 12 pixels for the photograph 'small\.png'"):
        photograph_scenes("fit", 14, photographs=folder)
    (folder / "bad.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(ValueError, match=r"photographs: .* can be read in .*, got bad\.png \("):
        scan_photographs(folder)


def test_a_folder_that_changed_is_refused(folder: Path) -> None:
    digest = scan_photographs(folder).digest
    photograph(9).save(folder / "new.png")
    with pytest.raises(ValueError, match=f"digest: expected {digest}"):
        photograph_scenes("train", 12, photographs=folder, digest=digest)


def test_options_of_a_folder_need_one() -> None:
    with pytest.raises(ValueError, match="least_side: expected a folder of photographs beside it"):
        create_source("scenes", "train", 12, least_side=4)
