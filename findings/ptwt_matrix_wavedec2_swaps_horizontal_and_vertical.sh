#!/usr/bin/env bash
# ptwt 1.0.1: MatrixWavedec2 returns the horizontal details as vertical and the vertical ones as
# horizontal, in its default setting only.
#
# Versions: ptwt 1.0.1, PyWavelets 1.9.0, torch 2.13.0 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: a picture of vertical stripes, 16 x 16, and one level of Haar, which needs no border.
# Expected: the energy in `vertical`, as from ptwt.wavedec2, pywt.wavedec2 and
# MatrixWavedec2(separable=False). WaveletDetailTuple2d is documented with "the pywt convention".
# Seen: the energy in `horizontal`. waverec2 of these coefficients gives another picture; only
# MatrixWaverec2 with the same setting knows the order. WaveletPacket2D with mode="boundary" and
# separable=True has its keys "h" and "v" swapped in the same way. There is no warning. So a network
# or a statistic of oriented bands changes if one transform of ptwt is exchanged for the other.
# Likely cause: the separable code in matmul_transform_2.py puts the band first that is low-pass along
# the height and high-pass along the width. PyWavelets' horizontal details are the other one.
# Way around: exchange the first two details of every level, or separable=False.
#
# Output seen:
#   pywt.wavedec2: vertical
#   ptwt.wavedec2: vertical
#   MatrixWavedec2(separable=False): vertical
#   MatrixWavedec2(): horizontal
#   waverec2 of MatrixWavedec2(separable=False): the picture
#   waverec2 of MatrixWavedec2(): another picture
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet \
  torch==2.13.0 ptwt==1.0.1 PyWavelets==1.9.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import ptwt
import pywt
import torch

stripes = (torch.arange(16) % 2).double().expand(16, 16).clone()
names = ("horizontal", "vertical", "diagonal")


def band(details):
    energies = [float(torch.as_tensor(detail).square().sum()) for detail in details]
    return names[energies.index(max(energies))]


print("pywt.wavedec2:", band(pywt.wavedec2(stripes.numpy(), "haar", level=1)[1]))
print("ptwt.wavedec2:", band(ptwt.wavedec2(stripes, "haar", level=1)[1]))
transforms = {
    "MatrixWavedec2(separable=False)": ptwt.MatrixWavedec2("haar", 1, separable=False),
    "MatrixWavedec2()": ptwt.MatrixWavedec2("haar", 1),
}
found = {name: transform(stripes) for name, transform in transforms.items()}
for name, coefficients in found.items():
    print(f"{name}:", band(coefficients[1]))
for name, coefficients in found.items():
    same = torch.allclose(ptwt.waverec2(coefficients, "haar").reshape(16, 16), stripes)
    print(f"waverec2 of {name}:", "the picture" if same else "another picture")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py | tee seen
cat > expected <<'TEXT'
pywt.wavedec2: vertical
ptwt.wavedec2: vertical
MatrixWavedec2(separable=False): vertical
MatrixWavedec2(): horizontal
waverec2 of MatrixWavedec2(separable=False): the picture
waverec2 of MatrixWavedec2(): another picture
TEXT
cmp --silent seen expected
