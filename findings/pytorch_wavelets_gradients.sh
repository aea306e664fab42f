#!/usr/bin/env bash
# pytorch-wavelets 1.3.0: the values of DWTForward are right, its gradients are wrong in most modes.
#
# DWTForward is linear, so the derivative of a weighted sum of its outputs along a direction e is
# that sum for the input e, exactly. Its hand-written backward passes do not give this value:
#   mode 'zero'                        right (relative error 1e-15) for every wavelet and size
#   'symmetric', 'reflect', 'periodic' wrong by 5 % to 160 % below; Haar on even sides is right
#   'periodization'                    right on even sides for filters that fit, wrong on odd sides
# A model that is trained through these modes gets gradients that are not those of the transform.
# Seen with torch 2.13.0, PyWavelets 1.9.0, numpy 2.4.6 on a CPU, Python 3.11.
# Exit status 0: the behaviour is as described. 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.13.0 numpy==2.4.6 PyWavelets==1.9.0 pytorch-wavelets==1.3.0 'setuptools<81'
cat > "$folder/look.py" <<'PY'
import sys
import warnings

warnings.simplefilter("ignore")
import torch
from pytorch_wavelets import DWTForward

torch.set_default_dtype(torch.float64)


def error(mode: str, size: tuple[int, int], wave: str) -> float:
    """Relative error of the derivative of a linear map along one direction."""
    draw = torch.Generator().manual_seed(0)
    transform = DWTForward(J=1, wave=wave, mode=mode)
    x, direction = (torch.randn(1, 1, *size, generator=draw) for _ in range(2))
    x.requires_grad_()
    low, (high,) = transform(x)
    weights = [torch.randn(band.shape, generator=draw) for band in (low, high)]

    def weighted(low, high):
        return (low * weights[0]).sum() + (high * weights[1]).sum()

    (gradient,) = torch.autograd.grad(weighted(low, high), x)
    low, (high,) = transform(direction)
    exact = weighted(low, high)
    return float(abs((gradient * direction).sum() - exact) / abs(exact))


expected = {  # mode: (even sides, odd sides) right?
    "zero": (True, True),
    "symmetric": (False, False),
    "reflect": (False, False),
    "periodic": (False, False),
    "periodization": (True, False),
}
same = True
for mode, right in expected.items():
    for size, expect in zip(((8, 8), (7, 9)), right):
        found = error(mode, size, "db2")
        same &= (found < 1e-10) == expect
        print(f"db2 {mode:14} {size[0]} x {size[1]}: relative error of the gradient {found:.1e}")
sys.exit(0 if same else 1)
PY
"$folder/venv/bin/python" "$folder/look.py"
