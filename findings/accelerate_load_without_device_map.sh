#!/usr/bin/env bash
# accelerate 1.15.0: without `device_map`, `load_checkpoint_in_model` ignores `dtype` without a word
# and cannot fill a model that accelerate's own `init_empty_weights` made.
#
# Versions: accelerate 1.15.0, torch 2.13.0 and safetensors 0.8.0, Python 3.11, Linux, CPU.
# Input: `nn.Linear(4, 3)` and its own weights in a file of safetensors.
# Expected: `device_map` is optional. By its documentation, "if provided, the weights will be
# converted to that type when loaded" of `dtype`; and an empty model is what the function is for. With
# device_map={"": "cpu"} both work.
# Seen: with dtype=torch.float16 the weights stay float32, with no warning. The empty model gives
# "ValueError: Default process group has not been initialized, please make sure to call
# init_process_group", although nothing is distributed.
# Likely cause: without `device_map`, utils/modeling.py calls
# torch.distributed.checkpoint.state_dict.set_model_state_dict(full_state_dict=True). It does not
# pass `dtype` on. If all tensors of the model are on the meta device, that function asks the
# process group for the device to load to. (A model with one tensor elsewhere is loaded there.)
#
# Output seen:
#   dtype=float16:  {'': 'cpu'} float16, no device_map float32
#   empty model:    {'': 'cpu'} loaded, no device_map ValueError
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet \
  torch==2.13.0 accelerate==1.15.0 safetensors==0.8.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import torch
from accelerate import init_empty_weights, load_checkpoint_in_model
from safetensors.torch import save_file

FILE = "model.safetensors"
save_file(torch.nn.Linear(4, 3).state_dict(), FILE, metadata={"format": "pt"})


def narrow(device_map):
    model = torch.nn.Linear(4, 3)
    load_checkpoint_in_model(model, FILE, device_map, dtype=torch.float16)
    return str(model.weight.dtype).removeprefix("torch.")


def empty(device_map):
    with init_empty_weights():
        model = torch.nn.Linear(4, 3)
    try:
        load_checkpoint_in_model(model, FILE, device_map)
    except ValueError as error:
        assert "process group" in str(error)
        return "ValueError"
    return "loaded"


found = [[function(place) for place in ({"": "cpu"}, None)] for function in (narrow, empty)]
print("dtype=float16:  {{'': 'cpu'}} {}, no device_map {}".format(*found[0]))
print("empty model:    {{'': 'cpu'}} {}, no device_map {}".format(*found[1]))
sys.exit(0 if found == [["float16", "float32"], ["loaded", "ValueError"]] else 1)
PYTHON
