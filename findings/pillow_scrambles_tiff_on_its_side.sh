#!/usr/bin/env bash
# Pillow 13.0.0 scrambles an uncompressed TIFF picture whose EXIF orientation is 5, 6, 7 or 8.
#
# Versions: Pillow 13.0.0, tifffile 2026.3.3 and numpy 2.4.6, Python 3.11, Linux.
# Input: a grey TIFF of 8 bits, 4 rows of 6 pixels, not compressed, with the standard tag
# Orientation (274) = 6: "turn a quarter to the right to see it upright". Cameras and scanners
# write such files.
# Expected: the picture turned to the right, as Pillow gives for the same pixels compressed by
# Deflate, and for the same file when it is opened as a file object.
# Seen: when the file is opened by its path, Pillow gives 4 rows of 6 pixels in place of 6 rows of
# 4, and the pixels are in a wrong order. There is no error and no warning.
# Likely cause: Image.open already reports the turned size. For uncompressed pixels of a file that
# was opened by its path, ImageFile.load maps the file into memory with that size, so the rows get
# a wrong length before the picture is turned.
#
# Output seen:
#   compressed, by path:      right
#   uncompressed, by object:  right
#   uncompressed, by path:    scrambled, size (6, 4) in place of (4, 6)
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import tifffile
from PIL import Image

pixels = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
upright = np.rot90(pixels, -1)
tag = [(274, "H", 1, 6, False)]
tifffile.imwrite("plain.tif", pixels, extratags=tag)
tifffile.imwrite("deflate.tif", pixels, extratags=tag, compression="zlib")


def look(source):
    with Image.open(source) as picture:
        picture.load()
        found = np.asarray(picture)
        if np.array_equal(found, upright):
            return "right"
        return f"scrambled, size {picture.size} in place of {upright.shape[::-1]}"


compressed = look("deflate.tif")
with open("plain.tif", "rb") as file:
    by_object = look(file)
by_path = look("plain.tif")
print("compressed, by path:     ", compressed)
print("uncompressed, by object: ", by_object)
print("uncompressed, by path:   ", by_path)
as_described = compressed == by_object == "right" and by_path.startswith("scrambled, size (6, 4)")
sys.exit(0 if as_described else 1)
PYTHON
