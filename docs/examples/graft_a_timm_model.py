"""Graft a timm model: add a wavelet branch, save it, load it and remove it."""

import tempfile
from pathlib import Path

import timm
import torch

import wavevit
from wavevit.grafting import branch_parameters, load_graft, read_graft, save_graft
from wavevit.measure import cost

torch.manual_seed(0)
vit = timm.create_model("vit_tiny_patch16_224", img_size=96, num_classes=10).eval()
grafted = wavevit.graft(vit, "dtcwt").eval()

images = torch.randn(2, 3, 96, 96)
with torch.no_grad():
    print(f"equal before training: {bool((grafted(images) - vit(images)).abs().max() < 1e-6)}")
added = sum(parameter.numel() for parameter in branch_parameters(grafted))
print(f"parameters added: {added / sum(p.numel() for p in vit.parameters()):.1%}")
print(f"multiply-accumulates: {cost(grafted, images[:1]).macs / cost(vit, images[:1]).macs:.3f} x")

# Train here, for example with `wavevit.grafting.distil`. One step on the branch is enough here:
grafted(images).square().sum().backward()
with torch.no_grad():
    for parameter in branch_parameters(grafted):
        parameter -= 0.01 * parameter.grad
    print(f"equal after a step: {torch.equal(grafted(images), vit(images))}")

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "graft.safetensors"
    save_graft(grafted, path, "timm/vit_tiny_patch16_224", "Apache-2.0", original=vit)
    card = read_graft(path)
    print(f"file: {card['options']['tokenizer']} for {card['base']}, {card['licence']}")
    loaded = load_graft(path, vit)
with torch.no_grad():
    print(f"loaded graft is equal: {torch.equal(loaded(images), grafted(images))}")
    print(f"model without it is equal: {torch.equal(wavevit.ungraft(loaded)(images), vit(images))}")
