#!/usr/bin/env bash
# transformers 5.24.0: the two backends of an image processor place a picture that is smaller than the
# crop one pixel apart.
#
# Versions: transformers 5.24.0, torch 2.14.1, torchvision 0.29.1, Pillow 13.0.0 and numpy 2.4.6,
# Python 3.11, Linux, CPU.
# Input: pictures of one value, 32 x 32 and 37 x 53 (height x width), and CLIPImageProcessor
# (torchvision) and CLIPImageProcessorPil with do_resize=False and a crop of 64 x 64. Both fill the
# rest with zeros.
# Expected: the same place. AutoImageProcessor takes the one backend or the other by what is installed.
# Seen: where the crop is larger by an odd number of pixels, the Pillow backend places the picture one
# pixel lower or further to the right. By an even number both agree. So a model gets a shifted
# picture on a machine without torchvision.
# Likely cause: center_crop of image_transforms.py rounds half of the missing pixels up, center_crop of
# TorchvisionBackend rounds it down.
# Way around: name the class, or pad the pictures to an even difference before.
#
# Output seen (first row and first column of the picture in the crop):
#   32 x 32: torchvision (16, 16), Pillow (16, 16)
#   37 x 53: torchvision (13, 5), Pillow (14, 6)
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.14.1 torchvision==0.29.1 \
  transformers==5.24.0 pillow==13.0.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import numpy as np
from PIL import Image
from transformers import CLIPImageProcessor, CLIPImageProcessorPil

settings = {
    "do_resize": False,
    "do_rescale": False,
    "do_normalize": False,
    "crop_size": {"height": 64, "width": 64},
}


def place(processor, picture):
    """First row and column of the picture in the crop; all of it is there."""
    crop = np.asarray(processor(picture, return_tensors="np")["pixel_values"])[0, 0]
    assert crop.shape == (64, 64)
    rows, columns = np.nonzero(crop)
    assert len(rows) == picture.height * picture.width
    return int(rows.min()), int(columns.min())


for height, width in ((32, 32), (37, 53)):
    picture = Image.fromarray(np.full((height, width, 3), 200, dtype=np.uint8))
    one, other = (
        place(kind(**settings), picture) for kind in (CLIPImageProcessor, CLIPImageProcessorPil)
    )
    print(f"{height} x {width}: torchvision {one}, Pillow {other}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py 2> log | tee seen
cat > expected <<'TEXT'
32 x 32: torchvision (16, 16), Pillow (16, 16)
37 x 53: torchvision (13, 5), Pillow (14, 6)
TEXT
cmp --silent seen expected
