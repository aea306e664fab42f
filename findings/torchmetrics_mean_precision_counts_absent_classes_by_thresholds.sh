#!/usr/bin/env bash
# torchmetrics 1.9.0: the mean average precision counts a class without samples as 0 if `thresholds` is
# given, and leaves it out if not.
#
# Versions: torchmetrics 1.9.0, torch 2.14.1 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: four right and sure predictions for four classes. No sample has the fourth class.
# Expected: the same treatment. The argument `thresholds` sets memory against accuracy.
# Seen: MulticlassAveragePrecision gives 1 with thresholds=None, with a warning, and 0.75 with
# thresholds=100, without one. MulticlassAUROC gives 0.75 in both cases. MultilabelAveragePrecision
# also counts the absent label as 0. So the figures of two runs, or of a validation and a test set,
# differ by the number of absent classes, up to many percent with many rare classes.
# Likely cause: _reduce_average_precision replaces nan by 0 before the mean if the curves are tensors.
# Way around: average=None, and the mean over the classes that have samples.
#
# Output seen (mean; single classes; number of warnings):
#   MulticlassAveragePrecision, thresholds=None: 1; 1, 1, 1, nan; 1
#   MulticlassAveragePrecision, thresholds=100: 0.75; 1, 1, 1, 0; 0
#   MulticlassAUROC, thresholds=None: 0.75; 1, 1, 1, 0; 1
#   MulticlassAUROC, thresholds=100: 0.75; 1, 1, 1, 0; 0
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.14.1 torchmetrics==1.9.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import warnings

import torch
from torchmetrics.classification import MulticlassAUROC, MulticlassAveragePrecision

scores = torch.full((4, 4), 0.1)
labels = torch.tensor([0, 1, 2, 0])
scores[torch.arange(4), labels] = 0.7


def result(kind, thresholds, average):
    """The value of the metric, and how many warnings it gave."""
    metric = kind(num_classes=4, thresholds=thresholds, average=average)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        metric.update(scores, labels)
        value = metric.compute()
    return [f"{number + 0.0:g}" for number in value.reshape(-1).tolist()], len(seen)


for kind in (MulticlassAveragePrecision, MulticlassAUROC):
    for thresholds in (None, 100):
        (mean,), count = result(kind, thresholds, "macro")
        classes, _ = result(kind, thresholds, None)
        print(f"{kind.__name__}, thresholds={thresholds}: {mean}; {', '.join(classes)}; {count}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py 2> log | tee seen
cat > expected <<'TEXT'
MulticlassAveragePrecision, thresholds=None: 1; 1, 1, 1, nan; 1
MulticlassAveragePrecision, thresholds=100: 0.75; 1, 1, 1, 0; 0
MulticlassAUROC, thresholds=None: 0.75; 1, 1, 1, 0; 1
MulticlassAUROC, thresholds=100: 0.75; 1, 1, 1, 0; 0
TEXT
cmp --silent seen expected
