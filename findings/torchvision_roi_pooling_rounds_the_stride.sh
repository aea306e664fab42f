#!/usr/bin/env bash
# torchvision 0.29.1: MultiScaleRoIAlign takes the stride of a map as a power of two, so boxes are
# pooled from the wrong place on the features of a ViT with patches of 14 pixels.
#
# Versions: torchvision 0.29.1, torch 2.14.1 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: a picture of 224 x 224 whose pixels hold their column, its mean over patches of 14 x 14 as
# the feature map (DINOv2's size), and the box from column 140 to 180, pooled to 2 x 2.
# Expected: what roi_align gives with spatial_scale=1/14: columns 156.5 and 176.5, the centres of the
# two halves and half a patch (its default is aligned=False).
# Seen: 137.8 and 155.2, about half a box to the left, although picture and map fit exactly. The
# pooler reports the scale 0.0625, which is 1/16. With patches of 12 the box is further off; with 8
# both agree. FasterRCNN and MaskRCNN build on this pooler. There is no error and no warning.
# Likely cause: ops/poolers.py rounds the logarithm of the ratio of the sizes to a whole power of two
# (_infer_scale), and there is no argument for the scale.
# Way around: a box_roi_pool of one's own with roi_align and the true stride.
#
# Output seen:
#   patch  8: scale 1/8, columns 153.5 and 173.5; roi_align 153.5 and 173.5
#   patch 12: scale 1/16, columns 118.0 and 133.0; roi_align 155.5 and 175.5
#   patch 14: scale 1/16, columns 137.8 and 155.2; roi_align 156.5 and 176.5
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.14.1 torchvision==0.29.1 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import torch
import torch.nn.functional as F
from torchvision.ops import MultiScaleRoIAlign, roi_align

picture = torch.arange(224.0).expand(1, 1, 224, 224)
box = [torch.tensor([[140.0, 140.0, 180.0, 180.0]])]
for patch in (8, 12, 14):
    features = F.avg_pool2d(picture, patch)
    pooler = MultiScaleRoIAlign(["0"], output_size=2, sampling_ratio=2)
    found = pooler({"0": features}, box, [(224, 224)])[0, 0, 0].tolist()
    true = roi_align(features, box, 2, spatial_scale=1 / patch, sampling_ratio=2)[0, 0, 0].tolist()
    print(
        f"patch {patch:2d}: scale 1/{1 / pooler.scales[0]:g}, columns {found[0]:.1f} and "
        f"{found[1]:.1f}; roi_align {true[0]:.1f} and {true[1]:.1f}"
    )
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py | tee seen
cat > expected <<'TEXT'
patch  8: scale 1/8, columns 153.5 and 173.5; roi_align 153.5 and 173.5
patch 12: scale 1/16, columns 118.0 and 133.0; roi_align 155.5 and 175.5
patch 14: scale 1/16, columns 137.8 and 155.2; roi_align 156.5 and 176.5
TEXT
cmp --silent seen expected
