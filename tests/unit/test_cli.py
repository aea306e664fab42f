"""The command line: pictures that are right, tables, complaints without a traceback."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.io import imread, imsave

import wavevit
from wavevit.auditing import Samples
from wavevit.cli import main
from wavevit.pictures import load_image, pyramid_mosaic
from wavevit.wavelets import wavedec2


@pytest.mark.parametrize("wavelet", ["haar", "db3", "bior4.4", "dtcwt"])
def test_transform_writes_a_picture(
    wavelet: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.png"
    main(["transform", "coins", "--wavelet", wavelet, "--level", "2", "--out", str(target)])
    assert capsys.readouterr().out.strip() == str(target)
    pixels = imread(target)
    assert min(pixels.shape[:2]) > 300
    assert pixels[..., :3].std() > 20


def test_mosaic_puts_every_band_in_its_place() -> None:
    """A picture of vertical stripes has its energy in cV (changes along a row), and only there."""
    image = torch.zeros(1, 1, 16, 16)
    image[..., ::2] = 1
    canvas, places = pyramid_mosaic(wavedec2(image, level=1))
    assert canvas.shape == (16, 16)
    bands = {name: canvas[y : y + h, x : x + w] for name, y, x, h, w in places}
    assert set(bands) == {"cA1", "cH1", "cV1", "cD1"}
    assert places[2] == ("cV1", 8, 0, 8, 8)
    assert np.all(bands["cV1"] == 1)
    assert np.all(bands["cH1"] == 0.5)
    assert np.all(bands["cD1"] == 0.5)


def test_mosaic_cells_never_overlap_with_long_filters() -> None:
    x = load_image("text")
    canvas, places = pyramid_mosaic(wavedec2(x, "db4", "symmetric", 3))
    seen = np.zeros(canvas.shape, dtype=int)
    for _, top, left, height, width in places:
        seen[top : top + height, left : left + width] += 1
    assert seen.max() == 1
    assert len(places) == 10


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (20, 30, 4)])
def test_pictures_of_every_kind(shape: tuple[int, ...], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    imsave(tmp_path / "p.png", pixels, check_contrast=False)
    image = load_image(str(tmp_path / "p.png"))
    assert image.shape == (1, 1, 20, 30)
    assert 0 <= float(image.min()) < float(image.max()) <= 1


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    imsave(tmp_path / "p.png", np.zeros((4, 4, 4), dtype=np.uint8), check_contrast=False)
    assert bool((load_image(str(tmp_path / "p.png")) > 0.99).all())


def test_models_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["models", "test_*"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["model", "parameters"]
    rows = {line.split()[0]: line for line in lines[1:]}
    assert list(rows) == wavevit.list_models("test_*")
    assert "16 px (circular)" in rows["test_haar_pyramid"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["transform", "no-such-file.png"], "image: expected a file, or a bundled photograph"),
        (["transform", "coins", "--wavelet", "harr"], "wavelet: "),
        (["transform", "coins", "--level", "40"], "level: expected at most"),
        (["transform", "coins", "--out", "a.xyz"], "out: expected one of '.png'"),
        (["models", "resnet*"], "pattern: expected one of"),
    ],
)
def test_complaints_come_without_a_traceback(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert complaint(arguments, capsys).startswith("wavevit: " + message)


def complaint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command with bad input writes to the error stream; it exits with 2."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_a_file_that_is_no_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.png").write_text("not a picture")
    words = complaint(["transform", str(tmp_path / "p.png")], capsys)
    assert "image: expected a picture that Pillow can read" in words


AUDIT = shlex.split("""audit test_vit --size 32 --samples.pictures 4
    --samples.sensitivity-pictures 2 --samples.pairs-per-picture 1
    --samples.worst-pictures 1 --samples.worst-radius 1
    --samples.jacobian-pictures 1 --samples.jacobian-iterations 1 --samples.singular-values 1
    --samples.jump-pictures 1 --samples.jump-steps 2""")


@pytest.mark.parametrize(
    ("bounds", "broken"),
    [
        (["--fail-under", "s_cons=0", "c_cons=0", "--fail-over", "r_crop=1e9"], ""),
        (["--fail-under", "s_cons=0", "c_cons=101"], "c_cons"),
        (["--fail-over", "condition=0"], "condition"),
    ],
)
def test_audit_writes_its_files_and_keeps_the_bounds(
    bounds: list[str], broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*AUDIT, "--out", str(tmp_path / "there"), *bounds]
    if broken:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 1
    else:
        main(arguments)
    said = capsys.readouterr()
    assert "S-Cons: crops" in said.out
    assert [line.split()[1] for line in said.err.splitlines()] == ([broken] if broken else [])
    assert {path.name for path in (tmp_path / "there").iterdir()} == {"audit.html", "audit.json"}


def test_the_command_and_the_function_find_the_same(tmp_path: Path) -> None:
    main([*AUDIT, "--out", str(tmp_path)])
    samples = Samples(
        pictures=4,
        sensitivity_pictures=2,
        pairs_per_picture=1,
        worst_pictures=1,
        worst_radius=1,
        jacobian_pictures=1,
        jacobian_iterations=1,
        singular_values=1,
        jump_pictures=1,
        jump_steps=2,
    )
    report = wavevit.audit("test_vit", size=32, samples=samples)
    found = json.loads((tmp_path / "audit.json").read_text())
    assert found | {"timings": {}} == report.record | {"timings": {}}


def test_a_folder_of_all_sorts_is_audited_and_its_broken_files_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mixed sizes, grey, alpha; one file that is no picture and one that breaks off."""
    folder, rng = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    for name, shape in (("a", (60, 90, 3)), ("b", (70, 40)), ("c", (50, 50, 4)), ("d", (200, 64))):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        imsave(folder / f"{name}.png", pixels, check_contrast=False)
    (folder / "e.jpg").write_text("no picture")
    (folder / "f.png").write_bytes((folder / "a.png").read_bytes()[:500])
    every = [*AUDIT, "--samples.pictures", "6", "--images", str(folder)]
    main([*every, "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert "2 pictures skipped:\n  e.jpg: UnidentifiedImageError" in said
    assert "\n  f.png: " in said
    images = json.loads((tmp_path / "audit.json").read_text())["images"]
    assert images["used"] == ["a.png", "b.png", "c.png", "d.png"]
    assert [item["name"] for item in images["skipped"]] == ["e.jpg", "f.png"]
    assert "<b>2 pictures skipped:</b> e.jpg (" in (tmp_path / "audit.html").read_text()
    for name in "abcd":
        (folder / f"{name}.png").write_text("broken")
    words = complaint(every, capsys)
    assert words.startswith("wavevit: images: expected at least 4 readable pictures in ")
    assert "got 0 of 6 candidates (6 skipped: a.png: UnidentifiedImageError" in words


def test_audit_complains_before_it_measures(capsys: pytest.CaptureFixture[str]) -> None:
    words = complaint(["audit", "test_vit", "--fail-under", "s_con=80"], capsys)
    assert words.startswith("wavevit: fail-under: expected one of 'c_cons', 's_cons'")
    words = complaint(["audit", "test_vot"], capsys)
    assert words.startswith("wavevit: model: expected one of")
    words = complaint(["audit", "test_vit", "--images", "no/such"], capsys)
    assert words.startswith("wavevit: images: expected a folder of pictures")


def test_the_installed_command_answers() -> None:
    command = Path(sys.executable).with_name("wavevit")
    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=True)
    assert "transform" in done.stdout
    assert "models" in done.stdout
