#!/usr/bin/env bash
# timm 1.0.31: `layer_decay` of the optimizer factory changes nothing unless a scheduler of timm runs
# too. With a scheduler of torch, or with none, all layers learn at the same rate.
#
# Versions: timm 1.0.31, torch 2.14.1, torchvision 0.29.1 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: timm's `test_vit` and create_optimizer_v2(model, "adamw", lr=1e-3, layer_decay=0.5), then no
# scheduler, torch's CosineAnnealingLR or timm's CosineLRScheduler. The rates of the first step.
# Expected: rates that halve from layer to layer. The documentation of the function says that
# "learning rates will be scaled by layer_decay^(max_depth - layer_depth)", and its example of this
# argument has no scheduler.
# Seen: without a scheduler, and with torch's, every group has 1e-3. So a fine-tuning with the usual
# torch loop, or with the Trainer of transformers, which makes a scheduler of torch, has no
# layer-wise decay. There is no warning.
# Likely cause: the factors are in the groups under the key `lr_scale`. torch's optimizers keep keys
# that they do not know; only timm's schedulers read this one.
# Way around: group["lr"] *= group["lr_scale"] for every group, before a scheduler of torch is made.
#
# Output seen:
#   no scheduler: factors from 0.0078125 to 1, rates from 0.001 to 0.001
#   CosineAnnealingLR: factors from 0.0078125 to 1, rates from 0.001 to 0.001
#   CosineLRScheduler: factors from 0.0078125 to 1, rates from 7.8125e-06 to 0.001
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet \
  torch==2.14.1 torchvision==0.29.1 timm==1.0.31 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import timm
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from torch.optim.lr_scheduler import CosineAnnealingLR

schedulers = {
    "no scheduler": lambda optimizer: None,
    "CosineAnnealingLR": lambda optimizer: CosineAnnealingLR(optimizer, T_max=10),
    "CosineLRScheduler": lambda optimizer: CosineLRScheduler(optimizer, t_initial=10),
}
for name, scheduler in schedulers.items():
    model = timm.create_model("test_vit", num_classes=5)
    optimizer = create_optimizer_v2(model, "adamw", lr=1e-3, layer_decay=0.5)
    scheduler(optimizer)
    factors = [group["lr_scale"] for group in optimizer.param_groups]
    rates = [group["lr"] for group in optimizer.param_groups]
    print(
        f"{name}: factors from {min(factors):g} to {max(factors):g}, "
        f"rates from {min(rates):g} to {max(rates):g}"
    )
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py | tee seen
cat > expected <<'TEXT'
no scheduler: factors from 0.0078125 to 1, rates from 0.001 to 0.001
CosineAnnealingLR: factors from 0.0078125 to 1, rates from 0.001 to 0.001
CosineLRScheduler: factors from 0.0078125 to 1, rates from 7.8125e-06 to 0.001
TEXT
cmp --silent seen expected
