#!/usr/bin/env bash
# torch 2.14.1: the first `torch.func.jvp` of a process shows a FutureWarning about torch's own code.
# Where warnings are errors, no call of `jvp` works.
#
# Versions: torch 2.14.1 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: `torch.func.jvp(torch.sin, (x,), (t,))` with two vectors of 3 numbers; then the same with
# `torch.func.vjp`.
# Expected: a derivative and no warning. The caller uses nothing that is deprecated.
# Seen: "`torch.jit.script` is deprecated", raised in torch/_decomp/decompositions_for_jvp.py, which
# torch imports for forward-mode derivatives. Up to torch 2.13 it is a DeprecationWarning, which
# Python hides by default. From 2.14 on it is a FutureWarning, which everybody sees. With
# `-W error::FutureWarning` every call of `jvp` raises it, not only the first one. `vjp` is silent.
# So a test suite that makes warnings errors, as ours does, loses all tests with `jvp`, and a tool
# that measures Lipschitz constants by `jvp` shows its users a warning that they cannot act on.
# Way around: a filter for this message.
#
# Output seen:
#   jvp, default filters: FutureWarning from decompositions_for_jvp.py
#   jvp, FutureWarning is an error: call 1 raises, call 2 raises
#   vjp, FutureWarning is an error: no warning
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.14.1 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import traceback
import warnings

import torch

x, t = torch.arange(3.0), torch.ones(3)


def forward():
    return torch.func.jvp(torch.sin, (x,), (t,))


def backward():
    return torch.func.vjp(torch.sin, x)[1](t)


def outcome(call):
    try:
        call()
    except FutureWarning as error:
        files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
        return "raises" if any(f.endswith("decompositions_for_jvp.py") for f in files) else "other"
    return "no warning"


with warnings.catch_warnings():
    warnings.simplefilter("error", FutureWarning)
    calls = [outcome(forward) for _ in range(2)]
    silent = outcome(backward)
with warnings.catch_warnings(record=True) as shown:
    warnings.simplefilter("default")
    forward()
kinds = {one.category.__name__ for one in shown if "torch.jit.script" in str(one.message)}
print(f"jvp, default filters: {', '.join(kinds)} from decompositions_for_jvp.py")
print(f"jvp, FutureWarning is an error: call 1 {calls[0]}, call 2 {calls[1]}")
print(f"vjp, FutureWarning is an error: {silent}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" check.py | tee seen
cat > expected <<'TEXT'
jvp, default filters: FutureWarning from decompositions_for_jvp.py
jvp, FutureWarning is an error: call 1 raises, call 2 raises
vjp, FutureWarning is an error: no warning
TEXT
cmp --silent seen expected
