"""A copy of a model for inference in which linear wavelet steps are part of what follows them.

What is linear between two non-linearities can be one map. Here that is a block-Haar tokenizer
without normalisation and activation (a patch convolution), and the wavelet step of a downsampling
together with its projection (a convolution of kernel and stride 2). A `BoundedLinear` becomes the
plain linear map that it is.

What stays, and why: between the packet of the other tokenizers and their projection there is a
GELU, and a packet with its gains as one strided convolution is slower than butterflies from four
images on (1.8 times at patch 4, 1.3 times at patch 16; one image at patch 4: 0.8 times); the same
holds for injected details. `WaveletConv` is linear too, but it repeats with period 2: as one
convolution of the four phases it would cost four times its multiply-accumulates.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.downsample import DWTDownsample, LowPassDownsample
from wavevit.layers.lipschitz import (
    BoundedLinear,
    lipschitz_of,
    matrix_of,
    spectral_norm,
    wavelet_norm,
)
from wavevit.layers.padding import pad_to_multiple
from wavevit.layers.symmetry import Part
from wavevit.layers.tokenizers import PacketTokenizer, PatchTokenizer
from wavevit.wavelets import iwavepacket2

__all__ = ["MergedDownsample", "merged", "patch_kernel"]

Model = TypeVar("Model", bound=nn.Module)


def patch_kernel(tokenizer: PacketTokenizer) -> Tensor | None:
    """The kernel (D, C, P, P) of the patch convolution that a tokenizer is; None if it is none."""
    is_linear = isinstance(tokenizer.norm, nn.Identity) and not tokenizer.act
    if not is_linear or tokenizer.wavelet != "haar":
        return None
    weight = tokenizer.proj.weight.detach()
    channels = weight.shape[1] // 4**tokenizer.level
    return iwavepacket2(weight.unflatten(1, (channels, -1)))


class MergedDownsample(Part):
    """Norm, then one linear map of 2 x 2 tokens side by side: a Haar downsampling, merged.

    Args:
        downsample: what it equals, a Haar `DWTDownsample` or `LowPassDownsample`.
    """

    def __init__(self, downsample: DWTDownsample | LowPassDownsample) -> None:
        super().__init__()
        self.norm, self.symmetry = downsample.norm, downsample.symmetry
        weight = matrix_of(downsample.proj).detach()
        bands = weight.unflatten(1, (downsample.kept, -1)).transpose(1, 2)[..., None, None]
        missing = 4 - downsample.kept  # a dropped band counts for nothing
        kernel = iwavepacket2(F.pad(bands, (0, 0, 0, 0, 0, missing)))  # (out, D, 2, 2)
        self.weight = nn.Parameter(kernel.permute(0, 2, 3, 1).flatten(1))
        self.bias = downsample.proj.bias

    def forward(self, x: Tensor, grid: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        """Tokens (B, h·w, D) on grid (h, w) to the smaller ones and their grid."""
        image = self.norm(x).transpose(1, 2).unflatten(2, grid)
        rows = pad_to_multiple(image, 2).permute(0, 2, 3, 1)
        blocks = rows.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).transpose(2, 3)
        grid = (blocks.shape[1], blocks.shape[2])
        return F.linear(blocks.flatten(3).flatten(1, 2), self.weight, self.bias), grid

    def growth(self, grid: tuple[int, int]) -> float:
        """Of a map with odd sides, whose last rows are repeated."""
        return wavelet_norm("haar", grid)

    def lipschitz_bound(self, tokens: int | None = None) -> float:
        """Norm and matrix; blocks share no token."""
        return lipschitz_of(self.norm) * spectral_norm(self.weight)


def merged(model: Model) -> Model:
    """See `Backbone.fold`."""
    twin = copy.deepcopy(model).eval().requires_grad_(False)
    for parent in list(twin.modules()):
        for name, part in list(parent.named_children()):
            replacement = _merged_part(part)
            if replacement is not None:
                setattr(parent, name, replacement.eval().requires_grad_(False))
    return twin


def _merged_part(part: nn.Module) -> nn.Module | None:
    if isinstance(part, BoundedLinear):
        plain = nn.Linear(part.in_features, part.out_features, device="meta")
        plain.weight, plain.bias = nn.Parameter(part.bounded_weight()), part.bias
        return plain
    if isinstance(part, DWTDownsample | LowPassDownsample) and part.wavelet == "haar":
        return MergedDownsample(part)
    if isinstance(part, PacketTokenizer) and (kernel := patch_kernel(part)) is not None:
        dim, channels, patch, _ = kernel.shape
        tokenizer = PatchTokenizer(channels, dim, patch).to(kernel)
        with torch.no_grad():
            tokenizer.proj.weight.copy_(kernel)
            assert tokenizer.proj.bias is not None
            assert part.proj.bias is not None
            tokenizer.proj.bias.copy_(part.proj.bias)
        return tokenizer
    return None
