"""Align a timm model: it gives the same logits for every circular shift of an image."""

import timm
import torch

import wavevit
from wavevit.data import load_photograph

torch.manual_seed(0)
vit = timm.create_model("vit_tiny_patch16_224", num_classes=10).eval()
locked = wavevit.align(vit)  # method="phase_lock"

photograph = load_photograph("astronaut", 224, color=True)[None, :, :224, :224]
rolled = photograph.roll((5, -3), dims=(2, 3))
with torch.no_grad():
    for name, model in (("plain", vit), ("aligned", locked)):
        logits, moved = model(photograph), model(rolled)
        change = (moved - logits).norm() / logits.norm()
        print(f"{name:8} changes by {change:.1%} after a circular shift by (5, -3) px")
    print(f"exact to 1e-5: {bool(change < 1e-5)}")
print(f"shift period: {locked.period or 'the whole image'} ({locked.period_source})")
