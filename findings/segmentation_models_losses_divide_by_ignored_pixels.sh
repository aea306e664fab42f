#!/usr/bin/env bash
# segmentation_models_pytorch 0.6.0: SoftCrossEntropyLoss and SoftBCEWithLogitsLoss divide by the number
# of all pixels, also of those that `ignore_index` leaves out.
#
# Versions: segmentation_models_pytorch 0.6.0, torch 2.14.1, torchvision 0.29.1 and numpy 2.4.6,
# Python 3.11, Linux, CPU.
# Input: equal logits for two classes in 8 x 8 pixels, so that each pixel has the loss log 2 = 0.693.
# 0, 32 and 56 of the 64 pixels have the label 255, and ignore_index is 255.
# Expected: 0.693, as from torch.nn.CrossEntropyLoss. Both are documented as drop-in replacements of
# torch's losses.
# Seen: the loss and its gradient shrink by the share of ignored pixels. FocalLoss of the same package
# with gamma=0 divides by the pixels that count. So pictures with wide borders to ignore train less, and
# a sum with DiceLoss, JaccardLoss or FocalLoss has other weights in every batch.
# Likely cause: the losses of single pixels are set to 0 and then averaged with mean().
# Way around: reduction="sum", divided by the number of pixels that count; or torch's CrossEntropyLoss.
#
# Output seen:
#   0 of 64 ignored: CrossEntropyLoss 0.693, SoftCrossEntropyLoss 0.693, SoftBCEWithLogitsLoss 0.693, FocalLoss 0.693
#   32 of 64 ignored: CrossEntropyLoss 0.693, SoftCrossEntropyLoss 0.347, SoftBCEWithLogitsLoss 0.347, FocalLoss 0.693
#   56 of 64 ignored: CrossEntropyLoss 0.693, SoftCrossEntropyLoss 0.087, SoftBCEWithLogitsLoss 0.087, FocalLoss 0.693
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.14.1 torchvision==0.29.1 \
  segmentation_models_pytorch==0.6.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import torch
from segmentation_models_pytorch.losses import (
    FocalLoss,
    SoftBCEWithLogitsLoss,
    SoftCrossEntropyLoss,
)

two, one = torch.zeros(1, 2, 8, 8), torch.zeros(1, 1, 8, 8)
for rows in (0, 4, 7):
    labels = torch.arange(64).reshape(1, 8, 8) % 2
    labels[:, :rows] = 255
    values = {
        "CrossEntropyLoss": torch.nn.CrossEntropyLoss(ignore_index=255)(two, labels),
        "SoftCrossEntropyLoss": SoftCrossEntropyLoss(smooth_factor=0.0, ignore_index=255)(
            two, labels
        ),
        "SoftBCEWithLogitsLoss": SoftBCEWithLogitsLoss(ignore_index=255)(
            one, labels[:, None].float()
        ),
        "FocalLoss": FocalLoss("binary", gamma=0.0, ignore_index=255)(one, labels[:, None].float()),
    }
    found = ", ".join(f"{name} {float(value):.3f}" for name, value in values.items())
    print(f"{8 * rows} of 64 ignored: {found}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py 2> log | tee seen
cat > expected <<'TEXT'
0 of 64 ignored: CrossEntropyLoss 0.693, SoftCrossEntropyLoss 0.693, SoftBCEWithLogitsLoss 0.693, FocalLoss 0.693
32 of 64 ignored: CrossEntropyLoss 0.693, SoftCrossEntropyLoss 0.347, SoftBCEWithLogitsLoss 0.347, FocalLoss 0.693
56 of 64 ignored: CrossEntropyLoss 0.693, SoftCrossEntropyLoss 0.087, SoftBCEWithLogitsLoss 0.087, FocalLoss 0.693
TEXT
cmp --silent seen expected
