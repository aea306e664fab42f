#!/usr/bin/env bash
# Pillow 13.0.0 reads a grey TIFF of 16 bits with "0 is white" as its negative; of 8 bits it does not.
#
# Versions: Pillow 13.0.0, tifffile 2026.3.3 and numpy 2.4.6, Python 3.11, Linux.
# Input: two grey TIFF files with PhotometricInterpretation = 0 (MinIsWhite: the value 0 is white),
# one of 8 bits and one of 16 bits. Both show the same ramp from black on the left to white on the
# right, so both store large values on the left.
# Expected: both pictures begin with black (0) and end with white, since Pillow's modes L and I;16
# mean 0 as black.
# Seen: the picture of 8 bits is right; Pillow inverts its values. The picture of 16 bits comes as
# it is stored, from white to black. There is no error and no warning.
# Likely cause: in PIL/TiffImagePlugin.py, OPEN_INFO maps MinIsWhite of 8 bits to the raw mode
# "L;I" (inverted) but of 16 bits to "I;16" (not inverted).
#
# Output seen:
#   8 bits:  left 0, right 255
#   16 bits: left 65535, right 0
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

ends = {}
for dtype in (np.uint8, np.uint16):
    white = np.iinfo(dtype).max
    ramp = np.linspace(0, white, 16).astype(dtype)  # black to white
    stored = np.tile(white - ramp, (4, 1)).astype(dtype)
    tifffile.imwrite("ramp.tif", stored, photometric="miniswhite")
    with Image.open("ramp.tif") as picture:
        row = np.asarray(picture)[0]
    ends[dtype] = int(row[0]), int(row[-1])
print("8 bits:  left {}, right {}".format(*ends[np.uint8]))
print("16 bits: left {}, right {}".format(*ends[np.uint16]))
sys.exit(0 if ends == {np.uint8: (0, 255), np.uint16: (65535, 0)} else 1)
PYTHON
