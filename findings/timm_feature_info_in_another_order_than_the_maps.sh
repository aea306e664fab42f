#!/usr/bin/env bash
# timm 1.0.31: with `features_only=True` and `out_indices` that do not ascend, `feature_info` lists the
# features in another order than the model returns them.
#
# Versions: timm 1.0.31, torch 2.14.1, torchvision 0.29.1 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: `test_vit` and `resnet18` with out_indices=(3, 1) and one picture of noise. (3, 1) is the
# order of a decoder that begins with the coarsest map.
# Expected: maps in the order of feature_info.module_name(), which is also the order that was asked
# for. feature_info is the documented way to learn what each map is.
# Seen: feature_info says "3, then 1". The maps come as 1, then 3. All maps of a ViT have one shape, so
# nothing stops a program that takes the one for the other. (2, 2) returns one map, and feature_info
# lists two. There is no warning.
# Likely cause: feature_info.out_indices keeps the given order; the loops over the layers append a map
# when they come to it. The same holds for `forward_intermediates(indices=[3, 1])` of a ViT.
# Way around: sort out_indices, without duplicates. (AutoBackbone of transformers refuses others.)
#
# Output seen:
#   test_vit (3, 1): feature_info blocks.3, blocks.1; maps of blocks.1, blocks.3
#   test_vit (2, 2): feature_info blocks.2, blocks.2; maps of blocks.2
#   resnet18 (3, 1): feature_info layer3, layer1; maps of layer1, layer3
#   resnet18 (2, 2): feature_info layer2, layer2; maps of layer2
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
import torch


def as_map(output, like):
    """The output of a module as a map; of a sequence without its class token."""
    if output.ndim == 3:
        output = output[:, 1:].transpose(1, 2).reshape(like.shape)
    return output


for name in ("test_vit", "resnet18"):
    for indices in ((3, 1), (2, 2)):
        model = timm.create_model(name, features_only=True, out_indices=indices).eval()
        listed = model.feature_info.module_name()
        modules = dict(getattr(model, "model", model).named_modules())
        outputs = {}
        for module in set(listed):
            modules[module].register_forward_hook(
                lambda _, __, output, module=module: outputs.update({module: output})
            )
        with torch.no_grad():
            maps = model(torch.randn(1, 3, 160, 160))
        sources = [
            module
            for found in maps
            for module, output in outputs.items()
            if torch.equal(as_map(output, found), found)
        ]
        assert len(sources) == len(maps)
        print(f"{name} {indices}: feature_info {', '.join(listed)}; maps of {', '.join(sources)}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py | tee seen
cat > expected <<'TEXT'
test_vit (3, 1): feature_info blocks.3, blocks.1; maps of blocks.1, blocks.3
test_vit (2, 2): feature_info blocks.2, blocks.2; maps of blocks.2
resnet18 (3, 1): feature_info layer3, layer1; maps of layer1, layer3
resnet18 (2, 2): feature_info layer2, layer2; maps of layer2
TEXT
cmp --silent seen expected
