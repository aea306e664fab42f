#!/usr/bin/env bash
# kornia 0.9.0: RandomResizedCrop shrinks pictures without a low-pass filter, and has no option for
# one.
#
# Versions: kornia 0.9.0, torch 2.13.0 and numpy 2.4.6, Python 3.11, Linux.
# Input: a checkerboard of single pixels, 224 x 224, values 0 and 1. RandomResizedCrop((64, 64),
# scale=(0.5, 1.0)) shrinks it by 2.4 to 3.5, the step that most training recipes begin with.
# Expected: the smaller grid cannot hold such a pattern, so the result is grey (a spread near 0), as
# torch's own antialiased interpolation gives. torchvision's RandomResizedCrop filters by default
# (antialias=True).
# Seen: a mean spread of 0.174: a moiré pattern that is not in the picture. Both values of
# cropping_mode give it. The constructor takes resample, align_corners and cropping_mode, and no
# antialias (kornia's Resize has one). RandomAffine with a scale below 1 samples in the same way.
#
# Output seen:
#   RandomResizedCrop, slice:    0.174
#   RandomResizedCrop, resample: 0.174
#   torch, antialias=True:       0.000
#   option antialias: False
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 kornia==0.9.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import inspect
import sys

import kornia.augmentation as augmentation
import torch
import torch.nn.functional as F

place = torch.arange(224)
board = ((place[:, None] + place) % 2).float().expand(16, 1, 224, 224)
spreads = {}
for mode in ("slice", "resample"):
    torch.manual_seed(0)
    crop = augmentation.RandomResizedCrop((64, 64), scale=(0.5, 1.0), cropping_mode=mode)
    spreads[mode] = float(crop(board).std(dim=(1, 2, 3)).mean())
    print(f"RandomResizedCrop, {mode + ':':9s} {spreads[mode]:.3f}")
filtered = float(F.interpolate(board, (64, 64), mode="bilinear", antialias=True).std())
print(f"torch, antialias=True:       {filtered:.3f}")
option = "antialias" in inspect.signature(augmentation.RandomResizedCrop.__init__).parameters
print("option antialias:", option)
sys.exit(0 if min(spreads.values()) > 0.1 and filtered < 0.01 and not option else 1)
PYTHON
