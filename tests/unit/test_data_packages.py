"""Sources of packages (Fashion-MNIST, ELPV) and readers of package files."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.data.gcompris import write_photographs
from experiments.data.qt_resources import read_resources
from wavevit.data import create_source


def write_idx(path: Path, values: np.ndarray, packed: bool) -> None:
    head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    data = head + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if packed else data)


@pytest.fixture
def clothes(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    for prefix, count, packed in (("train", 200, True), ("t10k", 20, False)):
        ending = ".gz" if packed else ""
        pictures = draw.integers(0, 256, (count, 28, 28))
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte{ending}", pictures, packed)
        labels = np.arange(count) % 10
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte{ending}", labels, packed)
    return tmp_path


def test_fashion_mnist_splits_shares_and_black_margins(clothes: Path) -> None:
    sizes = {
        (split, share): len(create_source("fashion_mnist", split, 32, path=clothes, share=share))
        for split, share in (("train", 1.0), ("train", 0.1), ("fit", 1.0), ("validation", 0.1))
    }
    assert list(sizes.values()) == [200, 20, 150, 50]
    test = create_source("fashion_mnist", "test", 32, 4, path=clothes, mean=0.0, std=1.0)
    batch = test.sample(20, torch.Generator().manual_seed(0))
    assert torch.bincount(batch["labels"]).tolist() == [2] * 10
    images = batch["images"]  # 28 of the 40 pixels of the window are the picture
    assert float(images[..., :6, :].abs().max()) == 0
    picture = images[..., 6:34, 6:34] * 255
    assert float((picture - picture.round()).abs().max()) < 1e-3  # 28 pixels: not resized
    assert float(picture.mean()) > 100


def test_fashion_mnist_names_the_package_and_damaged_files(clothes: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"path: .*dataset-fashion-mnist"):
        create_source("fashion_mnist", "train", 32, path=tmp_path / "none")
    file = clothes / "t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"path: .*\(20, 28, 28\) .* got 15675 in .*t10k-images"):
        create_source("fashion_mnist", "test", 32, path=clothes)


def test_solar_cells_are_divided_in_blocks(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    lines = []
    for index in range(40):
        Image.fromarray(np.full((24, 24), index, np.uint8)).save(tmp_path / f"images/c{index}.png")
        lines.append(f"images/c{index}.png  {(0.0, 1 / 3, 2 / 3, 1.0)[index % 4]:.6f}  mono")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    parts = {
        split: create_source("elpv", split, 16, path=tmp_path, short_side=0)
        for split in ("train", "test", "fit", "validation")
    }
    names = {split: set(source.names) for split, source in parts.items()}
    # Twenty blocks of two cells; every fifth is tested on.
    tested = {f"images/c{index}.png" for index in (8, 9, 18, 19, 28, 29, 38, 39)}
    assert names["test"] == tested
    assert names["train"] == {f"images/c{index}.png" for index in range(40)} - tested
    assert names["fit"] | names["validation"] == names["train"]
    assert not names["fit"] & names["validation"]
    expected = [int(int(name[8:-4]) % 4 >= 2) for name in parts["test"].names]
    assert parts["test"].labels.tolist() == expected
    with pytest.raises(ValueError, match=r"path: expected a folder with labels\.csv and images"):
        create_source("elpv", "train", 16, path=tmp_path / "none")


def resource(files: dict[str, bytes], packed: bool) -> bytes:
    """A Qt resource file (version 3) with files in one folder."""
    names, data, nodes = b"", b"", []

    def named(name: str) -> int:
        nonlocal names
        at = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        return at

    nodes.append(struct.pack(">IHIIQ", 0, 2, 1, 1, 0))  # the root, with one folder
    nodes.append(struct.pack(">IHIIQ", named("folder"), 2, len(files), 2, 0))
    for name, content in sorted(files.items()):
        stored = struct.pack(">I", len(content)) + zlib.compress(content) if packed else content
        nodes.append(struct.pack(">IHHHIQ", named(name), int(packed), 0, 0, len(data), 0))
        data += struct.pack(">I", len(stored)) + stored
    tree, start = b"".join(nodes), 24
    head = struct.pack(
        ">4s5I", b"qres", 3, start, start + len(tree), start + len(tree) + len(data), 0
    )
    return head + tree + data + names


@pytest.mark.parametrize("packed", [False, True])
def test_qt_resources_are_read(packed: bool) -> None:
    files = {"ä.txt": b"one", "b.webp": bytes(range(256)) * 4}
    found = {file.path: file.read() for file in read_resources(resource(files, packed))}
    assert found == {f"folder/{name}": content for name, content in files.items()}
    with pytest.raises(ValueError, match="data: expected a Qt resource file"):
        list(read_resources(b"something else that is long"))


def test_gcompris_complains_about_other_packages(tmp_path: Path) -> None:
    package = tmp_path / "a.deb"
    package.write_bytes(b"PK")
    with pytest.raises(ValueError, match="package: expected a Debian package"):
        write_photographs(package, tmp_path / "out")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:xz") as file:
        file.addfile(tarfile.TarInfo("usr/share/nothing"))
    data = archive.getvalue()
    head = f"{'data.tar.xz':16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
    package.write_bytes(b"!<arch>\n" + head + data)
    with pytest.raises(ValueError, match=r"package: expected gcompris-qt-data_\*\.deb"):
        write_photographs(package, tmp_path / "out")
