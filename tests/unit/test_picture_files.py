"""Picture files: equal pixels in every mode, bit depth, byte order and orientation."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import tifffile
import torch
from PIL import Image, ImageCms, TiffImagePlugin
from skimage.io import imsave

from wavevit.data import find_pictures, read_picture
from wavevit.data.picture_files import UnreadablePictureError, luminance
from wavevit.pictures import load_image

RAMP = np.tile(np.arange(256, dtype=np.uint16), (16, 1))  # 256 steps
DEEP = RAMP * 257 - (RAMP % 3 == 1)  # of 16 bits; the lower byte is not the upper one
COLOUR = np.stack([DEEP, DEEP[:, ::-1], DEEP // 2], axis=-1)


def png(path: Path, pixels: np.ndarray, kind: int, *chunks: tuple[bytes, bytes]) -> None:
    """A PNG file of 16 bits, which Pillow does not write in colour."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in parts:
        data += struct.pack(">I", len(body)) + name + body
        data += struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(data)


def same(path: Path, expected: np.ndarray, tolerance: float = 0.2 / 65535) -> None:
    """The file's pixels are `expected`: (H, W) or (H, W, 3) in [0, 1]."""
    wanted = expected[..., None].repeat(3, axis=2) if expected.ndim == 2 else expected
    found = read_picture(path)
    assert found.pixels.dtype == torch.float32
    assert found.pixels.is_contiguous()
    np.testing.assert_allclose(found.pixels.numpy().transpose(1, 2, 0), wanted, atol=tolerance)


