#!/usr/bin/env bash
# torchmetrics 1.9.0 with pycocotools: MeanAveragePrecision gives map = -1 if 100 is none of the
# `max_detection_thresholds`, and right values for map_50 and map_75.
#
# Versions: torchmetrics 1.9.0, pycocotools 2.0.11, faster-coco-eval 1.8.0, torch 2.14.1,
# torchvision 0.29.1 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: a picture with 20 boxes, all found exactly, and max_detection_thresholds of [1, 10, 100],
# [1, 10, 50] and [1, 10, 300].
# Expected: map = 1 in all cases, because all boxes are found.
# Seen: with backend="pycocotools", the default, map is -1 if the last threshold is 50 or 300, without a
# warning. map_50 and map_75 are 1. With backend="faster_coco_eval" map is 1. So a training that keeps
# the model of the highest map keeps its first one.
# Likely cause: COCOeval.summarize takes the first figure with 100 detections, a number in its code, and
# the others with the last threshold. Without such a row it gives -1.
# Way around: faster_coco_eval, or 100 as the last threshold.
#
# Output seen (map, map_50, map_75):
#   1, 10, 100: pycocotools 1, 1, 1; faster_coco_eval 1, 1, 1
#   1, 10, 50: pycocotools -1, 1, 1; faster_coco_eval 1, 1, 1
#   1, 10, 300: pycocotools -1, 1, 1; faster_coco_eval 1, 1, 1
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.14.1 torchvision==0.29.1 \
  torchmetrics==1.9.0 pycocotools==2.0.11 faster-coco-eval==1.8.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import torch
from torchmetrics.detection import MeanAveragePrecision

left = torch.arange(20.0) * 20
boxes = torch.stack((left, left * 0, left + 10, left * 0 + 10), dim=1)
labels = torch.zeros(20, dtype=torch.int64)
found = [{"boxes": boxes, "scores": torch.linspace(0.9, 0.5, 20), "labels": labels}]
truth = [{"boxes": boxes, "labels": labels}]
for thresholds in ([1, 10, 100], [1, 10, 50], [1, 10, 300]):
    parts = []
    for backend in ("pycocotools", "faster_coco_eval"):
        metric = MeanAveragePrecision(max_detection_thresholds=thresholds, backend=backend)
        metric.update(found, truth)
        values = metric.compute()
        figures = ", ".join(f"{float(values[name]):g}" for name in ("map", "map_50", "map_75"))
        parts.append(f"{backend} {figures}")
    print(f"{', '.join(map(str, thresholds))}: {'; '.join(parts)}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py 2> log | tee seen
cat > expected <<'TEXT'
1, 10, 100: pycocotools 1, 1, 1; faster_coco_eval 1, 1, 1
1, 10, 50: pycocotools -1, 1, 1; faster_coco_eval 1, 1, 1
1, 10, 300: pycocotools -1, 1, 1; faster_coco_eval 1, 1, 1
TEXT
cmp --silent seen expected
