#!/usr/bin/env bash
# pytorch-wavelets 1.3.0: SWTForward, its undecimated transform, refuses its own default mode and
# fails for colour images from the second level on.
#
# SWTForward(J=1, wave="db2") stops at the first call: its default mode 'periodization' is not one
# that its filter step takes. With mode='zero' one level runs, and two levels of an image with two
# channels stop, because bands and channels share one axis after the first level.
# Seen with torch 2.13.0, PyWavelets 1.9.0, numpy 2.4.6 on a CPU, Python 3.11:
#   default mode:         ValueError: Unkown pad type: periodization
#   two levels, 'zero':   RuntimeError: Given groups=8, ... expected input to have 8 channels
# Exit status 0: the behaviour is as described. 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.13.0 numpy==2.4.6 PyWavelets==1.9.0 pytorch-wavelets==1.3.0 'setuptools<81'
cat > "$folder/look.py" <<'PY'
import sys
import warnings

warnings.simplefilter("ignore")
import torch
from pytorch_wavelets.dwt.transform2d import SWTForward

image = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
seen = []
for label, arguments in (
    ("default mode", {"J": 1, "wave": "db2"}),
    ("one level, zero", {"J": 1, "wave": "db2", "mode": "zero"}),
    ("two levels, zero", {"J": 2, "wave": "db2", "mode": "zero"}),
):
    try:
        SWTForward(**arguments)(image)
        seen.append("runs")
    except (RuntimeError, ValueError) as error:
        seen.append(type(error).__name__)
        print(f"{label}: {type(error).__name__}: {str(error)[:120]}")
print(seen)
sys.exit(0 if seen == ["ValueError", "runs", "RuntimeError"] else 1)
PY
"$folder/venv/bin/python" "$folder/look.py"