@pytest.mark.parametrize(
    "name", ["g.png", "g.pgm", "little.tif", "big.tif", "white.tif", "lzw.tif"]
)
def test_grey_of_16_bits_keeps_every_step(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "g.png":
        png(path, DEEP, 0)
    elif name == "g.pgm":
        path.write_bytes(b"P5 256 16 65535\n" + DEEP.astype(">u2").tobytes())
    elif name == "lzw.tif":
        Image.fromarray(DEEP).save(path, compression="tiff_lzw")  # tifffile alone can't read it
    else:
        inverted = name == "white.tif"
        tifffile.imwrite(
            path,
            65535 - DEEP if inverted else DEEP,
            photometric="miniswhite" if inverted else "minisblack",
            byteorder=">" if name == "big.tif" else "<",
        )
    same(path, DEEP / 65535)
    assert len(load_image(path).unique()) == 256


@pytest.mark.parametrize(
    "name", ["c.png", "c.ppm", "little.tif", "big.tif", "planes.tif", "lzw.tif"]
)
def test_colours_of_16_bits_keep_every_step(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "c.png":
        png(path, COLOUR, 2)
        with Image.open(path) as picture:  # why the reader decodes twice
            assert np.asarray(picture).dtype == np.uint8
    elif name == "c.ppm":
        path.write_bytes(b"P6 256 16 65535\n" + COLOUR.astype(">u2").tobytes())
    elif name == "lzw.tif":
        path.write_bytes(lzw_tiff(COLOUR))
    else:
        planes = name == "planes.tif"
        tifffile.imwrite(
            path,
            COLOUR.transpose(2, 0, 1) if planes else COLOUR,
            photometric="rgb",
            planarconfig="separate" if planes else "contig",
            byteorder=">" if name == "big.tif" else "<",
        )
    same(path, COLOUR / 65535)


def lzw_tiff(pixels: np.ndarray) -> bytes:
    """RGB of 16 bits, LZW-compressed with clear codes only: 9 bits a byte."""
    codes = [256]
    for index, byte in enumerate(pixels.astype("<u2").tobytes()):
        codes += [byte] if index % 200 else [byte, 256][::-1][index == 0 :]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    height, width = pixels.shape[:2]
    entries = [(256, 3, [width]), (257, 3, [height]), (258, 3, [16, 16, 16]), (259, 3, [5])]
    entries += [(262, 3, [2]), (273, 4, [8]), (277, 3, [3]), (278, 3, [height])]
    entries += [(279, 4, [len(data)])]
    directory, extra = struct.pack("<H", len(entries)), b""
    after = 8 + len(data) + 2 + 12 * len(entries) + 4
    for tag, kind, values in entries:
        packed = struct.pack("<" + {3: "H", 4: "I"}[kind] * len(values), *values)
        if len(packed) > 4:
            packed, extra = struct.pack("<I", after + len(extra)), extra + packed
        directory += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + b"\0" * 4 + extra


def test_alpha_of_16_bits_shows_a_white_page(tmp_path: Path) -> None:
    alpha = DEEP[::-1, ::-1]
    share = (alpha / 65535)[..., None]
    expected = COLOUR / 65535 * share + 1 - share
    png(tmp_path / "c.png", np.dstack([COLOUR, alpha]), 6)
    same(tmp_path / "c.png", expected)
    png(tmp_path / "g.png", np.dstack([DEEP, alpha]), 4)
    same(tmp_path / "g.png", DEEP / 65535 * share[..., 0] + 1 - share[..., 0])
    stored = np.dstack([COLOUR, alpha])
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["unassalpha"])
    same(tmp_path / "a.tif", expected)
    stored = np.dstack([(COLOUR / 65535 * share * 65535).round().astype(np.uint16), alpha])
    tifffile.imwrite(tmp_path / "p.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    same(tmp_path / "p.tif", expected, tolerance=1 / 65535)
    tifffile.imwrite(tmp_path / "x.tif", stored, photometric="rgb", extrasamples=["unspecified"])
    same(tmp_path / "x.tif", stored[..., :3] / 65535)


def test_a_transparent_value_of_16_bits_is_white(tmp_path: Path) -> None:
    value = int(DEEP[0, 7])
    png(tmp_path / "g.png", DEEP, 0, (b"tRNS", struct.pack(">H", value)))
    same(tmp_path / "g.png", np.where(value == DEEP, 1, DEEP / 65535))
    chosen = COLOUR[0, 7]
    png(tmp_path / "c.png", COLOUR, 2, (b"tRNS", struct.pack(">HHH", *map(int, chosen))))
    clear = (chosen == COLOUR).all(axis=-1, keepdims=True)
    same(tmp_path / "c.png", np.where(clear, 1, COLOUR / 65535))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_from_0_to_1_are_as_they_are(dtype: str, tmp_path: Path) -> None:
    values = (COLOUR / 65535).astype(dtype)
    tifffile.imwrite(tmp_path / "c.tif", values, photometric="rgb")
    same(tmp_path / "c.tif", values)
    tifffile.imwrite(tmp_path / "g.tif", values[..., 0] / 2)
    same(tmp_path / "g.tif", values[..., 0] / 2)
    assert read_picture(tmp_path / "c.tif").note == ""
    if dtype == "float32":  # Pillow's own mode F, in a file that is no TIFF
        rows = values[::-1, :, 0].astype("<f4")
        (tmp_path / "g.pfm").write_bytes(b"Pf 256 16 -1.0\n" + rows.tobytes())
        same(tmp_path / "g.pfm", values[..., 0])


@pytest.mark.parametrize(
    ("dtype", "scale", "offset"),
    [
        ("int8", 1, -128),
        ("int16", 7, -1000),
        ("uint32", 100_000, 5),
        ("int32", 1, 0),
        ("float32", 3.5, -2),
        ("float64", 1e-3, -0.1),
    ],
)
def test_values_without_a_white_are_scaled_to_the_picture(
    dtype: str, scale: float, offset: float, tmp_path: Path
) -> None:
    values = (RAMP.astype(np.float64) * scale + offset).astype(dtype)
    tifffile.imwrite(tmp_path / "g.tif", values)
    same(tmp_path / "g.tif", RAMP / 255, tolerance=1e-6)
    note = read_picture(tmp_path / "g.tif").note
    assert note.startswith(f"{dtype} values from {values.min():g} to {values.max():g} scaled")
    tifffile.imwrite(tmp_path / "flat.tif", np.full((4, 4), 7, dtype))
    same(tmp_path / "flat.tif", np.zeros((4, 4)))


def test_bits_that_a_file_declares_make_white(tmp_path: Path) -> None:
    ten = RAMP * 4
    (tmp_path / "g.pgm").write_bytes(b"P5 256 16 1020\n" + ten.astype(">u2").tobytes())
    same(tmp_path / "g.pgm", RAMP / 255, tolerance=1e-5)
    colour = np.stack([ten, ten[:, ::-1], ten], axis=-1)
    (tmp_path / "c.ppm").write_bytes(b"P6 256 16 1020\n" + colour.astype(">u2").tobytes())
    same(tmp_path / "c.ppm", colour / 1020)
    black = (RAMP > 100).astype(np.uint8)
    Image.fromarray(black * 255).convert("1").save(tmp_path / "b.png")
    Image.fromarray(black * 255).convert("1").save(tmp_path / "b.tif", compression="group4")
    same(tmp_path / "b.png", black)
    same(tmp_path / "b.tif", black)


def of_mode(mode: str) -> tuple[Image.Image, np.ndarray, str]:
    """A picture of a mode, the colours that it shows, and a suffix of a format that has it."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (12, 20, 3), dtype=np.uint8)
    grey, alpha = rgb[..., 0], rng.integers(0, 256, (12, 20), dtype=np.uint8)
    share = alpha[..., None] / 255
    colour = Image.fromarray(rgb)
    match mode:
        case "L":
            return Image.fromarray(grey), grey / 255, "png"
        case "LA":
            page = grey / 255 * share[..., 0] + 1 - share[..., 0]
            return Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]), page, "png"
        case "RGBA":
            page = rgb / 255 * share + 1 - share
            return Image.fromarray(np.dstack([rgb, alpha])), page, "webp"
        case "P":
            palette = colour.quantize(32)
            return palette, np.asarray(palette.convert("RGB")) / 255, "png"
        case "P with alpha":
            palette = colour.quantize(32)
            clear = np.asarray(palette) == 3
            page = np.where(clear[..., None], 1, np.asarray(palette.convert("RGB")) / 255)
            palette.info["transparency"] = 3
            return palette, page, "gif"
        case "L with a transparent value":
            picture = Image.fromarray(grey)
            picture.info["transparency"] = int(grey[0, 0])
            return picture, np.where(grey == grey[0, 0], 1, grey / 255), "png"
        case "CMYK":
            inks = Image.merge("CMYK", [*colour.split(), Image.fromarray(alpha)])
            return inks, (1 - rgb / 255) * (1 - share), "tif"
        case "YCbCr":
            return colour.convert("YCbCr"), rgb / 255, "tif"
        case "LAB":
            rgb = 60 + rgb // 2  # far from what 8 bits of LAB round worst
            lab = ImageCms.profileToProfile(
                Image.fromarray(rgb),
                ImageCms.createProfile("sRGB"),
                ImageCms.createProfile("LAB"),
                outputMode="LAB",
            )
            return lab, rgb / 255, "tif"
    return colour, rgb / 255, "png"


MODES = ["L", "LA", "RGB", "RGBA", "P", "P with alpha", "L with a transparent value"]


OLD_PILLOW = pytest.mark.skipif(
    int(PIL.__version__.partition(".")[0]) < 13, reason="it does not read the YCbCr that it writes"
)


@pytest.mark.parametrize("mode", [*MODES, "CMYK", pytest.param("YCbCr", marks=OLD_PILLOW), "LAB"])
def test_every_mode_shows_its_colours(mode: str, tmp_path: Path) -> None:
    picture, expected, suffix = of_mode(mode)
    path = tmp_path / f"p.{suffix}"
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    if "transparency" in picture.info:
        options["transparency"] = picture.info["transparency"]
    picture.save(path, **options)
    # Steps of 8 bits; conversions between colour spaces are off by some of them.
    steps = {"CMYK": 1.1, "YCbCr": 3.5, "LAB": 8}.get(mode, 0.1)
    same(path, expected, tolerance=steps / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif", "deep.tif", "deep.png"])
def test_pictures_are_upright(orientation: int, kind: str, tmp_path: Path) -> None:
    """A cross with four different ends, stored turned as a camera stores it."""
    upright = np.full((48, 64), 100, dtype=np.uint8)
    upright[:16], upright[32:, :20], upright[20:28, 50:] = 250, 20, 180
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    path = tmp_path / f"p.{kind}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "deep.tif":
        tags = [(274, "H", 1, orientation, False)]
        tifffile.imwrite(path, stored.astype(np.uint16) * 257, extratags=tags)
    elif kind == "deep.png":
        body = exif.tobytes().removeprefix(b"Exif\0\0")
        png(path, np.dstack([stored.astype(np.uint16) * 257] * 3), 2, (b"eXIf", body))
    elif kind == "tif":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[274] = orientation
        Image.fromarray(np.ascontiguousarray(stored)).save(path, tiffinfo=tags)
    else:
        options = {"jpg": {"quality": 100}, "webp": {"lossless": True}}.get(kind, {})
        Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, **options)
    same(path, upright / 255, tolerance=0.02 if kind == "jpg" else 1e-5)


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_the_first_of_several_frames_is_read(suffix: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), (255, value, 0)) for value in (0, 255, 0)]
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"p.{suffix}", save_all=True, append_images=frames[1:], **options)
    same(tmp_path / f"p.{suffix}", np.broadcast_to([1.0, 0, 0], (20, 20, 3)), tolerance=1e-6)


def test_gamma_and_profiles_are_ignored(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    Image.fromarray(RAMP.astype(np.uint8)).save(tmp_path / "p.png", icc_profile=profile)
    same(tmp_path / "p.png", RAMP / 255)
    png(tmp_path / "g.png", DEEP, 0, (b"gAMA", struct.pack(">I", 100_000)))
    same(tmp_path / "g.png", DEEP / 65535)


@pytest.mark.parametrize(
    "name",
    ["odd", "UPPER.PNG", "wrong.jpg", "with space.png", "Größe 图片 🖼.png", "link.png"],
)
def test_content_decides_and_not_the_name(name: str, tmp_path: Path) -> None:
    imsave(tmp_path / "real.png", RAMP.astype(np.uint8), check_contrast=False)
    if name == "link.png":
        (tmp_path / name).symlink_to(tmp_path / "real.png")
    else:
        (tmp_path / "real.png").rename(tmp_path / name)
    same(tmp_path / name, RAMP / 255)


def damaged(name: str, folder: Path) -> Path:
    """A file of that kind of damage."""
    path = folder / name
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    match name:
        case "folder.png":
            path.mkdir()
        case "empty.png":
            path.touch()
        case "text.png":
            path.write_text("not a picture")
        case "loop.png":
            path.symlink_to(path)
        case "nan.tif":
            tifffile.imwrite(path, np.array([[0.5, np.nan], [np.inf, 1]], dtype=np.float32))
        case "bands.tif":
            bands = rng.integers(0, 65535, (5, 16, 16), dtype=np.uint16)
            tags = {"photometric": "minisblack", "planarconfig": "contig"}
            tifffile.imwrite(path, bands.transpose(1, 2, 0), **tags)
        case "complex.tif":
            tifffile.imwrite(path, np.ones((8, 8), dtype=np.complex64))
        case "bomb.png":
            png(path, np.zeros((1, 1), np.uint16), 0)
            whole = bytearray(path.read_bytes())
            whole[16:24] = struct.pack(">II", 20_000, 20_000)
            whole[29:33] = struct.pack(">I", zlib.crc32(bytes(whole[12:29])))
            path.write_bytes(bytes(whole))
        case "bomb.tif":
            tifffile.imwrite(path, np.ones((4, 4), dtype=np.float16))
            with tifffile.TiffFile(path, mode="r+b") as file:
                for tag in ("ImageWidth", "ImageLength"):
                    file.pages[0].tags[tag].overwrite(20_000)
        case "cut.tif" | "cut.deep.tif":
            deep = name == "cut.deep.tif"
            tifffile.imwrite(path, noise.astype(np.uint16) if deep else noise, photometric="rgb")
        case _ if name.startswith("cut."):
            Image.fromarray(noise).save(path)
    if name.startswith("cut."):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    return path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.png", "FileNotFoundError"),
        ("folder.png", "a folder"),
        ("empty.png", "an empty file"),
        ("text.png", "UnidentifiedImageError"),
        ("loop.png", "symbolic link"),
        ("nan.tif", "2 of 4 values are NaN or infinite"),
        ("bands.tif", "5 channels"),
        ("complex.tif", "complex64"),
        ("bomb.png", "DecompressionBombError"),
        ("bomb.tif", "DecompressionBombError"),
        ("cut.png", ""),
        ("cut.jpg", ""),
        ("cut.webp", ""),
        ("cut.tif", ""),
        ("cut.deep.tif", ""),
        ("cut.ppm", ""),
    ],
)
def test_unreadable_pictures_are_refused_with_a_reason(
    name: str, reason: str, tmp_path: Path
) -> None:
    path = damaged(name, tmp_path)
    with pytest.raises(UnreadablePictureError, match="path: expected a picture") as caught:
        read_picture(path)
    assert reason in caught.value.reason
    with pytest.raises(ValueError, match="image: expected"):
        load_image(path)


def test_a_file_comes_before_a_bundled_photograph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coins").mkdir()
    assert load_image("coins").shape[-1] > 300, "a folder of that name is no picture"
    (tmp_path / "coins").rmdir()
    Image.new("L", (20, 20), 128).save(tmp_path / "coins", format="PNG")
    assert load_image("coins").shape == (1, 1, 20, 20)


def test_luminance_is_that_of_bt709() -> None:
    colours = torch.eye(3)[..., None, None].expand(3, 3, 2, 2)
    found = luminance(colours)
    assert found.shape == (3, 1, 2, 2)
    assert found[:, 0, 0, 0].tolist() == pytest.approx([0.2125, 0.7154, 0.0721])


def test_a_folder_is_searched_to_its_depth(tmp_path: Path) -> None:
    folder, beside = tmp_path / "all", tmp_path / "beside"
    for where in (folder / "a" / "b", folder / "dir.png", beside):
        where.mkdir(parents=True)
    for name in ("a/b/1.PNG", "a/2.jpeg", "3.tiff", "dir.png/4.webp", "notes.txt", "page.pdf"):
        (folder / name).touch()
    (beside / "5.png").touch()
    (folder / "linked").symlink_to(beside)
    (folder / "a" / "up").symlink_to(folder)
    (folder / "lost.png").symlink_to(tmp_path / "nowhere")
    found = [path.relative_to(folder).as_posix() for path in find_pictures(folder)]
    expected = ["3.tiff", "a/2.jpeg", "a/b/1.PNG", "dir.png/4.webp", "linked/5.png", "lost.png"]
    assert found == expected
    with pytest.raises(ValueError, match="folder: expected a folder of pictures"):
        find_pictures(folder / "3.tiff")
