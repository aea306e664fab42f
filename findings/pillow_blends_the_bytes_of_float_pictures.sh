#!/usr/bin/env bash
# Pillow 13.0.0: Image.composite and Image.paste with a mask of mode "L" blend the single bytes of the
# numbers in pictures of mode "F", "I" and "I;16", and in "I;16" they blend the left half only.
#
# Versions: pillow 13.0.0 and numpy 2.4.6, Python 3.11, Linux, little endian.
# Input: a picture of one value over a picture of another value, 4 x 8 pixels, blended with a mask of
# mode "L" of one value (0 to 255).
# Expected: a value between the two, as for mode "L", or a ValueError as from Image.blend.
# Seen: values outside of the two. In mode "F" even infinity, in mode "I" numbers around two thousand
# million. In mode "I;16" the right half keeps the lower picture, also with a mask of 255. There is no
# error or warning. Image.paste gives the same as Image.composite.
# So soft edges between depth maps, heights or other pictures of numbers contain wrong values.
# Likely cause: paste_mask_L of Paste.c blends byte by byte, and takes a pixel of "I;16" for one byte.
# Way around: blend arrays. In "F" and "I" masks of 0 and 255 only are right.
#
# Output seen (the two values: results with masks of 0, 64, 128, 192 and 255; left | right half of a row):
#   L, 100 over 50: 50, 63, 75, 88, 100
#   F, 1000 over 500: 500, 436, 1488, 1232, 1000
#   F, 0.5 over 0.25: 0.25, 0.21875, 0.75, 0.625, 0.5
#   F, 1 over -1: -1, -5.42101e-20, inf, 1.84467e+19, 1
#   I, 300 over 255: 255, 202, 405, 352, 300
#   I, 1 over -1: -1, -1077952577, 2139062144, 1061109568, 1
#   I;16, 300 over 255: 255, 202 | 255, 405 | 255, 352 | 255, 300 | 255
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pillow==13.0.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import numpy as np
from PIL import Image

kinds = {"L": np.uint8, "F": np.float32, "I": np.int32, "I;16": np.uint16}
cases = (
    ("L", 100, 50),
    ("F", 1000, 500),
    ("F", 0.5, 0.25),
    ("F", 1, -1),
    ("I", 300, 255),
    ("I", 1, -1),
    ("I;16", 300, 255),
)


def even(mode, value):
    """A picture of one value."""
    picture = Image.fromarray(np.full((4, 8), value, kinds[mode]))
    assert picture.mode == mode
    return picture


def in_words(picture):
    """The value of the picture, or those of its left and its right half."""
    rows = np.asarray(picture)
    left, right = np.unique(rows[:, :4]), np.unique(rows[:, 4:])
    assert len(left) == len(right) == 1
    parts = [f"{value:g}" if rows.dtype.kind == "f" else str(value) for value in (left[0], right[0])]
    return " | ".join(dict.fromkeys(parts))


for mode, upper, lower in cases:
    found = []
    for share in (0, 64, 128, 192, 255):
        mask = even("L", share)
        blended = Image.composite(even(mode, upper), even(mode, lower), mask)
        pasted = even(mode, lower)
        pasted.paste(even(mode, upper), (0, 0), mask)
        assert in_words(pasted) == in_words(blended)
        found.append(in_words(blended))
    print(f"{mode}, {upper} over {lower}: {', '.join(found)}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" check.py | tee seen
cat > expected <<'TEXT'
L, 100 over 50: 50, 63, 75, 88, 100
F, 1000 over 500: 500, 436, 1488, 1232, 1000
F, 0.5 over 0.25: 0.25, 0.21875, 0.75, 0.625, 0.5
F, 1 over -1: -1, -5.42101e-20, inf, 1.84467e+19, 1
I, 300 over 255: 255, 202, 405, 352, 300
I, 1 over -1: -1, -1077952577, 2139062144, 1061109568, 1
I;16, 300 over 255: 255, 202 | 255, 405 | 255, 352 | 255, 300 | 255
TEXT
cmp --silent seen expected
