"""The command line: pictures that are right, tables, complaints without a traceback."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from skimage.io import imread, imsave

import wavevit
from tests import warm_python
from wavevit.auditing import Samples
from wavevit.auditing.loading import load_factory
from wavevit.checks import check_device
from wavevit.cli import main
from wavevit.files import shown_name
from wavevit.pictures import draw_pyramid, load_image, pyramid_mosaic
from wavevit.wavelets import Pyramid, wavedec2


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


LATIN_1 = os.fsdecode(b"caf\xe9.png")  # bytes of a name that are not UTF-8, as of an old archive


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf_8_are_drawn_and_written(
    tmp_path: Path,
) -> None:
    """An audit would end after all measurements, where it writes its files."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    generator = np.random.default_rng(0)
    for name in (LATIN_1, "a.png", "b.png", "c.png"):
        imsave(pictures / "new.png", generator.integers(0, 256, (80, 80, 3), dtype=np.uint8))
        (pictures / "new.png").rename(pictures / name)
    (pictures / os.fsdecode(b"brok\xe9n.png")).write_bytes(b"")
    main(["transform", str(pictures / LATIN_1), "--level", "1", "--out", str(tmp_path / "t.png")])
    command = f"audit test_vit --size 32 --quick --images {pictures} --out {tmp_path}"
    main([*command.split(), "--samples.pictures", "4"])
    assert "1 picture skipped" in (tmp_path / "audit.html").read_text()
    images = json.loads((tmp_path / "audit.json").read_text())["images"]
    assert set(images["used"]) == {LATIN_1, "a.png", "b.png", "c.png"}
    assert [item["name"] for item in images["skipped"]] == [os.fsdecode(b"brok\xe9n.png")]
    assert shown_name(LATIN_1) == r"caf\xe9.png"
    assert shown_name("été.png") == "été.png"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_file_in_a_folder_whose_name_is_not_utf_8_builds_a_model(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "mine.py").write_text("import torch\n\ndef build(): return torch.nn.ReLU()\n")
    built, _ = load_factory(folder / "mine.py", "build")
    assert isinstance(built, torch.nn.ReLU)


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "command: expected one of audit, transform, models, got none"),
        ("bench", "command: expected one of audit, transform, models, got bench"),
        ("audit", "MODEL: expected a name of `wavevit models`, timm:NAME, "),
        ("transform", "IMAGE: expected a picture file"),
        ("transform coins --level a", "level: expected an integer, got 'a'"),
        ("audit test_vit --size a", "size: expected an integer, got 'a'"),
        ("audit test_vit --mean a", "mean: expected a number or several, got 'a'"),
        ("audit test_vit --samples.pictures a", "samples.pictures: expected an integer, got 'a'"),
        (
            "models --nope 3",
            "option: expected one that `wavevit models --help` lists, got",
        ),
        (
            "audit test_vit --sampels.pictures 5",
            "option: expected one that `wavevit audit --help` lists (nearest: --samples.pictures, ",
        ),
        # An empty variable of a script behind the option: no limit would be checked.
        ("audit test_vit --fail-under", "fail-under: expected at least one value, got none"),
        ("audit test_vit --fail_over --quick", "fail-over: expected at least one value, got none"),
        ("models --module", "module: expected at least one value, got none"),
    ],
)
def test_wrong_options_are_answered_in_one_line(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = complaint(shlex.split(arguments), capsys).splitlines()
    assert line.startswith(f"wavevit: {message}")


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
    assert "S-Cons: crop shifts" in said.out
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--fail-under s_con=80", "fail-under: expected one of 'c_cons', 's_cons'"),
        ("--fail-under s_cons=nan", "fail-under: expected a finite number after s_cons="),
        ("--fail-over r_crop=inf", "fail-over: expected a finite number after r_crop="),
        ("--images no/such", "images: expected a folder of pictures"),
        ("--device gpu", "device: expected a device of this machine, such as cpu, got 'gpu'"),
        ("--device cuda:99", "device: expected a device of this machine"),
        ("--device meta", "device: expected a device of this machine"),
        ("--seed -1", "seed: expected an integer of at least 0"),
        ("--seed 99999999999999999999", "seed: expected an integer below"),
        ("--size 0", "size: expected"),
        ("--samples.pictures 1", "samples.pictures: expected an integer of at least 4, got 1"),
        ("--samples.jump-steps 0", "samples.jump-steps: expected an integer of at least 1"),
        ("--out FILE", "out: expected a folder, got"),
        ("--out FILE/below", "out: expected a folder, got"),
        ("--out /proc/1/none", "out: expected a folder in which files can be written, got /proc"),
        ("--out TAKEN", "out: expected a folder without a folder audit.html"),
    ],
)
def test_audit_complains_before_it_measures(
    arguments: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "audit.html").mkdir(parents=True)
    places = {"FILE": tmp_path / "file", "TAKEN": tmp_path / "taken"}
    for name, place in places.items():
        arguments = arguments.replace(name, str(place))
    module = sys.modules["wavevit.auditing.audit"]  # its name in the package is the function's
    monkeypatch.setattr(module, "run_section", lambda *_: pytest.fail("measured"))
    words = complaint(["audit", "test_vit", *shlex.split(arguments)], capsys)
    assert words.startswith(f"wavevit: {message}")
    assert len(list(tmp_path.iterdir())) == 2, "nothing is left behind"


