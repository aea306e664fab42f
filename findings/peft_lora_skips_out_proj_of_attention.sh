#!/usr/bin/env bash
# peft 0.21.2: LoRA on "all-linear" adapts `out_proj` of torch's MultiheadAttention, which is never
# called: the adapter is counted as trainable and never learns. `in_proj` is left out.
#
# Versions: peft 0.21.2, transformers 5.24.0, torch 2.13.0 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: `torch.nn.TransformerEncoderLayer(8, 2)`, LoRA with target_modules="all-linear", and one
# backward pass with adapters that are not zero. The vision transformers of torchvision and
# open_clip have the same attention.
# Expected: every adapter that `print_trainable_parameters` counts gets a gradient, and
# `merge_and_unload` changes nothing, as for the two Linear layers of the MLP.
# Seen: the adapter of `out_proj` has no gradient (None) and no influence on the output; the products
# of queries, keys and values have no adapter at all, because their weight is no Linear layer. So
# with "all-linear" only the MLP is adapted. Merging then adds the unused adapter to the weight, and
# the merged model gives another output than the one before. There is no warning.
# Likely cause: MultiheadAttention gives `out_proj.weight` to a function and does not call the
# module, so the forward pass of the adapter that replaces it never runs.
# Way around: name the attention itself, target_modules=["self_attn", "linear1", "linear2"]; peft
# knows this class and adapts both of its weights.
#
# Output seen:
#   all-linear: no gradient for self_attn.out_proj; merged output other
#   by name: no gradient for nothing; merged output same
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet \
  torch==2.13.0 peft==0.21.2 transformers==5.24.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
import torch
from peft import LoraConfig, get_peft_model

CHOICES = {"all-linear": "all-linear", "by name": ["self_attn", "linear1", "linear2"]}
for name, target in CHOICES.items():
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model = get_peft_model(layer, LoraConfig(r=2, target_modules=target, init_lora_weights=False))
    tokens = torch.randn(2, 5, 8)
    before = model(tokens)
    before.square().sum().backward()
    unused = sorted(
        {
            place.removeprefix("base_model.model.").split(".lora_")[0]
            for place, weight in model.named_parameters()
            if weight.requires_grad and weight.grad is None
        }
    )
    merged = model.merge_and_unload()
    with torch.no_grad():
        same = torch.allclose(merged(tokens), before, atol=1e-4)
    print(
        f"{name}: no gradient for {', '.join(unused) or 'nothing'}; "
        f"merged output {'same' if same else 'other'}"
    )
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py | tee seen
cat > expected <<'TEXT'
all-linear: no gradient for self_attn.out_proj; merged output other
by name: no gradient for nothing; merged output same
TEXT
cmp --silent seen expected
