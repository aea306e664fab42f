#!/usr/bin/env bash
# OpenCV 4.14.0: warpAffine, warpPerspective and remap move float32 pictures in steps of 1/32 pixel.
# OpenCV 5.0.0 does not, so the same call gives other pictures.
#
# Versions: opencv-python-headless 4.14.0.94 beside 5.0.0.93, numpy 2.4.6, Python 3.11, Linux.
# Input: a float32 picture whose pixels hold their column, moved to the left by parts of a pixel with
# INTER_LINEAR; the matrix and the maps hold the exact shift.
# Expected: column 32 gives 32 plus the shift, since linear interpolation of a ramp is exact. The
# documentation of remap has fixed-point maps as a choice, for speed; these are floating-point maps.
# Seen: 4.14.0 rounds each position to 1/32 pixel: a shift below 1/64 pixel gives the unchanged
# picture, to the bit, and 0.1 pixel becomes 0.09375. 5.0.0 is exact. So a model's sensitivity to
# small shifts, measured with OpenCV 4, is 0 at 0.01 pixels and too large at 0.02, and augmentations
# (albumentations calls these functions) differ between the two. getRectSubPix is exact in both.
# Likely cause: the CPU code of OpenCV 4 looks weights up in a table of 32 positions per pixel
# (INTER_BITS is 5), for every dtype.
# Way around: torch's grid_sample, scipy.ndimage or OpenCV 5.
#
# Output seen:
#   4.14.0 0.01: warpAffine 0.00000 warpPerspective 0.00000 remap 0.00000
#   4.14.0 0.02: warpAffine 0.03125 warpPerspective 0.03125 remap 0.03125
#   4.14.0 0.10: warpAffine 0.09375 warpPerspective 0.09375 remap 0.09375
#   5.0.0 0.01: warpAffine 0.01000 warpPerspective 0.01000 remap 0.01000
#   5.0.0 0.02: warpAffine 0.02000 warpPerspective 0.02000 remap 0.02000
#   5.0.0 0.10: warpAffine 0.10000 warpPerspective 0.10000 remap 0.10000
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/check.py" <<'PYTHON'
import cv2
import numpy as np

ramp = np.tile(np.arange(64, dtype=np.float32), (16, 1))
size = (64, 16)
columns, rows = np.meshgrid(np.arange(64), np.arange(16))
for shift in (0.01, 0.02, 0.1):
    matrix = np.array([[1, 0, -shift], [0, 1, 0], [0, 0, 1]])
    maps = [(columns + shift).astype(np.float32), rows.astype(np.float32)]
    moved = {
        "warpAffine": cv2.warpAffine(ramp, matrix[:2], size, flags=cv2.INTER_LINEAR),
        "warpPerspective": cv2.warpPerspective(ramp, matrix, size, flags=cv2.INTER_LINEAR),
        "remap": cv2.remap(ramp, *maps, interpolation=cv2.INTER_LINEAR),
    }
    print(cv2.__version__, f"{shift:.2f}:", end="")
    print("".join(f" {name} {picture[8, 32] - 32:.5f}" for name, picture in moved.items()))
PYTHON
cd "$folder"
for version in 4.14.0.94 5.0.0.93; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/python" -m pip install --quiet \
    opencv-python-headless=="$version" numpy==2.4.6
  "$folder/$version/bin/python" check.py
done | tee seen
cat > expected <<'TEXT'
4.14.0 0.01: warpAffine 0.00000 warpPerspective 0.00000 remap 0.00000
4.14.0 0.02: warpAffine 0.03125 warpPerspective 0.03125 remap 0.03125
4.14.0 0.10: warpAffine 0.09375 warpPerspective 0.09375 remap 0.09375
5.0.0 0.01: warpAffine 0.01000 warpPerspective 0.01000 remap 0.01000
5.0.0 0.02: warpAffine 0.02000 warpPerspective 0.02000 remap 0.02000
5.0.0 0.10: warpAffine 0.10000 warpPerspective 0.10000 remap 0.10000
TEXT
cmp --silent seen expected
