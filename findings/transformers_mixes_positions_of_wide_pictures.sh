#!/usr/bin/env bash
# transformers 5.24.0: ViT and DINOv2 with an `image_size` that is not square mix up their position
# embeddings when they interpolate them, without a warning if the number of patches is a square.
#
# Versions: transformers 5.24.0, torch 2.13.0 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: ViTModel and Dinov2Model with image_size=(32, 128) and patches of 16, so 2 x 8 patches. The
# position embedding of each patch holds its row and its column. It is interpolated to 2 x 8 patches,
# its own grid. The configurations of both take a pair (height, width), and the patch embedding of
# both uses it.
# Expected: the same rows and columns, as a model with a square image_size gives; or an error.
# Seen: patches get rows and columns that are wrong by more than one patch. The 16 embeddings are taken
# for a grid of 4 x 4. So a ViT that was trained on wide pictures (which is right) loses its positions
# with interpolate_pos_encoding=True. DINOv2 has them mixed up in each forward pass of its own size,
# because it always interpolates if height and width differ. With 4 x 8 patches, which are no square
# number, the same call stops with an error of reshape.
# Likely cause: interpolate_pos_encoding takes the square root of the number of patches as both sides.
# The code of ViTMSN, DeiT and DINOv2 with registers is the same.
# Way around: a square image_size, or a method of one's own that reshapes to image_size // patch_size.
#
# Output seen (largest error of a row or column, in patches):
#   ViTModel, image_size (64, 64): below 0.001
#   ViTModel, image_size (32, 128): above 1
#   ViTModel, image_size (64, 128): RuntimeError
#   Dinov2Model, image_size (64, 64): below 0.001
#   Dinov2Model, image_size (32, 128): above 1
#   Dinov2Model, image_size (64, 128): RuntimeError
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.24.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import torch
from transformers import Dinov2Config, Dinov2Model, ViTConfig, ViTModel

PATCH = 16


def error(kind, config, size):
    """Largest error of a position after the interpolation to the model's own grid."""
    options = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    embeddings = kind(config(image_size=size, patch_size=PATCH, **options)).eval().embeddings
    rows, columns = (torch.arange(float(side // PATCH)) for side in size)
    places = torch.cartesian_prod(rows, columns)
    with torch.no_grad():
        embeddings.position_embeddings[0, 1:, :2] = places
        tokens = torch.zeros(1, 1 + len(places), 8)
        found = embeddings.interpolate_pos_encoding(tokens, *size)[0, 1:, :2]
    return float((found - places).abs().max())


for kind, config in ((ViTModel, ViTConfig), (Dinov2Model, Dinov2Config)):
    for size in ((64, 64), (32, 128), (64, 128)):
        try:
            found = error(kind, config, size)
            text = "below 0.001" if found < 1e-3 else "above 1" if found > 1 else "between"
        except RuntimeError as stop:
            text = type(stop).__name__
        print(f"{kind.__name__}, image_size {size}: {text}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py 2> log | tee seen
cat > expected <<'TEXT'
ViTModel, image_size (64, 64): below 0.001
ViTModel, image_size (32, 128): above 1
ViTModel, image_size (64, 128): RuntimeError
Dinov2Model, image_size (64, 64): below 0.001
Dinov2Model, image_size (32, 128): above 1
Dinov2Model, image_size (64, 128): RuntimeError
TEXT
cmp --silent seen expected
