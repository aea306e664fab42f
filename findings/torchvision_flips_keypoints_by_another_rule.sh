#!/usr/bin/env bash
# torchvision 0.29.1: KeyPoints count from the corner of the picture when it is resized, rotated or
# moved, and from the centre of the first pixel when it is flipped.
#
# Versions: torchvision 0.29.1, torch 2.14.1 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: a picture of 20 rows and 30 columns, and the upper left corner of the object in columns 10
# to 19 and rows 5 to 8, as a key point (10, 5) and as a box (10, 5, 20, 9).
# Expected: a turn by 180 degrees is a flip in both directions, for pixels, boxes and key points. It
# is for pixels and boxes.
# Seen: the turn takes the key point to (20, 15), the lower right corner of the turned box
# (10, 11, 20, 15). The two flips take it to (19, 14). There is no reading of the numbers for which
# both are right: the flips use x' = 29 - x, and resizing and turning fit x' = 30 - x. So a model that
# is trained with random flips gets points that are one pixel off against its boxes in half of the
# examples, and a point within a pixel of the right border becomes negative. There is no warning.
# The coordinates of KeyPoints are documented as "along the width and height dimensions", no more.
# Way around: add 1 to the coordinate that is flipped.
#
# Output seen:
#   turn: pixels columns 10 to 19, rows 11 to 14; box 10 11 20 15; key point 20 15
#   flips: pixels columns 10 to 19, rows 11 to 14; box 10 11 20 15; key point 19 14
#   resized by 2: pixels columns 20 to 39, rows 10 to 17; box 20 10 40 18; key point 20 10
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.14.1 torchvision==0.29.1 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import torch
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

size = (20, 30)
picture = tv_tensors.Image(torch.zeros(1, *size))
picture[:, 5:9, 10:20] = 1
box = tv_tensors.BoundingBoxes([[10.0, 5, 20, 9]], format="XYXY", canvas_size=size)
corner = tv_tensors.KeyPoints([[10.0, 5]], canvas_size=size)
transforms = {
    "turn": lambda x: F.rotate(x, 180),
    "flips": lambda x: F.horizontal_flip(F.vertical_flip(x)),
    "resized by 2": lambda x: F.resize(x, [40, 60], interpolation=F.InterpolationMode.NEAREST),
}


def numbers(tensor):
    return " ".join(f"{value:.0f}" for value in tensor.flatten().tolist())


for name, transform in transforms.items():
    rows, columns = (transform(picture)[0] > 0.5).nonzero(as_tuple=True)
    print(
        f"{name}: pixels columns {columns.min()} to {columns.max()}, rows {rows.min()} to "
        f"{rows.max()}; box {numbers(transform(box))}; key point {numbers(transform(corner))}"
    )
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py | tee seen
cat > expected <<'TEXT'
turn: pixels columns 10 to 19, rows 11 to 14; box 10 11 20 15; key point 20 15
flips: pixels columns 10 to 19, rows 11 to 14; box 10 11 20 15; key point 19 14
resized by 2: pixels columns 20 to 39, rows 10 to 17; box 20 10 40 18; key point 20 10
TEXT
cmp --silent seen expected
