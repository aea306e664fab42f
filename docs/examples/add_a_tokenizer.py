"""Your own tokenizer and mixer, and a model and a study that use them, in one file."""

from dataclasses import dataclass, replace

from torch import nn

import wavevit
from experiments.core.study import Contrast
from experiments.studies import get_study
from wavevit.layers import Part, PartOptions, Symmetry, register_mixer, register_tokenizer


@register_tokenizer("smooth_patch")
class SmoothPatch(Part):  # images (B, C, H, W) to tokens (B, h, w, D)
    @dataclass(frozen=True)
    class Options(PartOptions):
        reach: int = 1  # pixels of the box filter on each side

    def __init__(self, channels, dim, patch, reach):
        super().__init__()
        self.smooth = nn.AvgPool2d(2 * reach + 1, stride=1, padding=reach)
        self.proj = nn.Conv2d(channels, dim, patch, stride=patch)
        self.symmetry = Symmetry(patch, circular=False)  # zero padding breaks these shifts

    @classmethod
    def build(cls, context, options):
        return cls(context.in_chans, context.dim, context.patch_size, options.reach)

    def forward(self, x):
        return self.proj(self.smooth(x)).permute(0, 2, 3, 1)


@register_mixer("mean")
class MeanMixer(Part):  # tokens (B, N, D) on their grid (h, w) to tokens
    def __init__(self, dim):
        super().__init__()
        self.own, self.others = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.symmetry = Symmetry(1)

    @classmethod
    def build(cls, context, options):
        return cls(context.dim)

    def forward(self, x, grid):
        return self.own(x) + self.others(x.mean(dim=1, keepdim=True))


@wavevit.register_model
def mean_vit():
    stages = wavevit.make_stages(depths=[2], embed_dims=[32], mixer="mean")
    return wavevit.BackboneConfig(stages=stages, tokenizer="smooth_patch", position="conv")


vit = get_study("smoke").configs()["vit"]
runs = {"vit": vit, "smooth": replace(vit, model=replace(vit.model, tokenizer="smooth_patch"))}
pair = Contrast("smooth", "vit", "model.tokenizer")
own = {"name": "smooth", "variants": lambda: runs, "contrasts": (pair,), "applied": {}}
SMOOTH = replace(get_study("smoke"), **own)
if __name__ == "__main__":
    print(wavevit.create_model("mean_vit", tokenizer_options={"reach": 2}).tokenizer)
