#!/usr/bin/env bash
# torch 2.13.0: the moving average of a model with `use_buffers=True` lowers whole numbers by one, so
# an averaged Swin looks up other position biases than the model that it is the average of.
#
# Versions: torch 2.13.0, transformers 5.24.0 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: a small Swin of transformers (windows of 7 x 7) and
# `AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)`, which torch's
# documentation shows with decay 0.9. Nothing is trained: the model is averaged with itself.
# Expected: the average of equal models is that model.
# Seen: all weights are equal, but with decays 0.9 and 0.9999 many entries of the integer buffers
# `relative_position_index` are one too small, and the logits differ. With decay 0.999 it does not
# show. There is no error and no warning. Buffers that are not saved are changed too.
# Likely cause: get_ema_multi_avg_fn computes `average * decay + new * (1 - decay)` in float32 for
# whole numbers as well. It often gives a little less than the whole number, and the copy to
# integers cuts the fraction off. get_ema_avg_fn does the same.
# Way around: `use_buffers=False`, which copies buffers, or timm's ModelEmaV3, which averages
# floating-point buffers only.
#
# Output seen:
#   decay 0.9: weights equal, 2644 of 9604 indices moved by 1, logits differ
#   decay 0.999: weights equal, 0 of 9604 indices moved by 1, logits equal
#   decay 0.9999: weights equal, 1668 of 9604 indices moved by 1, logits differ
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.24.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import SwinConfig, SwinForImageClassification

torch.manual_seed(0)
config = SwinConfig(image_size=56, embed_dim=24, depths=[2, 2], num_heads=[2, 4], window_size=7)
model = SwinForImageClassification(config).eval()
images = torch.randn(2, 3, 56, 56)
with torch.no_grad():
    for name, weight in model.named_parameters():
        if "relative_position_bias_table" in name:  # begins as zeros
            weight.normal_()

indices = [buffer for buffer in model.buffers() if not buffer.is_floating_point()]
for decay in (0.9, 0.999, 0.9999):
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    for _ in range(20):
        average.update_parameters(model)
    weights = zip(average.module.parameters(), model.parameters(), strict=True)
    same = all(torch.equal(one, other) for one, other in weights)
    found = [buffer for buffer in average.module.buffers() if not buffer.is_floating_point()]
    steps = torch.cat([(a - b).flatten() for a, b in zip(indices, found, strict=True)])
    assert set(steps.unique().tolist()) <= {0, 1}
    with torch.no_grad():
        equal = torch.equal(average.module(images).logits, model(images).logits)
    print(
        f"decay {decay}: weights {'equal' if same else 'differ'}, {int(steps.sum())} of "
        f"{len(steps)} indices moved by 1, logits {'equal' if equal else 'differ'}"
    )
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py | tee seen
cat > expected <<'TEXT'
decay 0.9: weights equal, 2644 of 9604 indices moved by 1, logits differ
decay 0.999: weights equal, 0 of 9604 indices moved by 1, logits equal
decay 0.9999: weights equal, 1668 of 9604 indices moved by 1, logits differ
TEXT
cmp --silent seen expected
