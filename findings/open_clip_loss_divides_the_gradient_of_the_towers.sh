#!/usr/bin/env bash
# open_clip 3.3.0: on several processes the default ClipLoss gives the towers a gradient that is
# divided by the number of processes, and the temperature its full gradient.
#
# Versions: open_clip_torch 3.3.0, torch 2.13.0 and numpy 2.4.6, Python 3.11, Linux, CPU (gloo). Its
# file loss.py is loaded alone, which spares the installation of torchvision.
# Input: two linear towers and a `logit_scale` in DistributedDataParallel, a batch of 12 pairs shared
# by 2 processes, in float64. Its gradient is compared with the gradient of one process that sees all
# 12 pairs.
# Expected: the same gradient for all parameters, as the loss has the same value.
# Seen: with local_loss=False, gather_with_grad=False (the defaults of ClipLoss and of the command line
# of open_clip_train) the towers get half of it, `logit_scale` all of it. So the ratio of the two
# changes with the number of processes, and so do gradient clipping, SGD and the epsilon of Adam.
# With local_loss=True, gather_with_grad=False even the direction is another one. There is no warning.
# gather_with_grad=True is right with both values of local_loss.
# Likely cause: without gather_with_grad each process differentiates its own rows only, and
# DistributedDataParallel divides the sum over processes by their number.
# Way around: gather_with_grad=True.
#
# Output seen ("times" is the share of the full gradient, "cosine" that of the angle between them):
#   local_loss False, gather_with_grad False: towers 0.500 times, cosine 1.000; logit_scale 1.000 times
#   local_loss False, gather_with_grad True: towers 1.000 times, cosine 1.000; logit_scale 1.000 times
#   local_loss True, gather_with_grad True: towers 1.000 times, cosine 1.000; logit_scale 1.000 times
#   local_loss True, gather_with_grad False: another direction: True
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" -m pip install --quiet --no-deps open_clip_torch==3.3.0
cat > "$folder/check.py" <<'PYTHON'
import sys
from importlib.metadata import files
from importlib.util import module_from_spec, spec_from_file_location

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

place = next(path for path in files("open_clip_torch") if path.match("open_clip/loss.py"))
spec = spec_from_file_location("loss", place.locate())
module = module_from_spec(spec)
spec.loader.exec_module(module)
ClipLoss = module.ClipLoss

PAIRS = 12
PROCESSES = 2
SETTINGS = ((False, False), (False, True), (True, True), (True, False))


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.image = nn.Linear(6, 4, dtype=torch.float64)
        self.text = nn.Linear(5, 4, dtype=torch.float64)
        self.logit_scale = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def forward(self, images, texts):
        image = F.normalize(self.image(images), dim=-1)
        text = F.normalize(self.text(texts), dim=-1)
        return image, text, self.logit_scale.exp()


def gradients(model, loss, images, texts):
    value = loss(*model(images, texts))
    value.backward()
    towers = {n: p.grad.flatten() for n, p in model.named_parameters() if "logit_scale" not in n}
    scale = next(p.grad for n, p in model.named_parameters() if "logit_scale" in n)
    return torch.cat(list(towers.values())), scale


def process(rank, processes, store):
    torch.set_num_threads(1)
    method = f"file://{store}"
    dist.init_process_group("gloo", init_method=method, rank=rank, world_size=processes)
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(PAIRS, 6, generator=generator, dtype=torch.float64)
    texts = torch.randn(PAIRS, 5, generator=generator, dtype=torch.float64)
    full, full_scale = gradients(Towers(), ClipLoss(), images, texts)
    size = PAIRS // processes
    own = slice(rank * size, (rank + 1) * size)
    for local, gather in SETTINGS:
        loss = ClipLoss(
            local_loss=local, gather_with_grad=gather, rank=rank, world_size=processes
        )
        model = DistributedDataParallel(Towers())
        towers, scale = gradients(model, loss, images[own], texts[own])
        cosine = float(F.cosine_similarity(towers, full, dim=0))
        text = f"local_loss {local}, gather_with_grad {gather}: "
        if local and not gather:
            text += f"another direction: {cosine < 0.98}"
        else:
            text += f"towers {float(towers.norm() / full.norm()):.3f} times, cosine {cosine:.3f}; "
            text += f"logit_scale {float(scale / full_scale):.3f} times"
        if rank == 0:
            print(text, flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    arguments = (PROCESSES, f"{sys.argv[1]}/store")
    mp.start_processes(process, arguments, nprocs=PROCESSES, start_method="fork")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py "$folder" 2> log | grep local_loss | tee seen
cat > expected <<'TEXT'
local_loss False, gather_with_grad False: towers 0.500 times, cosine 1.000; logit_scale 1.000 times
local_loss False, gather_with_grad True: towers 1.000 times, cosine 1.000; logit_scale 1.000 times
local_loss True, gather_with_grad True: towers 1.000 times, cosine 1.000; logit_scale 1.000 times
local_loss True, gather_with_grad False: another direction: True
TEXT
cmp --silent seen expected
