#!/usr/bin/env bash
# Pillow 13.0.0: rotate and transform with BILINEAR or BICUBIC turn a picture of 16 bits (mode "I;16")
# into noise.
#
# Versions: pillow 13.0.0 and numpy 2.4.6, Python 3.11, Linux.
# Input: 64 x 64 pixels, all of value 1000, in the modes "I;16", "I" and "F". They are rotated by 30
# degrees and shifted by half a pixel. Only pixels far from the border are compared.
# Expected: 1000 everywhere, because every mean of equal values is that value.
# Seen: "I" and "F" give 1000 with all three filters. "I;16" gives 1000 with NEAREST, and with the two
# others values below 256 only. There is no error or warning. Image.resize is right in the same mode.
# So a RandomRotation or RandomAffine with bilinear sampling destroys X-rays, depth maps and other
# greyscale PNG and TIFF files of 16 bits, which Pillow opens in this mode.
# Likely cause: the filters of Geometry.c for pixels of one byte run on pixels of two bytes. Only NEAREST
# has a filter of its own for 16 bits.
# Way around: convert to "I" or "F" first, or rotate a float array or tensor.
#
# Output seen (smallest and largest value inside):
#   rotate by 30 degrees, NEAREST: I;16 1000 to 1000, I 1000 to 1000, F 1000 to 1000
#   rotate by 30 degrees, BILINEAR: I;16 6 to 228, I 1000 to 1000, F 1000 to 1000
#   rotate by 30 degrees, BICUBIC: I;16 3 to 231, I 1000 to 1000, F 1000 to 1000
#   shift by half a pixel, NEAREST: I;16 1000 to 1000, I 1000 to 1000, F 1000 to 1000
#   shift by half a pixel, BILINEAR: I;16 117 to 117, I 1000 to 1000, F 1000 to 1000
#   shift by half a pixel, BICUBIC: I;16 117 to 117, I 1000 to 1000, F 1000 to 1000
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pillow==13.0.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import numpy as np
from PIL import Image

kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
pictures = {mode: Image.fromarray(np.full((64, 64), 1000, kind)) for mode, kind in kinds.items()}
half = (1, 0, 0.5, 0, 1, 0)
steps = {
    "rotate by 30 degrees": lambda picture, way: picture.rotate(30, way),
    "shift by half a pixel": lambda picture, way: picture.transform(
        (64, 64), Image.Transform.AFFINE, half, way
    ),
}
for title, step in steps.items():
    for way in (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC):
        parts = []
        for mode, picture in pictures.items():
            assert picture.mode == mode
            moved = step(picture, way)
            assert moved.mode == mode
            inside = np.asarray(moved)[20:44, 20:44]
            parts.append(f"{mode} {inside.min():.0f} to {inside.max():.0f}")
        print(f"{title}, {way.name}: {', '.join(parts)}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" check.py | tee seen
cat > expected <<'TEXT'
rotate by 30 degrees, NEAREST: I;16 1000 to 1000, I 1000 to 1000, F 1000 to 1000
rotate by 30 degrees, BILINEAR: I;16 6 to 228, I 1000 to 1000, F 1000 to 1000
rotate by 30 degrees, BICUBIC: I;16 3 to 231, I 1000 to 1000, F 1000 to 1000
shift by half a pixel, NEAREST: I;16 1000 to 1000, I 1000 to 1000, F 1000 to 1000
shift by half a pixel, BILINEAR: I;16 117 to 117, I 1000 to 1000, F 1000 to 1000
shift by half a pixel, BICUBIC: I;16 117 to 117, I 1000 to 1000, F 1000 to 1000
TEXT
cmp --silent seen expected
