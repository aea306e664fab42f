#!/usr/bin/env bash
# scikit-image 0.26.0: denoise_wavelet hardly denoises a float32 picture of small values. The same
# picture in float64, or in other units, is denoised.
#
# Versions: scikit-image 0.26.0, PyWavelets 1.9.0 and numpy 2.4.6, Python 3.11, Linux.
# Input: a smooth picture of 256 x 256 with values from 0 to 1 and noise of 0.1, and the same picture
# times 0.001 and 0.0001, as of radiances or probabilities; `sigma` is multiplied by the same factor.
# Default method (BayesShrink), default wavelet.
# Expected: the result times the same factor. The documentation says of floating-point pictures that
# "the original input range is maintained", and the thresholds are proportional to `sigma`.
# Seen: float64 is denoised at every scale. In float32 most of the noise is left at 0.001 and nearly
# all of it at 0.0001, without a warning.
# Likely cause: the threshold of a band is sigma² / sqrt(max(variance - sigma², eps)) with the machine
# epsilon of the dtype (1.2e-7) in place of 0. In bands of mere noise the first term is near 0, so
# that the threshold falls below sigma as soon as sigma is smaller than sqrt(eps) = 0.00035.
# Way around: `image.astype("float64")`, or scale the picture to [0, 1] before.
#
# Output seen (error that is left, in parts of the noise):
#   float64, times 1: 0.16
#   float64, times 0.001: 0.16
#   float64, times 0.0001: 0.16
#   float32, times 1: 0.16
#   float32, times 0.001: 0.79
#   float32, times 0.0001: 0.98
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet \
  scikit-image==0.26.0 PyWavelets==1.9.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import numpy as np
from skimage.restoration import denoise_wavelet

place = np.linspace(0, 1, 256)
picture = np.outer(np.sin(3 * place), np.cos(2 * place)) ** 2
noise = 0.1 * np.random.default_rng(0).standard_normal(picture.shape)
left = {}
for dtype in ("float64", "float32"):
    for factor in (1, 0.001, 0.0001):
        noisy = ((picture + noise) * factor).astype(dtype)
        result = denoise_wavelet(noisy, sigma=0.1 * factor) / factor
        left[dtype, factor] = np.sqrt(np.mean((result - picture) ** 2) / np.mean(noise**2))
        print(f"{dtype}, times {factor}: {left[dtype, factor]:.2f}")
same = all(abs(left["float64", f] - left["float64", 1]) < 0.01 for f in (0.001, 0.0001))
lost = left["float32", 0.001] > 0.5 and left["float32", 0.0001] > 0.9
raise SystemExit(not (same and lost and abs(left["float32", 1] - left["float64", 1]) < 0.01))
PYTHON
cd "$folder"
"$folder/venv/bin/python" check.py
