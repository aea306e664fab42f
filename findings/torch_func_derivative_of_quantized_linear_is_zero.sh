#!/usr/bin/env bash
# torch 2.13.0: torch.func.vjp and torch.func.jvp of a dynamically quantized Linear are 0, without
# an error or a warning.
#
# Versions: torch 2.13.0 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: torch.nn.Linear(8, 4) after torch.ao.quantization.quantize_dynamic, two rows of noise.
# Expected: an error that says that the operator has no derivative. torch.autograd.grad of the same
# model raises one, "... appears to not have been used in the graph".
# Seen: both transforms return tensors of zeros, while the output moves by about as much as that of
# the float model. A power iteration on such a model gives a Lipschitz constant of 0; a sensitivity
# map is black. torch.func fills in zeros for inputs that autograd calls unused.
#
# Output seen:
#   change of the output: True
#   vjp: 0.0
#   jvp: 0.0
#   autograd.grad: RuntimeError
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import torch

torch.manual_seed(0)
linear = torch.nn.Sequential(torch.nn.Linear(8, 4))
model = torch.ao.quantization.quantize_dynamic(linear, {torch.nn.Linear}, dtype=torch.qint8)
x, step = torch.randn(2, 2, 8)
with torch.no_grad():
    moved = bool((model(x + step) - model(x)).abs().min() > 0.01)
print("change of the output:", moved)
output, pull = torch.func.vjp(model, x)
backward = float(pull(torch.ones_like(output))[0].abs().max())
print("vjp:", backward)
forward = float(torch.func.jvp(model, (x,), (step,))[1].abs().max())
print("jvp:", forward)
leaf = x.clone().requires_grad_()
try:
    torch.autograd.grad(model(leaf).sum(), leaf)
    plain = "no error"
except RuntimeError as error:
    plain = type(error).__name__
print("autograd.grad:", plain)
sys.exit(0 if moved and backward == forward == 0 and plain == "RuntimeError" else 1)
PYTHON
