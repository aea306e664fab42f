"""Pictures of adaptive tokens: the quadtree over a photograph, and what each budget drops.

The second one is the approximation view of tokens: a token holds as many values as a finest patch
has pixels, so tokens are one way to keep few values of an image. Beside it are the largest
coefficients of the Haar transform and of JPEG's transform (a cosine transform of 8 x 8 pixels), and
the uniform reduction of the whole image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from scipy.fft import dct
from torch import Tensor

from experiments.benchmarks.photographs import middles
from experiments.core.style import figure_style, save_figure
from wavevit.data import load_photograph
from wavevit.layers import quadtree
from wavevit.layers.tokenizers import AdaptiveOptions, AdaptiveTokenizer
from wavevit.measure import center_crop, n_term_error
from wavevit.pictures import draw_tokens
from wavevit.wavelets import dwt2

_PHOTOGRAPH, _SIDE, _PATCH = "astronaut", 512, 16
_CROP, _FINEST, _LEVELS = 128, 8, 4  # of the second picture
_SHARES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75)
_BLOCK = 8  # pixels, of JPEG


def block_cosine(x: Tensor) -> Tensor:
    """JPEG's transform: the orthonormal cosine transform of blocks of 8 x 8 pixels.

    Args:
        x: images (N, C, H, W), sides divisible by 8.

    Returns:
        (N, C, H/8, W/8, 8, 8).
    """
    matrix = torch.from_numpy(dct(torch.eye(_BLOCK).double().numpy(), axis=0, norm="ortho")).to(x)
    blocks = x.unfold(2, _BLOCK, _BLOCK).unfold(3, _BLOCK, _BLOCK)
    return matrix @ blocks @ matrix.T


def haar(x: Tensor) -> Tensor:
    """All levels of the orthonormal Haar transform, flat."""
    parts = []
    while min(x.shape[-2:]) > 1:
        bands = dwt2(x)
        x = bands[:, :, 0]
        parts.append(bands[:, :, 1:].flatten(1))
    return torch.cat([x.flatten(1), *parts], dim=1)


def _by_tokens(images: Tensor, splitting: str) -> tuple[list[float], list[float]]:
    """Shares of values that the computed tokens hold, and mean relative errors, by budget."""
    shares, errors = [], []
    for budget in _SHARES:
        options = AdaptiveOptions(levels=_LEVELS, budget=budget, splitting=splitting)
        tokenizer = AdaptiveTokenizer(1, 1, _FINEST, options=options)
        weights = tokenizer.weights_of(images)
        computed = sum(float((one > 0).double().sum()) for one in weights)
        shares.append(computed / weights[0].numel())
        errors.append(_relative(images - tokenizer.seen(images), images))
    return shares, errors


def _relative(error: Tensor, images: Tensor) -> float:
    norms = [x.double().flatten(1).norm(dim=1) for x in (error, images)]
    return float((norms[0] / norms[1]).mean())


def _by_reduction(images: Tensor) -> tuple[list[float], list[float]]:
    """A uniform grid of larger patches: means over squares of 2, 4 and 8 pixels."""
    shares, errors = [], []
    means = quadtree.haar_pyramid(images, _FINEST, _LEVELS)[1]
    for level, mean in reversed(list(enumerate(means))[1:]):
        shares.append(0.25**level)
        seen = F.interpolate(mean, scale_factor=2**level)
        errors.append(_relative(images - seen, images))
    return shares, errors


@torch.no_grad()
def kept_errors(images: Tensor) -> dict[str, tuple[Sequence[float], Sequence[float]]]:
    """Shares of values that are kept, and mean relative errors of images without their means.

    Args:
        images: (N, 1, H, W), sides divisible by 64.
    """
    images = images - images.mean(dim=(1, 2, 3), keepdim=True)
    found: dict[str, tuple[Sequence[float], Sequence[float]]] = {
        "adaptive tokens, soft split": _by_tokens(images, "soft"),
        "adaptive tokens, hard split": _by_tokens(images, "hard"),
        "uniform grid of larger patches": _by_reduction(images),
    }
    for name, analyse in (("Haar, largest", haar), ("JPEG's cosines, largest", block_cosine)):
        best = n_term_error(analyse, images, shares=_SHARES)
        found[f"{name} coefficients"] = (best.shares, best.errors)
    return found


def kept_figure(images: Tensor) -> Figure:
    """Error against the share of values that are kept."""
    figure, axis = plt.subplots(figsize=(7.2, 3.6))
    for (name, (shares, errors)), style in zip(
        kept_errors(images).items(), ("o-", "s--", "k^:", ".-", ".--"), strict=True
    ):
        axis.plot(100 * torch.tensor(shares), 100 * torch.tensor(errors), style, label=name)
    axis.set_xlabel("values kept, % of the pixels", fontsize=9)
    axis.set_ylabel("error, % of the contrast", fontsize=9)
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=8)
    return figure


def write_token_pictures(folder: Path) -> list[Path]:
    """Writes both pictures; returns their paths."""
    photograph = load_photograph(_PHOTOGRAPH, _SIDE)[None, None]
    image = (center_crop(photograph, (_SIDE, _SIDE)) - 0.5) / 0.25
    with figure_style():
        save_figure(draw_tokens(image, patch_size=_PATCH), folder / "tokens", "quadtree", (".png",))
        save_figure(kept_figure(middles(_CROP)), folder / "tokens", "kept", (".png",))
    return [folder / "tokens" / f"{name}.png" for name in ("quadtree", "kept")]
