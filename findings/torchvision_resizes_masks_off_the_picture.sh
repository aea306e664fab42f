#!/usr/bin/env bash
# torchvision 0.29.1: v2.Resize moves a mask against its picture, by up to half a pixel of the result.
#
# Versions: torchvision 0.29.1, torch 2.14.1, Pillow 13.0.0 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: a disc of radius 40 in the middle of 256 x 256 pixels, as a picture (tv_tensors.Image, float) and
# as its mask (tv_tensors.Mask). Both go through one v2.Resize to 128, 64, 32 and 16 pixels. The same mask
# as a Pillow picture goes through Image.resize with NEAREST.
# Expected: the mask lies on the picture, up to the rounding of single pixels at the edge.
# Seen: the disc of the mask lies up to 8 pixels of the input further down and to the right, which is
# half a pixel of the result. Its overlap with the disc of the picture (above one half) falls to 0.68.
# Pillow's mask stays in place. RandomResizedCrop and ScaleJitter resize masks in the same way. So labels
# of dense tasks made for a coarse grid, such as that of patches, are shifted.
# Likely cause: resize_mask takes InterpolationMode.NEAREST, for tensors the rule floor(index * factor),
# which reads the upper left pixel of each block. The picture is sampled at pixel centres.
# Way around: v2.functional.resize of the mask alone with InterpolationMode.NEAREST_EXACT, or shrink masks
# as Pillow pictures.
#
# Output seen (intersection over union with the picture's disc; middle of the disc in pixels of the input):
#   256 to 128: picture at 128.0, Mask 0.98 at 128.4, NEAREST_EXACT 0.98 at 127.6, Pillow 0.98 at 127.6
#   256 to 64: picture at 128.0, Mask 0.95 at 129.2, NEAREST_EXACT 0.98 at 127.5, Pillow 0.98 at 127.5
#   256 to 32: picture at 128.0, Mask 0.89 at 130.6, NEAREST_EXACT 0.99 at 127.6, Pillow 0.99 at 127.6
#   256 to 16: picture at 128.0, Mask 0.68 at 136.0, NEAREST_EXACT 1.00 at 128.0, Pillow 1.00 at 128.0
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.14.1 torchvision==0.29.1 \
  pillow==13.0.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

places = torch.arange(256) - 127.5
disc = (places[:, None] ** 2 + places**2 < 40**2)[None]
picture, mask = tv_tensors.Image(disc.float()), tv_tensors.Mask(disc.to(torch.uint8))
drawing = Image.fromarray(disc[0].numpy().astype(np.uint8))


def centre(area, size):
    """Middle of an area, in pixels of the input; 128 is the middle of the picture."""
    return (torch.nonzero(area[0]).float().mean(0)[1].item() + 0.5) * 256 / size


for size in (128, 64, 32, 16):
    small, small_mask = v2.Resize((size, size))(picture, mask)
    exact = v2.functional.resize(mask, [size, size], interpolation=InterpolationMode.NEAREST_EXACT)
    pillow = torch.from_numpy(np.array(drawing.resize((size, size), Image.Resampling.NEAREST)))[None]
    place = small >= 0.5
    parts = []
    for name, other in (("Mask", small_mask), ("NEAREST_EXACT", exact), ("Pillow", pillow)):
        area = other > 0
        overlap = ((area & place).sum() / (area | place).sum()).item()
        parts.append(f"{name} {overlap:.2f} at {centre(area, size):.1f}")
    print(f"256 to {size}: picture at {centre(place, size):.1f}, {', '.join(parts)}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py 2> log | tee seen
cat > expected <<'TEXT'
256 to 128: picture at 128.0, Mask 0.98 at 128.4, NEAREST_EXACT 0.98 at 127.6, Pillow 0.98 at 127.6
256 to 64: picture at 128.0, Mask 0.95 at 129.2, NEAREST_EXACT 0.98 at 127.5, Pillow 0.98 at 127.5
256 to 32: picture at 128.0, Mask 0.89 at 130.6, NEAREST_EXACT 0.99 at 127.6, Pillow 0.99 at 127.6
256 to 16: picture at 128.0, Mask 0.68 at 136.0, NEAREST_EXACT 1.00 at 128.0, Pillow 1.00 at 128.0
TEXT
cmp --silent seen expected
