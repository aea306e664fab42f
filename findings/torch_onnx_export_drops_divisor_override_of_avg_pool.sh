#!/usr/bin/env bash
# torch 2.13.0 with onnxscript 0.7.2: the ONNX export of avg_pool2d and avg_pool3d ignores
# `divisor_override`, so that the graph gives the mean where the model gives a sum.
#
# Versions: torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.31.1 and numpy 2.4.6,
# Python 3.11, Linux, CPU.
# Input: ones of 8 x 8 (and 8 x 8 x 8) through AvgPool2d(2, divisor_override=2), which is the low-pass
# of an orthonormal Haar transform, and through AvgPool2d(2, divisor_override=1), the sum of a patch.
# Expected: the exported graph gives what the model gives, or the export stops.
# Seen: the graph gives 1 in all cases, the mean of the window. There is no error or warning.
# Likely cause: aten_avg_pool2d and aten_avg_pool3d of onnxscript take the argument and do not use it.
# Way around: no divisor_override, and the factor behind the pooling.
#
# Output seen:
#   AvgPool2d(2): model 1, graph 1
#   AvgPool2d(2, divisor_override=2): model 2, graph 1
#   AvgPool2d(2, divisor_override=1): model 4, graph 1
#   AvgPool3d(2, divisor_override=1): model 8, graph 1
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 \
  onnxruntime==1.31.1 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import onnxruntime
import torch
from torch import nn


def value(output):
    """The value of a constant map."""
    found = set(output.flatten().tolist())
    assert len(found) == 1
    return f"{found.pop():g}"


for kind, divisor in (("2d", None), ("2d", 2), ("2d", 1), ("3d", 1)):
    model = getattr(nn, f"AvgPool{kind}")(2, divisor_override=divisor).eval()
    ones = torch.ones(1, 1, *(8,) * int(kind[0]))
    torch.onnx.export(model, (ones,), "pool.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession("pool.onnx", providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    graph = torch.from_numpy(session.run(None, {name: ones.numpy()})[0])
    title = f"AvgPool{kind}(2" + (f", divisor_override={divisor})" if divisor else ")")
    print(f"{title}: model {value(model(ones))}, graph {value(graph)}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py 2> log | grep '^AvgPool' | tee seen
cat > expected <<'TEXT'
AvgPool2d(2): model 1, graph 1
AvgPool2d(2, divisor_override=2): model 2, graph 1
AvgPool2d(2, divisor_override=1): model 4, graph 1
AvgPool3d(2, divisor_override=1): model 8, graph 1
TEXT
cmp --silent seen expected
