"""Change one field of a ViT: the tokenizer. All models are untrained and have the same stages."""

import dataclasses

import torch

import wavevit
from wavevit.data import Scenes
from wavevit.measure import cost, shift_sensitivity

vit = dataclasses.replace(
    wavevit.model_config("vit_tiny_patch16"), img_size=64, patch_size=8, in_chans=1, num_classes=0
)
windows = Scenes("test", margin=1).sample(18, torch.Generator().manual_seed(0)).images  # 66 px

for tokenizer in ("patch", "conv_stem", "dwt", "dtcwt", "scattering"):
    torch.manual_seed(0)
    model = wavevit.Backbone(dataclasses.replace(vit, tokenizer=tokenizer)).eval()
    macs = cost(model, windows[..., 1:65, 1:65]).macs
    moved = shift_sensitivity(model, windows, shifts=(1,), kind="crop", crop_size=64).values[0]
    print(f"{tokenizer:10}  {macs / 1e6:4.0f} MMAC  R(1 px crop) {moved:.2f}")
