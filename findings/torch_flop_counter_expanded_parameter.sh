#!/usr/bin/env bash
# torch 2.13.0: FlopCounterMode under no_grad fails when a module gets an expanded parameter.
#
# Versions: torch 2.13.0, Python 3.11, Linux, CPU.
# Input: a module that calls another one with self.query.expand(batch, -1, -1), as decoders with
# learned queries or mask tokens do, counted by torch.utils.flop_counter.FlopCounterMode.
# Expected: the same count with and without gradients.
# Seen: with gradients enabled 192 FLOPs. Under torch.no_grad() an AssertionError "Expected gradient
# function to be set". The view of the parameter says requires_grad=True and has no grad_fn, and the
# counter's module tracker asks each input that requires a gradient for its function. Parameters with
# requires_grad=False are counted.
#
# Output seen:
#   with gradients: 192
#   no_grad: AssertionError: Expected gradient function to be set
#   no_grad, parameters frozen: 192
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
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(1, 1, 4))
        self.inner = nn.Sequential(nn.Linear(4, 4))

    def forward(self, x):
        return self.inner(self.query.expand(len(x), 3, -1))


def counted(model, gradients):
    try:
        with torch.set_grad_enabled(gradients), FlopCounterMode(display=False) as counter:
            model(torch.zeros(2, 3, 4))
        return str(counter.get_total_flops())
    except AssertionError as error:
        return f"AssertionError: {error}"


found = {
    "with gradients": counted(Decoder(), True),
    "no_grad": counted(Decoder(), False),
    "no_grad, parameters frozen": counted(Decoder().requires_grad_(False), False),
}
for name, text in found.items():
    print(f"{name}: {text}")
seen = ["192", "AssertionError: Expected gradient function to be set", "192"]
sys.exit(0 if list(found.values()) == seen else 1)
PYTHON
