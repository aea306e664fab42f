#!/usr/bin/env bash
# torch 2.13.0 with onnxscript 0.7.2: the ONNX export of F.interpolate with antialias=True ignores
# `scale_factor`, so that the graph samples other places than the model.
#
# Versions: torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.31.1 and numpy 2.4.6,
# Python 3.11, Linux, CPU.
# Input: a map of 37 x 37 places that hold their column (a ViT with patches of 14 has one at 518
# pixels), reduced by F.interpolate with scale_factor=0.7 to 25 x 25.
# Expected: the exported graph gives what the model gives.
# Seen: it does without antialias. With antialias it gives what F.interpolate with size=(25, 25)
# gives, which is more than a column off at the right border. The difference comes from 37 times 0.7
# not being a whole number: torch samples in steps of 1 / 0.7, the graph in steps of 37 / 25. No
# error or warning tells it.
# Likely cause: _upsample_bicubic2d_aa and _upsample_bilinear2d_aa of the exporter get the factors and
# write a Resize with the size only.
# Way around: recompute_scale_factor=True or `size=`, in training too.
#
# Output seen (largest difference in columns):
#   bicubic: graph and model differ by 0.000
#   bicubic, antialias: graph and model differ by 1.241, graph and size=(25, 25) by 0.000
#   bilinear: graph and model differ by 0.000
#   bilinear, antialias: graph and model differ by 1.195, graph and size=(25, 25) by 0.000
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
import torch.nn.functional as F

table = torch.arange(37.0).expand(1, 1, 37, 37).clone()


class Resize(torch.nn.Module):
    def __init__(self, mode, antialias):
        super().__init__()
        self.how = {"mode": mode, "antialias": antialias}

    def forward(self, x):
        return F.interpolate(x, scale_factor=0.7, **self.how)


def difference(one, other):
    assert one.shape == other.shape == (1, 1, 25, 25)
    return float((one - other).abs().max())


for mode in ("bicubic", "bilinear"):
    for antialias in (False, True):
        model = Resize(mode, antialias).eval()
        torch.onnx.export(model, (table,), "resize.onnx", dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession("resize.onnx", providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        graph = torch.from_numpy(session.run(None, {name: table.numpy()})[0])
        line = f"{mode}, antialias" if antialias else mode
        line += f": graph and model differ by {difference(graph, model(table)):.3f}"
        if antialias:
            plain = F.interpolate(table, size=(25, 25), **model.how)
            line += f", graph and size=(25, 25) by {difference(graph, plain):.3f}"
        print(line)
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py | grep '^bi' | tee seen
cat > expected <<'TEXT'
bicubic: graph and model differ by 0.000
bicubic, antialias: graph and model differ by 1.241, graph and size=(25, 25) by 0.000
bilinear: graph and model differ by 0.000
bilinear, antialias: graph and model differ by 1.195, graph and size=(25, 25) by 0.000
TEXT
cmp --silent seen expected
