"""The audit's pictures: of any size and mode, the broken ones skipped, listed and counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wavevit.auditing.images import load_pictures, window_side
from wavevit.data.photographs import load_photograph


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> None:
    Image.fromarray(pixels, mode).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of mixed sizes: colour, grey, alpha, 16 bits, palette; three that are none."""
    rng = np.random.default_rng(0)
    save(tmp_path / "colour.png", rng.integers(0, 256, (60, 90, 3), dtype=np.uint8))
    save(tmp_path / "grey.png", rng.integers(0, 256, (70, 40), dtype=np.uint8))
    clear = np.zeros((50, 50, 4), dtype=np.uint8)
    save(tmp_path / "alpha.png", clear)
    save(tmp_path / "deep.png", np.full((48, 48), 32768, dtype=np.uint16))
    (tmp_path / "below").mkdir()
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).quantize(16).save(
        tmp_path / "below" / "palette.gif"
    )
    (tmp_path / "broken.jpg").write_text("not a picture")
    whole = (tmp_path / "colour.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    save(tmp_path / "icon.png", np.zeros((8, 8, 3), dtype=np.uint8))
    (tmp_path / "notes.txt").write_text("of no interest")
    return tmp_path


def test_every_kind_of_picture_and_none_of_the_others(folder: Path) -> None:
    found = load_pictures(folder, 18, 46)
    names = ("alpha.png", "below/palette.gif", "colour.png", "deep.png", "grey.png")
    assert found.names == names
    pictures = dict(zip(found.names, found.pixels, strict=True))
    assert all(p.dtype == torch.float32 and p.shape[0] == 3 for p in found.pixels)
    assert pictures["colour.png"].shape == (3, 46, 69)
    assert pictures["grey.png"].shape == (3, 70, 40)
    assert bool((pictures["alpha.png"] > 0.9999).all()), "what is transparent is white"
    assert float(pictures["deep.png"].mean()) == pytest.approx(32768 / 65535)
    skipped = dict(found.skipped)
    assert set(skipped) == {"broken.jpg", "cut.png", "icon.png"}
    assert "smaller than 16" in skipped["icon.png"]
    assert found.facts([32])["skipped"][0]["name"] == "broken.jpg"
    assert found.facts([32])["enlarged"] == {"32": ["grey.png"]}


def test_windows_of_one_size(folder: Path) -> None:
    found = load_pictures(folder, 18, 46)
    colour, grey = found.windows(32), found.windows(32, channels=1)
    assert colour.shape == (5, 3, 46, 46)
    assert grey.shape == (5, 1, 46, 46)
    assert 0 <= float(colour.min()) <= float(colour.max()) <= 1
    luminance = colour[2] * torch.tensor([0.2125, 0.7154, 0.0721])[:, None, None]
    torch.testing.assert_close(grey[2, 0], luminance.sum(dim=0))


@pytest.mark.parametrize("size", [8, 32, 64, 224, 384])
def test_a_window_holds_what_the_sections_ask_for(size: int) -> None:
    side = window_side(size)
    assert side >= size + 2 * (size // 7)
    assert side >= round(size / 0.71)


def test_a_large_folder_is_thinned_evenly(tmp_path: Path) -> None:
    for index in range(20):
        save(tmp_path / f"{index:02d}.png", np.full((20, 20), index, dtype=np.uint8))
    (tmp_path / "05.png").write_text("broken")
    found = load_pictures(tmp_path, 4, 46)
    # 0, 5, 10, 15 are asked for; what replaces the broken one is the first of the rest.
    assert found.names == ("00.png", "01.png", "10.png", "15.png")
    assert [name for name, _ in found.skipped] == ["05.png"]
    assert found.left_out == 15


@pytest.mark.parametrize(("good", "bad"), [(0, 3), (3, 1), (0, 0)])
def test_too_few_pictures_are_an_error_that_counts(good: int, bad: int, tmp_path: Path) -> None:
    for index in range(good):
        save(tmp_path / f"g{index}.png", np.zeros((20, 20), dtype=np.uint8))
    for index in range(bad):
        (tmp_path / f"b{index}.png").write_text("broken")
    message = f"at least 4 readable pictures in .*, got {good} of {good + bad}"
    with pytest.raises(ValueError, match=message) as caught:
        load_pictures(tmp_path, 18, 46)
    assert (f"{bad} skipped: b0.png: UnidentifiedImageError" in str(caught.value)) == (bad > 0)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("no/such/folder", "images: expected a folder of pictures"),
        (torch.zeros(4, 2, 32, 32), "1 or 3, H, W"),
        (torch.zeros(4, 3, 32, 32, dtype=torch.uint8), "floating tensor"),
        (torch.full((4, 3, 32, 32), 2.0), r"values in \[0, 1\]"),
        (torch.zeros(3, 3, 32, 32), "at least 4 pictures"),
    ],
)
def test_what_is_no_source_is_told(images: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_pictures(images, 18, 46)


def test_a_tensor_is_its_pictures() -> None:
    x = torch.rand(6, 1, 46, 46)
    found = load_pictures(x, 5, 46)
    assert found.left_out == 1
    torch.testing.assert_close(found.windows(32), x[:5].expand(-1, 3, -1, -1))


def test_the_bundled_photographs_are_in_colour() -> None:
    found = load_pictures(None, 4, 46)
    assert found.names == ("astronaut", "brick", "camera", "cat")
    astronaut, brick = found.pixels[:2]
    assert not torch.equal(astronaut[0], astronaut[2])
    assert torch.equal(brick[0], brick[2])
    grey = load_photograph("brick", 46)
    torch.testing.assert_close(brick[0], grey)
