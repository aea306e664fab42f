#!/usr/bin/env bash
# matplotlib 3.11.2: savefig gives a figure that was made with layout="none" a layout engine.
#
# Versions: matplotlib 3.11.2, Python 3.11, Linux.
# Input: rcParams["figure.constrained_layout.use"] = True, and one figure that opts out with
# plt.figure(layout="none"), places its axes by hand and is written twice.
# Expected: the figure has no layout engine, before and after.
# Seen: after the first savefig the figure has a ConstrainedLayoutEngine, so the second file moves
# the axes. print_figure puts back what it found, and for a figure without an engine that is None,
# which set_layout_engine reads as "the default of rcParams". The same figure with
# set_layout_engine("none") after it was made keeps a placeholder and is not changed.
#
# Output seen:
#   layout="none": NoneType, then ConstrainedLayoutEngine
#   set_layout_engine("none"): PlaceHolderLayoutEngine, then PlaceHolderLayoutEngine
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet matplotlib==3.11.2
cd "$folder"
MPLBACKEND=agg "$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import matplotlib.pyplot as plt

plt.rcParams["figure.constrained_layout.use"] = True


def engines(figure):
    figure.add_axes((0, 0, 1, 1))
    found = [type(figure.get_layout_engine()).__name__]
    figure.savefig(io.BytesIO(), format="png")
    return [*found, type(figure.get_layout_engine()).__name__]


made = plt.figure(layout="none")
later = plt.figure()
later.set_layout_engine("none")
found = {'layout="none"': engines(made), 'set_layout_engine("none")': engines(later)}
for name, (before, after) in found.items():
    print(f"{name}: {before}, then {after}")
seen = [["NoneType", "ConstrainedLayoutEngine"], ["PlaceHolderLayoutEngine"] * 2]
sys.exit(0 if list(found.values()) == seen else 1)
PYTHON