def test_audit_of_an_unknown_model(capsys: pytest.CaptureFixture[str]) -> None:
    words = complaint(["audit", "test_vot"], capsys)
    assert words.startswith("wavevit: model: expected a name of `wavevit models`, timm:NAME, ")
    assert "nearest: test_vit" in words
    assert words.rstrip().endswith("got 'test_vot' (a model of timm is timm:test_vot)")


def test_a_device_is_checked_in_python_too() -> None:
    with pytest.raises(ValueError, match="device: expected a device of this machine"):
        wavevit.audit("test_vit", device="gpu")
    assert check_device("device", "cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--out missing/p.png", "out: expected a file in an existing folder, got missing/p.png"),
        ("--out file/p.png", "out: expected a file in an existing folder, got file/p.png"),
        ("--out taken.png", "out: expected a file, got the folder taken.png"),
        ("--out /proc/p.png", "out: expected a folder in which files can be written, got /proc"),
        ("--out p.gif", "out: expected one of '.png'"),
        ("--level -1", "level: expected an integer of at least 0"),
        ("--wavelet dtcwt --level 0", "level: expected an integer of at least 1"),
        ("--mode nope", "mode: expected one of 'periodization'"),
        ("--wavelet dtcwt --mode zero", "mode: expected one of 'symmetric', 'periodic'"),
        ("--wavelet ../x", "wavelet: expected"),
    ],
)
def test_transform_complains_before_it_reads(
    arguments: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "taken.png").mkdir()
    monkeypatch.setattr("wavevit.pictures.open_image", lambda _: pytest.fail("read"))
    words = complaint(["transform", "coins", *shlex.split(arguments)], capsys)
    assert words.startswith(f"wavevit: {message}")


def test_transform_keeps_every_step_of_16_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file name with dollars is no formula, and the picture without levels is the file's."""
    monkeypatch.chdir(tmp_path)
    ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (256, 1))
    imsave("a $x_{$ ramp.png", ramp, check_contrast=False)
    main(["transform", "a $x_{$ ramp.png", "--level", "0"])
    pixels = imread("a $x_{$ ramp-haar.png")[200:1000, :, 0]
    assert len(np.unique(pixels)) > 200, "two values came out where 16 bits were clipped"
    assert not list(tmp_path.glob(".*")), "nothing but the picture is left"


def test_transform_tells_how_values_were_scaled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(tmp_path / "p.tif", np.arange(-200.0, 200).reshape(20, 20))
    main(["transform", str(tmp_path / "p.tif"), "--level", "1", "--out", str(tmp_path / "p.png")])
    said = capsys.readouterr().err
    assert said == f"{tmp_path / 'p.tif'}: float64 values from -200 to 199 scaled to [0, 1]\n"


def test_a_large_picture_is_drawn_without_aliasing() -> None:
    """A band with more pixels than the figure is low-passed, not thinned out."""
    place = torch.arange(1300)
    image = ((place[:, None] + place) % 2).double()[None, None]
    spreads = {}
    for how in ("as drawn", "nearest"):
        figure = draw_pyramid(Pyramid(image, ()), "board")
        if how == "nearest":  # negative control
            figure.axes[0].images[0].set_interpolation(how)
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=75, format="png")
        drawn.seek(0)
        spreads[how] = float(imread(drawn)[200:400, 200:400, 0].std()) / 255
    assert spreads["as drawn"] < 0.05
    assert spreads["nearest"] > 0.3


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ValueError("a: expected b, got c"), 2, "wavevit: a: expected b, got c"),
        (ImportError("this needs timm"), 2, "wavevit: this needs timm"),
        (RuntimeError("inside"), 70, "wavevit: internal error"),
        (AssertionError("inside"), 70, "wavevit: internal error"),
        (OSError(28, "No space left on device"), 74, "wavevit: [Errno 28] No space left"),
        (KeyboardInterrupt(), 130, "wavevit: interrupted"),
    ],
)
def test_each_kind_of_end_has_its_status(
    error: BaseException,
    status: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Status 1 is a broken bound's alone."""

    def fails(_: object) -> int:
        raise error

    monkeypatch.setattr("wavevit.cli.Models.run", fails)
    with pytest.raises(SystemExit) as caught:
        main(["models"])
    assert caught.value.code == status
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith(message)
    assert (lines[0].startswith("Traceback")) == (status == 70)


def test_one_picture_is_audited_by_its_windows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 150, 3), dtype=np.uint8)
    imsave(tmp_path / "one.png", pixels, check_contrast=False)
    main([*AUDIT, "--images", str(tmp_path / "one.png"), "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert "4 windows were cut from 1 picture" in said
    assert "4 windows were cut from 1 picture" in (tmp_path / "audit.html").read_text()
    record = json.loads((tmp_path / "audit.json").read_text())
    assert len(record["images"]["used"]) == 4
    sections = record["models"][0]["sections"]
    assert {section["status"] for section in sections.values()} == {"measured"}


def test_the_package_answers_as_a_command() -> None:
    done = warm_python.run([sys.executable, "-m", "wavevit", "--help"], check=True)
    assert "transform" in done.stdout
    assert "models" in done.stdout


def test_closed_output_pipe_ends_the_command_quietly() -> None:
    """As in ``wavevit --help | head -1``: no traceback, and not the status of a broken bound."""
    command = [Path(sys.executable).with_name("wavevit"), "--help"]  # as installed
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.communicate()[1] == b""
    assert process.returncode == 141
