#!/usr/bin/env bash
# torchmetrics 1.9.0: BinaryCalibrationError gives 0, a perfect value, for more than 65519 scores of
# float16, however bad they are.
#
# Versions: torchmetrics 1.9.0, torch 2.14.1 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: half of the scores are 0.75 with label 0, the others 0.25 with label 1, so that the calibration
# error is 0.75. They come in steps of 1000, as in a validation of a model in half precision.
# Expected: about 0.75. The scores and the error are exact in float16.
# Seen: right with 65000 scores, 0 with 66000, without a warning. bfloat16 and float32 are right. If one
# bin alone has that many scores, the result is nan.
# MulticlassCalibrationError is right, because it converts to float32. A map of 256 x 256 pixels has
# 65536 scores.
# Likely cause: _binning_bucketize divides by a sum of the counts in the type of the scores, which is
# infinite above the largest float16.
# Way around: update(scores.float(), labels).
#
# Output seen:
#   65000 scores: float32 0.75, bfloat16 0.75, float16 0.75
#   66000 scores: float32 0.75, bfloat16 0.75, float16 0.00
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.14.1 torchmetrics==1.9.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import torch
from torchmetrics.classification import BinaryCalibrationError

for count in (65_000, 66_000):
    parts = []
    for kind in (torch.float32, torch.bfloat16, torch.float16):
        metric = BinaryCalibrationError(n_bins=10)
        for _ in range(count // 1000):
            labels = torch.arange(1000) % 2
            metric.update((0.75 - labels / 2).to(kind), labels)
        parts.append(f"{str(kind).removeprefix('torch.')} {float(metric.compute()):.2f}")
    print(f"{count} scores: {', '.join(parts)}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py 2> log | tee seen
cat > expected <<'TEXT'
65000 scores: float32 0.75, bfloat16 0.75, float16 0.75
66000 scores: float32 0.75, bfloat16 0.75, float16 0.00
TEXT
cmp --silent seen expected
