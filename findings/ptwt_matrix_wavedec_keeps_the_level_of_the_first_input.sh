#!/usr/bin/env bash
# ptwt 1.0.1: MatrixWavedec, MatrixWavedec2 and MatrixWavedec3 with level=None decompose all inputs to
# the level that fits the first one.
#
# Versions: ptwt 1.0.1, PyWavelets 1.9.0, torch 2.13.0 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: a Haar transform object with the default level=None, used for inputs of side 8 and then 32.
# Expected: three levels, then five, as from the functions wavedec, wavedec2 and wavedec3 and from a
# new object. "If None, the level is computed based on the signal shape", and the objects make their
# matrices anew when the size changes.
# Seen: three levels for both. So what an object returns depends on what it was called with before,
# for example on which picture of a folder came first. There is no warning in this order. (From large
# to small each call prints one, and the number of levels is right.)
# Likely cause: the level that was computed is stored in self.level, which then counts as given.
# Way around: a new object for each size, or a level.
#
# Output seen:
#   MatrixWavedec: levels 3, then 3; a new object 5, the function 5
#   MatrixWavedec2: levels 3, then 3; a new object 5, the function 5
#   MatrixWavedec3: levels 3, then 3; a new object 5, the function 5
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet \
  torch==2.13.0 ptwt==1.0.1 PyWavelets==1.9.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import ptwt
import torch

for axes, name in ((1, "wavedec"), (2, "wavedec2"), (3, "wavedec3")):
    kind = getattr(ptwt, f"Matrix{name.capitalize()}")
    small, large = (torch.ones(1, *(side,) * axes, dtype=torch.float64) for side in (8, 32))
    transform = kind("haar")
    levels = [len(transform(small)) - 1, len(transform(large)) - 1]
    fresh = len(kind("haar")(large)) - 1
    function = len(getattr(ptwt, name)(large, "haar", mode="zero")) - 1
    print(
        f"{kind.__name__}: levels {levels[0]}, then {levels[1]}; "
        f"a new object {fresh}, the function {function}"
    )
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py | tee seen
cat > expected <<'TEXT'
MatrixWavedec: levels 3, then 3; a new object 5, the function 5
MatrixWavedec2: levels 3, then 3; a new object 5, the function 5
MatrixWavedec3: levels 3, then 3; a new object 5, the function 5
TEXT
cmp --silent seen expected
