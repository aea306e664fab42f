#!/usr/bin/env bash
# torch 2.13.0: FlopCounterMode counts the weight gradient of a grouped convolution as if it had one
# group, so that training with depthwise convolutions seems many times as expensive as it is.
#
# Versions: torch 2.13.0 and numpy 2.4.6, Python 3.11, Linux, CPU. (The wheel of 2.14.1 has the same
# formula: its conv_backward_flop takes `_groups` and does not use it.)
# Input: nn.Conv2d(64, 64, 7, padding=3, groups=g), as in ConvNeXt for g = 64, on 64 channels of
# 16 x 16, forward and then backward with gradients for input and weight.
# Expected: a backward pass costs twice the forward pass, for any g: one product of the same size for
# the input's gradient and one for the weight's.
# Seen: twice for one group, 65 times for 64 groups: the input's gradient is right, the weight's is
# counted g times. A comparison of training FLOPs then says that depthwise layers cost as much as
# full convolutions. Counts of forward passes are right, and so are those of Linear layers.
#
# Output seen:
#   groups 1: backward 2 times forward
#   groups 8: backward 9 times forward
#   groups 64: backward 65 times forward
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import torch
from torch.utils.flop_counter import FlopCounterMode

for groups in (1, 8, 64):
    layer = torch.nn.Conv2d(64, 64, 7, padding=3, groups=groups, bias=False)
    image = torch.randn(1, 64, 16, 16, requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        output = layer(image)
    multiplied = 2 * output.numel() * 64 // groups * 7 * 7
    assert forward.get_total_flops() == multiplied, "the forward count is right"
    with FlopCounterMode(display=False) as backward:
        output.sum().backward()
    times = backward.get_total_flops() / forward.get_total_flops()
    print(f"groups {groups}: backward {times:g} times forward")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py | tee seen
cat > expected <<'TEXT'
groups 1: backward 2 times forward
groups 8: backward 9 times forward
groups 64: backward 65 times forward
TEXT
cmp --silent seen expected
