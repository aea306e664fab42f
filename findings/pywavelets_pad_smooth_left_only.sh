#!/usr/bin/env bash
# PyWavelets 1.9.0: pywt.pad with mode "smooth" cannot pad the left side alone.
#
# Versions: PyWavelets 1.9.0, numpy 2.4.6, Python 3.11, Linux.
# Input: pywt.pad([1, 3, 4, 7], (2, 0), "smooth"): two samples before, none behind.
# Expected: [-3, -1, 1, 3, 4, 7], the left part of what (2, 2) gives.
# Seen: ValueError "could not broadcast input array from shape (0,) into shape (6,)". The slice for
# the right side is counted from the end, so a width of 0 means the whole signal. (0, 2) works. The
# Python sources of 1.10.0 count from the start instead.
#
# Output seen:
#   (2, 2): [-3.0, -1.0, 1.0, 3.0, 4.0, 7.0, 10.0, 13.0]
#   (0, 2): [1.0, 3.0, 4.0, 7.0, 10.0, 13.0]
#   (2, 0): ValueError: could not broadcast input array from shape (0,) into shape (6,)
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary=:all: numpy==2.4.6 PyWavelets==1.9.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import pywt

found = {}
for widths in ((2, 2), (0, 2), (2, 0)):
    try:
        found[widths] = str(pywt.pad([1.0, 3.0, 4.0, 7.0], widths, "smooth").tolist())
    except ValueError as error:
        found[widths] = f"ValueError: {error}"
    print(f"{widths}: {found[widths]}")
good = (
    found[2, 2] == "[-3.0, -1.0, 1.0, 3.0, 4.0, 7.0, 10.0, 13.0]"
    and found[0, 2] == "[1.0, 3.0, 4.0, 7.0, 10.0, 13.0]"
    and found[2, 0].startswith("ValueError: could not broadcast")
)
sys.exit(0 if good else 1)
PYTHON
