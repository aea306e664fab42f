#!/usr/bin/env bash
# torch 2.13.0: under `torch.no_grad()`, `F.linear` gives other bits for a weight that asks for a
# gradient than for the same weight that does not, where the input is a transposed view.
#
# Versions: torch 2.13.0, Python 3.11, Linux, CPU (x86, AVX2 and AVX-512).
# Input: `F.linear(x, weight, bias)` with `x` (batch, tokens, features), a transposed view, and 36
# sizes; once with a plain weight, once with a copy that has `requires_grad=True`; both under
# `torch.no_grad()`.
# Expected: equal results. Without a gradient mode nobody can ask for a derivative.
# Seen: 12 of the 36 sizes differ in the last bits with AVX-512, 24 with AVX2 only. For contiguous
# inputs all are equal.
# So a model that is saved frozen (`requires_grad_(False)`) and loaded without that is not equal to
# the bit, although all weights are.
# Likely cause: a product of three dimensions is folded into one of two, or computed as a batch, and
# the choice asks `requires_grad` of the weight and not the gradient mode.
# Way around: the same `requires_grad` on both sides, or `x.contiguous()`.
#
# Output seen:
#   transposed view: some sizes differ
#   contiguous: no size differs
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import torch
import torch.nn.functional as F

torch.set_num_threads(1)


def differs(arrange, batch, features, tokens):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, features, tokens, generator=generator).transpose(1, 2)
    weight = torch.randn(64, features, generator=generator)
    bias = torch.randn(64, generator=generator)
    with torch.no_grad():
        frozen = F.linear(arrange(x), weight, bias)
        trained = F.linear(arrange(x), weight.clone().requires_grad_(), bias)
    return not torch.equal(frozen, trained)


SIZES = [(b, f, t) for b in (2, 4, 8) for f in (9, 17, 33, 64) for t in (4, 16, 49)]
for name, arrange in (("transposed view", lambda x: x), ("contiguous", lambda x: x.contiguous())):
    found = any(differs(arrange, *size) for size in SIZES)
    print(f"{name}: {'some sizes differ' if found else 'no size differs'}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" check.py | tee seen
cat > expected <<'TEXT'
transposed view: some sizes differ
contiguous: no size differs
TEXT
cmp --silent seen expected
