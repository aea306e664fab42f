#!/usr/bin/env bash
# Pillow 13.0.0: ImageStat.Stat gives the mean and the deviation of bin numbers for pictures of mode "F"
# and "I", and those of single bytes for "I;16".
#
# Versions: pillow 13.0.0 and numpy 2.4.6, Python 3.11, Linux, little endian.
# Input: the ramp 0, 1, ..., 99 as 10 x 10 pixels in the modes "L", "I;16", "I" and "F", and the same ramp
# times 0.001 and times 1000.
# Expected: the mean and the standard deviation that numpy gives, or an error.
# Seen: right for "L". "I" and "F" give 127.02 and 74.34 for each scale, because the values are put into
# 256 bins between the smallest and the largest first. "I;16" gives other numbers, read from the bytes of
# the left half. There is no error or warning, and the documentation of mean and stddev names no mode.
# (That of `extrema` says that it fails for "I" and "F".) So a normalisation with figures of ImageStat
# is wrong for depth maps and pictures of 16 bits.
# Likely cause: Stat reads Image.histogram and takes the numbers of the bins for values.
# Way around: numpy.asarray(picture).mean() and .std().
#
# Output seen (mean, deviation):
#   L x 1: numpy 49.50, 28.87; ImageStat 49.50, 28.87
#   I;16 x 1: numpy 49.50, 28.87; ImageStat 23.50, 31.08
#   I x 1: numpy 49.50, 28.87; ImageStat 127.02, 74.34
#   F x 1: numpy 49.50, 28.87; ImageStat 127.02, 74.34
#   F x 0.001: numpy 0.05, 0.03; ImageStat 127.02, 74.34
#   F x 1000: numpy 49500.00, 28866.07; ImageStat 127.02, 74.34
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pillow==13.0.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import numpy as np
from PIL import Image, ImageStat

kinds = {"L": np.uint8, "I;16": np.uint16, "I": np.int32, "F": np.float32}
for mode, factor in (("L", 1), ("I;16", 1), ("I", 1), ("F", 1), ("F", 0.001), ("F", 1000)):
    values = (np.arange(100).reshape(10, 10) * factor).astype(kinds[mode])
    picture = Image.fromarray(values)
    assert picture.mode == mode
    figures = ImageStat.Stat(picture)
    exact = values.astype(np.float64)
    print(
        f"{mode} x {factor}: numpy {exact.mean():.2f}, {exact.std():.2f}; "
        f"ImageStat {figures.mean[0]:.2f}, {figures.stddev[0]:.2f}"
    )
PYTHON
cd "$folder"
"$folder/venv/bin/python" check.py | tee seen
cat > expected <<'TEXT'
L x 1: numpy 49.50, 28.87; ImageStat 49.50, 28.87
I;16 x 1: numpy 49.50, 28.87; ImageStat 23.50, 31.08
I x 1: numpy 49.50, 28.87; ImageStat 127.02, 74.34
F x 1: numpy 49.50, 28.87; ImageStat 127.02, 74.34
F x 0.001: numpy 0.05, 0.03; ImageStat 127.02, 74.34
F x 1000: numpy 49500.00, 28866.07; ImageStat 127.02, 74.34
TEXT
cmp --silent seen expected
