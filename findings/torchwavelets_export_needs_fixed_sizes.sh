#!/usr/bin/env bash
# torchwavelets 0.1.1: a decimated transform cannot be exported with symbolic sizes.
#
# Versions: torchwavelets 0.1.1, torch 2.13.0 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: DWT2D(1, "db2", "symmetric") and torch.export.export with Dim for height and width.
# Expected: a program for every size, as its pad-and-convolve arithmetic allows.
# Seen: TypeError "unhashable type: non-nested SymInt". A cached function of the package
# (functools.lru_cache) gets the symbolic side as its key. With fixed sizes the export works, so the
# graph is good for one picture size only.
#
# Output seen:
#   fixed sizes: exported
#   symbolic sizes: TypeError: unhashable type: non-nested SymInt
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6 torchwavelets==0.1.1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import torch
import torchwavelets
from torch.export import Dim

x = torch.randn(2, 1, 16, 18)
sides = {2: Dim("height", min=9, max=512), 3: Dim("width", min=9, max=512)}
found = {}
for name, shapes in (("fixed", None), ("symbolic", (sides,))):
    transform = torchwavelets.DWT2D(1, "db2", "symmetric")
    try:
        torch.export.export(transform, (x,), dynamic_shapes=shapes)
        found[name] = "exported"
    except Exception as error:
        last = [line for line in str(error).splitlines() if line.strip()]
        found[name] = f"{type(error).__name__}: {last[0] if last else ''}"
    print(f"{name} sizes: {found[name]}")
good = found["fixed"] == "exported" and "unhashable type: non-nested SymInt" in found["symbolic"]
sys.exit(0 if good else 1)
PYTHON
