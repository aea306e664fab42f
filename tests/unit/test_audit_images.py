"""The audit's pictures: of any size and mode, the broken ones skipped, listed and counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from wavevit.auditing.cuts import MOST_OVERLAP, smallest_side
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
def test_bad_sources_are_refused(images: object, message: str) -> None:
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


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def places(names: tuple[str, ...]) -> list[tuple[str, int, int]]:
    """File, row and column of windows, read off their names."""
    found = []
    for name in names:
        file, _, place = name.rpartition(" at row ")
        row, column = place.split(", column ")
        found.append((file, int(row), int(column)))
    return found


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_large_pictures_are_cut_into_windows_without_a_common_pixel(
    count: int, tmp_path: Path
) -> None:
    pixels = [noise(130, 200, seed) for seed in range(count)]
    for index in range(count):
        save(tmp_path / f"{index}.png", pixels[index])
    found = load_pictures(tmp_path / "0.png" if count == 1 else tmp_path, 18, 46)
    assert 4 <= len(found.names) <= 18
    assert len(found.names) == {1: 8, 2: 16, 3: 18}[count]
    windows = places(found.names)
    for (
        (file, row, column),
        window,
    ) in zip(windows, found.pixels, strict=True):
        side = found.cut[int(file[0])].side
        assert side >= 46
        assert window.shape == (3, 46, 46)
        whole = pixels[int(file[0])][row : row + side, column : column + side]
        assert float(window.mean()) == pytest.approx(whole.mean() / 255, abs=0.01)
        for other, other_row, other_column in windows:
            if other == file and (row, column) != (other_row, other_column):
                assert max(abs(row - other_row), abs(column - other_column)) >= side
    assert found.facts([32])["enlarged"] == {"32": []}
    (note,) = found.facts([32])["notes"]
    assert f"{len(found.names)} windows were cut from {count} picture" in note
    assert "do not overlap" in note
    again = load_pictures(tmp_path / "0.png" if count == 1 else tmp_path, 18, 46)
    assert all(map(torch.equal, found.pixels, again.pixels))


@pytest.mark.parametrize(
    ("height", "width", "side", "overlap"),
    [
        (92, 92, 46, 0.0),
        (80, 92, 46, 0.27),
        (69, 69, 46, 0.5),
        (50, 400, 46, 0.0),
        (35, 35, 23, 0.5),
    ],
)
def test_windows_of_a_small_picture_overlap_before_they_are_enlarged(
    height: int, width: int, side: int, overlap: float, tmp_path: Path
) -> None:
    save(tmp_path / "p.png", noise(height, width))
    found = load_pictures(tmp_path / "p.png", 18, 46)
    (cut,) = found.cut
    assert cut.side == side or (overlap == 0 and cut.side >= side)
    assert cut.overlap == pytest.approx(overlap, abs=0.03)
    assert cut.overlap <= MOST_OVERLAP + 0.05
    assert len(set(found.names)) == len(found.names) >= 4
    for index, window in enumerate(found.pixels):
        assert not any(torch.equal(window, other) for other in found.pixels[:index])
    assert bool(found.facts([32])["enlarged"]["32"]) == (side < 46)
    assert ("overlap by up to" in found.facts([32])["notes"][0]) == (overlap > 0)


def test_picture_too_small_to_be_cut_is_refused(tmp_path: Path) -> None:
    assert smallest_side(46) == 35
    save(tmp_path / "p.png", noise(34, 34))
    with pytest.raises(ValueError, match="one to 3 of at least 35 x 35 pixels") as caught:
        load_pictures(tmp_path / "p.png", 18, 46)
    assert "got 1 of 1 candidates of 34 x 34 pixels" in str(caught.value)


def test_few_readable_pictures_of_many_files_are_cut(tmp_path: Path) -> None:
    save(tmp_path / "whole.png", noise(130, 200))
    for index in range(6):
        (tmp_path / f"b{index}.png").write_text("broken")
    found = load_pictures(tmp_path, 4, 46)
    assert len(found.names) == 4
    assert found.cut[0].side >= 65, "cut from all pixels, not from the reduced picture"
    assert len(found.skipped) == 6


def test_few_pictures_of_a_tensor_are_cut() -> None:
    found = load_pictures(torch.rand(1, 1, 100, 100), 18, 46)
    assert len(found.names) == 4
    assert found.windows(32).shape == (4, 3, 46, 46)


def test_files_of_one_name_in_two_folders_are_two_pictures(tmp_path: Path) -> None:
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name in ("1.png", "2.png"):
            save(tmp_path / folder / name, noise(50, 50))
            paths.append(tmp_path / folder / name)
    found = load_pictures([*paths, paths[0]], 18, 46)
    assert found.names == tuple(path.as_posix() for path in paths)
    assert not found.cut


@pytest.mark.parametrize("images", [3, [np.zeros((4, 4))], np.zeros((4, 3, 32, 32))])
def test_other_types_are_told(images: object) -> None:
    with pytest.raises(ValueError, match="images: expected a folder, a file, several files, or a"):
        load_pictures(images, 18, 46)


def test_values_scaled_to_a_picture_are_noted(tmp_path: Path) -> None:
    for index in range(4):
        tifffile.imwrite(tmp_path / f"{index}.tif", np.arange(400.0).reshape(20, 20))
    notes = load_pictures(tmp_path, 18, 46).facts([32])["notes"]
    assert len(notes) == 4
    assert notes[0] == "0.tif: float64 values from 0 to 399 scaled to [0, 1]"
