#!/usr/bin/env bash
# torch 2.13.0: the recommended gradient checkpointing does not work for attention on jagged nested
# tensors on a CPU.
#
# Versions: torch 2.13.0, Python 3.11, Linux, CPU.
# Input: 8 vectors as two sequences of 3 and 5 (`torch.nested.nested_tensor_from_jagged`), through
# `scaled_dot_product_attention` with two heads. Input and output of the function are plain tensors.
# Expected: `torch.utils.checkpoint.checkpoint(function, x, use_reentrant=False)` gives the gradient
# that the function gives without it.
# Seen: backward raises "Internal error: NestedTensorImpl doesn't support sizes. Please file an
# issue." With `determinism_check="none"`, or with `use_reentrant=True`, the gradient is right.
# Likely cause: by default the recomputation is compared with the first pass by the shapes of the
# saved tensors; attention saves nested tensors, and a nested tensor of the C++ kind has no shape.
#
# Output seen:
#   use_reentrant=False: RuntimeError: NestedTensorImpl doesn't support sizes
#   use_reentrant=False, determinism_check="none": equal
#   use_reentrant=True: equal
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
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

generator = torch.Generator().manual_seed(0)
INPUT = torch.randn(8, 8, generator=generator, dtype=torch.float64)
ENDS = torch.tensor([0, 3, 8])


def attend(x):
    sequences = torch.nested.nested_tensor_from_jagged(x, ENDS)
    heads = sequences.unflatten(-1, (2, 4)).transpose(1, 2)
    mixed = scaled_dot_product_attention(heads, heads, heads)
    return mixed.transpose(1, 2).flatten(-2).values()


def gradient(function):
    x = INPUT.clone().requires_grad_()
    function(x).square().sum().backward()
    return x.grad


def outcome(**options):
    try:
        found = gradient(lambda x: checkpoint(attend, x, **options))
    except RuntimeError as error:
        assert "NestedTensorImpl doesn't support sizes" in str(error)
        return "RuntimeError: NestedTensorImpl doesn't support sizes"
    return "equal" if torch.allclose(found, gradient(attend)) else "another gradient"


outcomes = {
    "use_reentrant=False": outcome(use_reentrant=False),
    'use_reentrant=False, determinism_check="none"': outcome(
        use_reentrant=False, determinism_check="none"
    ),
    "use_reentrant=True": outcome(use_reentrant=True),
}
for words, found in outcomes.items():
    print(f"{words}: {found}")
first, *others = outcomes.values()
sys.exit(0 if first.startswith("RuntimeError") and set(others) == {"equal"} else 1)
PYTHON
