"""Pictures of transforms: the subband pyramid of any image, labelled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wavevit.checks import fail
from wavevit.wavelets import ORIENTATIONS, DualTreePyramid, Pyramid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_dual_tree", "draw_pyramid", "load_image", "pyramid_mosaic"]


def load_image(source: str) -> Tensor:
    """An image file, or one of the bundled photographs by name, in grey.

    Args:
        source: path of a picture (anything Pillow reads, with or without colour or alpha),
            or a name such as ``"astronaut"``.

    Returns:
        (1, 1, H, W) float32 in [0, 1].

    Raises:
        ValueError: neither a readable picture nor a known name.
    """
    from wavevit.data.photographs import NAMES, load_photograph

    if not Path(source).exists():
        if source in NAMES:
            return load_photograph(source, max_short_side=512)[None, None]
        fail("image", f"a file, or a bundled photograph ({', '.join(NAMES)})", repr(source))
    from PIL import Image
    from skimage.color import rgb2gray

    try:
        with Image.open(source) as picture:
            pixels = np.asarray(picture.convert("RGBA"), dtype=np.float32) / 255
    except (OSError, ValueError, SyntaxError) as error:
        fail("image", "a picture that Pillow can read", f"{source} ({error})")
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    colour = colour * alpha + (1 - alpha)  # what is transparent shows a white page
    return torch.from_numpy(np.ascontiguousarray(rgb2gray(colour), dtype=np.float32))[None, None]


def _stretched(band: Tensor, centered: bool) -> np.ndarray[Any, Any]:
    """A band in [0, 1]: details around middle grey, so that sign and strength can be seen."""
    values = band.double()
    if not centered:
        low, high = values.min(), values.max()
        return ((values - low) / (high - low).clamp_min(1e-12)).numpy()
    # A quantile, because a few strong edges would leave everything else grey.
    limit = torch.quantile(values.abs().flatten()[:: max(1, values.numel() // 100_000)], 0.99)
    return (0.5 + 0.5 * (values / limit.clamp_min(1e-12)).clamp(-1, 1)).numpy()


def pyramid_mosaic(
    pyramid: Pyramid,
) -> tuple[np.ndarray[Any, Any], list[tuple[str, int, int, int, int]]]:
    """The usual mosaic: approximation upper left, ``cH`` beside it, ``cV`` below, ``cD`` across.

    Args:
        pyramid: of one grey image, bands (1, 1, …).

    Returns:
        An array (H, W) in [0, 1], and for each band its label and place
        ``(label, top, left, height, width)``.
    """
    canvas = _stretched(pyramid.approx[0, 0], centered=False)
    levels = len(pyramid.details)
    places = [(f"cA{levels}" if levels else "image", 0, 0, *canvas.shape)]
    for index, bands in enumerate(pyramid.details):
        level = levels - index
        height, width = bands.shape[-2:]
        # Filters that reach over the border give bands a little larger than half.
        rows, columns = max(canvas.shape[0], height), max(canvas.shape[1], width)
        larger = np.ones((rows + height, columns + width))
        larger[: canvas.shape[0], : canvas.shape[1]] = canvas
        corners = {"cH": (0, columns), "cV": (rows, 0), "cD": (rows, columns)}
        for band, (name, (top, left)) in enumerate(corners.items()):
            larger[top : top + height, left : left + width] = _stretched(
                bands[0, 0, band], centered=True
            )
            places.append((f"{name}{level}", top, left, height, width))
        canvas = larger
    return canvas, places


def draw_pyramid(pyramid: Pyramid, title: str) -> Figure:
    """Mosaic of a decimated transform with the name of each band.

    Args:
        pyramid: of one grey image.
        title: above the picture.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    canvas, places = pyramid_mosaic(pyramid)
    scale = 8 / max(canvas.shape)
    figure = Figure(
        figsize=(canvas.shape[1] * scale, canvas.shape[0] * scale + 0.4), layout="constrained"
    )
    axis = figure.subplots()
    axis.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for label, top, left, height, width in places:
        frame = Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor="#D55E00")
        axis.add_patch(frame)
        size = min(10.0, 72 * scale * min(height, width) / 3)
        axis.text(
            left + 0.03 * width,
            top + 0.04 * height,
            label,
            va="top",
            fontsize=size,
            color="white",
            bbox={"facecolor": "black", "alpha": 0.6, "pad": 1.5, "linewidth": 0},
        )
    axis.set_title(title, fontsize=11)
    axis.axis("off")
    return figure


def draw_dual_tree(tree: DualTreePyramid, title: str) -> Figure:
    """Magnitudes of the six orientations, a row per level, fine to coarse, and the low band.

    Args:
        tree: of one grey image.
        title: above the picture.
    """
    from matplotlib.figure import Figure

    levels = len(tree.details)
    height, width = tree.approx.shape[-2:]
    row_height = 1.8 * height / width + 0.25  # inches: a picture and its title
    figure = Figure(figsize=(13, row_height * levels + 0.4), layout="constrained")
    axes = figure.subplots(levels, len(ORIENTATIONS) + 1, squeeze=False)
    for row, bands in enumerate(reversed(tree.details)):
        magnitudes = bands[0, 0].double().square().sum(dim=1).sqrt()
        some = magnitudes.flatten()[:: max(1, magnitudes.numel() // 100_000)]
        limit = max(float(torch.quantile(some, 0.995)), 1e-12)
        for axis, band, degrees in zip(axes[row], magnitudes, ORIENTATIONS, strict=False):
            axis.imshow(band.numpy(), cmap="magma", vmin=0, vmax=limit, interpolation="nearest")
            axis.set_title(f"level {row + 1}, {degrees}°", fontsize=8)
    low = axes[-1, -1]
    low.imshow(_stretched(tree.approx[0, 0], centered=False), cmap="gray", interpolation="nearest")
    low.set_title("low band", fontsize=8)
    for row in range(levels - 1):
        axes[row, -1].set_visible(False)
    for axis in axes.flat:
        axis.axis("off")
    figure.suptitle(title, fontsize=11)
    return figure
