#!/usr/bin/env bash
# PyWavelets 1.9.0: a new WaveletPacket filled with all packets of a signal does not give the signal back
# in mode "periodization", if a level has an odd length.
#
# Versions: PyWavelets 1.9.0 and numpy 2.4.6, Python 3.11, Linux.
# Input: the ramp 0, 1, 2, ... of 14, 16, 18 and 20 samples and of 14 x 14 pixels with "db2", two levels. The
# packets of level 2 go into WaveletPacket(data=None, ...), as in the documentation's chapter on packets.
# Expected: the signal, as from the tree of origin and from wavedec and waverec with the same settings.
# Seen: exact for 16 and 20 samples. For 14 and 18 samples, whose first level has 7 and 9, the result has
# 2 samples more, and those of the signal's own places are wrong as well. There is no error or warning.
# Likely cause: a tree without data does not know the length of the first level, so it takes one
# coefficient too many into the next synthesis, which "periodization" wraps around to the other end.
# Way around: a tree made of zeros of the signal's shape, decomposed with get_level(2) before `data` of its
# nodes is set; or pad to a multiple of 2 ** level first.
#
# Output seen (length, largest difference):
#   14 samples: tree of origin 14, 0.00; waverec 14, 0.00; new tree 16, 4.70; tree of zeros 14, 0.00
#   16 samples: tree of origin 16, 0.00; waverec 16, 0.00; new tree 16, 0.00; tree of zeros 16, 0.00
#   18 samples: tree of origin 18, 0.00; waverec 18, 0.00; new tree 20, 6.43; tree of zeros 18, 0.00
#   20 samples: tree of origin 20, 0.00; waverec 20, 0.00; new tree 20, 0.00; tree of zeros 20, 0.00
#   14 x 14 pixels: tree of origin 14, 0.00; new tree 16, 70.44; tree of zeros 14, 0.00
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet PyWavelets==1.9.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import numpy as np
import pywt

settings = {"wavelet": "db2", "mode": "periodization"}


def compare(result, signal):
    """The length of the result, and its largest difference at the places of the signal."""
    part = result[tuple(slice(size) for size in signal.shape)]
    return f"{len(result)}, {np.abs(part - signal).max():.2f}"


def trees(kind, signal):
    """Results of the tree of origin, of a new one and of a decomposed one of zeros."""
    origin = kind(data=signal, maxlevel=2, **settings)
    packets = {node.path: node.data for node in origin.get_level(2)}
    found = [compare(origin.reconstruct(update=False), signal)]
    new = kind(data=None, **settings)
    for path, values in packets.items():
        new[path] = values
    zeros = kind(data=np.zeros_like(signal), **settings)
    for node in zeros.get_level(2):
        node.data = packets[node.path]
    found += [compare(tree.reconstruct(update=False), signal) for tree in (new, zeros)]
    return found


for size in (14, 16, 18, 20):
    signal = np.arange(size, dtype=np.float64)
    origin, new, zeros = trees(pywt.WaveletPacket, signal)
    plain = compare(pywt.waverec(pywt.wavedec(signal, level=2, **settings), **settings), signal)
    print(
        f"{size} samples: tree of origin {origin}; waverec {plain}; new tree {new}; "
        f"tree of zeros {zeros}"
    )
origin, new, zeros = trees(pywt.WaveletPacket2D, np.arange(196.0).reshape(14, 14))
print(f"14 x 14 pixels: tree of origin {origin}; new tree {new}; tree of zeros {zeros}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py | tee seen
cat > expected <<'TEXT'
14 samples: tree of origin 14, 0.00; waverec 14, 0.00; new tree 16, 4.70; tree of zeros 14, 0.00
16 samples: tree of origin 16, 0.00; waverec 16, 0.00; new tree 16, 0.00; tree of zeros 16, 0.00
18 samples: tree of origin 18, 0.00; waverec 18, 0.00; new tree 20, 6.43; tree of zeros 18, 0.00
20 samples: tree of origin 20, 0.00; waverec 20, 0.00; new tree 20, 0.00; tree of zeros 20, 0.00
14 x 14 pixels: tree of origin 14, 0.00; new tree 16, 70.44; tree of zeros 14, 0.00
TEXT
cmp --silent seen expected
