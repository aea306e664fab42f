"""`fashion_mnist`: 70,000 grey pictures of clothes, 28 x 28 pixels, on black."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_at_least, fail
from wavevit.data.fingerprint import check_digest, files_digest
from wavevit.data.labelled import TRAINED, LabelledPictures
from wavevit.data.resizing import resized
from wavevit.data.sources import register_source
from wavevit.data.splits import part_of, take_share
from wavevit.files import as_path

__all__ = ["FashionMNIST", "read_idx"]

# Where Debian's package dataset-fashion-mnist has its files.
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_NAMES = (
    *("T-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
_SHARE = (7, 8)  # of a crop's side that a picture fills: 56 of 64 pixels
_BYTES = 0x08  # IDX's code of unsigned bytes


def read_idx(path: Path) -> Tensor:
    """Reads an IDX file of bytes, compressed by gzip or not.

    Args:
        path: of the file.

    Raises:
        ValueError: another format, or a file that is cut off.
    """
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError) as error:
        fail("path", "an IDX file that can be read", f"{path} ({error})")
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _BYTES:
        fail("path", "an IDX file of bytes", f"{path} (begins with {data[:4]!r})")
    start = 4 + 4 * data[3]
    sides = struct.unpack_from(f">{data[3]}I", data, 4) if len(data) > start else ()
    if not sides or len(data) - start != math.prod(sides):
        fail("path", f"as many bytes as {sides} has", f"{max(len(data) - start, 0)} in {path}")
    return torch.frombuffer(bytearray(data), dtype=torch.uint8, offset=start).reshape(sides)


@register_source("fashion_mnist")
class FashionMNIST(LabelledPictures):
    """Fashion-MNIST: ten classes of clothes, 60,000 pictures to train on and 10,000 for the test.

    A picture is enlarged to 7/8 of the crop's side (bilinear) and lies in the middle of a black
    window. Its own background is black, so that a crop which moves shows what a camera that moves
    would.

    Args:
        split, crop_size, margin: see `Source`. A quarter of the training pictures of each class is
            in ``"validation"``, the rest in ``"fit"``.
        path: folder of the four IDX files, compressed or not; by default that of Debian's package
            ``dataset-fashion-mnist``.
        share: of the pictures of each class that are trained on, above 0 and at most 1: 0.01 is 600
            pictures. A smaller share is inside a larger one.
        seed: of the division into splits, and of the share.
        moved: largest random distance in pixels from the middle, for training.
        digest: what `fingerprint` was before: the source is refused if the files changed.
        **cutting: ``mean`` and ``std``; see `WindowCutter`.

    Raises:
        ValueError: no such files; or as `LabelledPictures`.

    Source:
        Xiao, Rasul and Vollgraf 2017 (MIT licence).
    """

    def __init__(
        self,
        split: str,
        crop_size: int = 64,
        margin: int = 0,
        path: str | Path | None = None,
        share: float = 1.0,
        seed: int = 0,
        moved: int = 0,
        digest: str = "",
        **cutting: Any,
    ) -> None:
        self.root = _DEBIAN if path is None else as_path("path", path)
        check_at_least("moved", moved, 0)
        self.files = [_file(self.root, split, kind) for kind in ("images-idx3", "labels-idx1")]
        self.pictures, labels = (read_idx(file) for file in self.files)
        if self.pictures.ndim != 3 or labels.shape != self.pictures.shape[:1]:
            shapes = f"{tuple(self.pictures.shape)} and {tuple(labels.shape)}"
            fail("path", "pictures (n, H, W) and labels (n,)", shapes)
        values = labels.tolist()
        if max(values) >= len(_NAMES):
            fail("path", f"labels below {len(_NAMES)}", f"{max(values)} in {self.root}")
        self.rows = list(range(len(values)))
        names = list(map(str, self.rows))
        if split != "test":
            self.rows = part_of(split, names, values, seed, tested=True)
        if split in TRAINED:
            own = [names[r] for r in self.rows], [values[r] for r in self.rows]
            self.rows = [self.rows[index] for index in take_share(*own, share, seed)]
        self.canvas = crop_size + 2 * margin + (2 * moved if split in TRAINED else 0)
        self.side = max(crop_size * _SHARE[0] // _SHARE[1], 1)
        chosen = [values[row] for row in self.rows]
        super().__init__(
            split, crop_size, margin, _NAMES, chosen, memory=0, least_side=1, **cutting
        )
        if digest:
            check_digest(digest, self.fingerprint(), self.root)

    def fingerprint(self) -> str:
        return files_digest(self.root, sorted(self.root.glob("*-ubyte*")))

    def read(self, index: int) -> Tensor:
        picture = resized(self.pictures[self.rows[index]][None].float() / 255, self.side)
        before = [(self.canvas - side) // 2 for side in picture.shape[-2:]]
        after = [self.canvas - side - b for side, b in zip(picture.shape[-2:], before, strict=True)]
        return F.pad(picture, (before[1], after[1], before[0], after[0]))

    def name(self, index: int) -> str:
        return f"{self.files[0].name}/{self.rows[index]}"


def _file(root: Path, split: str, kind: str) -> Path:
    prefix = "t10k" if split == "test" else "train"
    for name in (f"{prefix}-{kind}-ubyte.gz", f"{prefix}-{kind}-ubyte"):
        if (root / name).is_file():
            return root / name
    expected = (
        f"a folder with {prefix}-{kind}-ubyte.gz (Debian's package dataset-fashion-mnist, or the "
        "original files)"
    )
    fail("path", expected, str(root))
