"""Initial weights of tokenizers: tokens as large as the image's pixels."""

from __future__ import annotations

import copy
import functools
from importlib import resources

import numpy as np
import torch
from torch import Tensor, nn

from wavevit.layers.symmetry import Part

__all__ = ["reference_crops", "start_at_pixel_size", "start_projection"]

# As `Scenes` normalises crops: the contrast that is added before dividing by a crop's own.
_CONTRAST_FLOOR = 0.02
# The factor is rounded to this many steps per octave. A sum that is added in another order on
# another machine then still gives the same start weights.
_STEPS = 64


def start_projection(proj: nn.Conv2d | nn.Linear) -> None:
    """Draws weights whose outputs have the size of their inputs: variance one over the fan-in."""
    nn.init.trunc_normal_(proj.weight, std=proj.weight[0].numel() ** -0.5)
    if proj.bias is not None:
        nn.init.zeros_(proj.bias)


def start_at_pixel_size(tokenizer: Part, last: nn.Linear | nn.Conv2d, in_chans: int) -> None:
    """Scales the weights of a tokenizer's last linear map, so that tokens are as large as pixels.

    On photographs the root mean square of the tokens is then that of the normalised pixels.
    `PatchTokenizer` starts so by the variance of its random weights, for any image; other
    tokenizers have filters, norms or magnitudes before their weights, so the factor is computed
    from `reference_crops`. No random number is drawn. On the meta device nothing is done.

    Args:
        tokenizer: images (B, C, H, W) to tokens; its other weights and biases are drawn already.
        last: its last linear map. What comes before may be any function.
        in_chans: channels of the image.

    Guarantees:
        For every tokenizer of the package, tokens of crops of other photographs, normalised one by
        one, have the size of the pixels within 10 % (tests/properties/test_token_start.py). *Not*
        guaranteed: this size on other images. Photographs in colour with one mean and deviation
        for all of them have tokens of 0.7 (``dwt``, ``scattering``) to 1.4 (``swt``) times the
        pixels' size at 16 pixels per patch.

    Source:
        Mishkin & Matas 2016 ("All you need is a good init"): layers are scaled by the size of
        their output on data. Theirs is the training data; ours are fixed photographs.
    """
    if last.weight.is_meta:
        return
    with torch.device("cpu"), torch.no_grad():  # the same factor wherever the model is built
        images = _whole_patches(reference_crops(), tokenizer.stride).expand(-1, in_chans, -1, -1)
        single = copy.deepcopy(tokenizer).float().cpu()
        factor = _size(images) / _size(single(images))
        factor = torch.exp2(torch.round(torch.log2(factor) * _STEPS) / _STEPS)
        last.weight.mul_(factor.to(last.weight))


def reference_crops() -> Tensor:
    """22 crops of photographs, (22, 1, 64, 64), grey and normalised one by one.

    Two crops of each of eleven photographs that scikit-image distributes as public domain or CC0
    (astronaut, brick, camera, cat, coffee, grass, gravel, hubble, immunohistochemistry, retina,
    rocket), from their left halves: no study tests on them.
    """
    crops = torch.from_numpy(_stored_crops().astype(np.float32) / 255)[:, None]
    mean = crops.mean((-2, -1), keepdim=True)
    return (crops - mean) / (crops.std((-2, -1), keepdim=True, correction=0) + _CONTRAST_FLOOR)


@functools.cache
def _stored_crops() -> np.ndarray:
    file = resources.files("wavevit.layers.tokenizers") / "photographs.npz"
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        return np.asarray(arrays["crops"])


def _whole_patches(images: Tensor, stride: int) -> Tensor:
    """The images with sides that `stride` divides: cropped, or repeated in mirror image."""
    side = images.shape[-1]
    while side < stride:
        images = torch.cat([images, images.flip(-1)], -1)
        images = torch.cat([images, images.flip(-2)], -2)
        side *= 2
    kept = side - side % stride
    return images[..., :kept, :kept]


def _size(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()
