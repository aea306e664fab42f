"""Draw wavelet transforms: the labelled subbands of any image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_image, check_numbers, fail, require_extra
from wavevit.data.photographs import NAMES, load_photograph
from wavevit.data.picture_files import UnreadablePictureError, luminance, read_picture
from wavevit.deprecated import renamed_argument
from wavevit.files import as_path
from wavevit.layers.padding import pad_to_multiple
from wavevit.layers.token_layout import level_grids
from wavevit.layers.tokenizers import AdaptiveOptions, AdaptiveTokenizer
from wavevit.wavelets import ORIENTATIONS, DualTreePyramid, Pyramid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "draw_dual_tree",
    "draw_pyramid",
    "draw_tokens",
    "load_image",
    "open_image",
    "pyramid_mosaic",
]

# Pixels of a small band stay squares; a band with more pixels than the figure is low-passed first,
# since leaving out pixels would show patterns that are not there.
_SHOWN = "antialiased"


def _check_one_grey(argument: str, value: object, kind: type[tuple[Any, ...]]) -> None:
    """Refuses what is no transform of this kind, or one of several images or channels."""
    if not isinstance(value, kind):
        fail(argument, f"a {kind.__name__} of one grey image", type(value).__name__)
    shape = tuple(value[0].shape)
    if shape[:2] != (1, 1) or len(shape) != 4:
        fail(argument, "the transform of one grey image (1, 1, H, W)", f"approx of shape {shape}")


@renamed_argument("source", "image")
def load_image(image: str | Path) -> Tensor:
    """Loads a picture file, or a bundled photograph by name, in grey.

    Args:
        image: path of a picture, of any mode and bit depth (`wavevit.data.read_picture`), or a
            name such as ``"astronaut"``. If a file has that name, the file is loaded.

    Returns:
        (1, 1, H, W) float32 in [0, 1].

    Raises:
        ValueError: neither a readable picture nor a known name.
    """
    return open_image(image)[0]


@renamed_argument("source", "image")
def open_image(image: str | Path) -> tuple[Tensor, str]:
    """Loads a picture as `load_image`, with a note on the scaling of its values.

    Args:
        image: see `load_image`.

    Returns:
        (1, 1, H, W) float32 in [0, 1]; and how the values were scaled if the format does not define
        white, otherwise an empty string.

    Raises:
        ValueError: as `load_image`.
    """
    path = as_path("image", image)
    if not path.is_file():
        if image in NAMES:
            return load_photograph(str(image), max_short_side=512)[None, None], ""
        got = f"the folder {image}" if path.is_dir() else repr(str(image))
        fail("image", f"a file, or a bundled photograph ({', '.join(NAMES)})", got)
    try:
        picture = read_picture(path)
    except UnreadablePictureError as error:
        fail("image", "a picture that Pillow can read, or tifffile", f"{image} ({error.reason})")
    return luminance(picture.pixels)[None], picture.note


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

    Raises:
        ValueError: no `Pyramid` of one grey image.
    """
    _check_one_grey("pyramid", pyramid, Pyramid)
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
    """Draws the mosaic of a decimated transform with the name of each band.

    Args:
        pyramid: transform of one grey image.
        title: title of the figure.

    Raises:
        ImportError: matplotlib is not installed (extra ``audit``).
        ValueError: no `Pyramid` of one grey image.
    """
    _check_one_grey("pyramid", pyramid, Pyramid)
    require_extra("matplotlib", "audit")
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    canvas, places = pyramid_mosaic(pyramid)
    scale = 8 / max(canvas.shape)
    # At least an inch each way: a strip of one pixel is a picture too.
    inches = [max(length * scale, 1.0) for length in canvas.shape]
    figure = Figure(figsize=(inches[1], inches[0] + 0.4), layout="constrained")
    axis = figure.subplots()
    axis.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation=_SHOWN)
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
    axis.set_title(title, fontsize=11, parse_math=False)  # a file name may hold dollars
    axis.axis("off")
    return figure


def draw_dual_tree(tree: DualTreePyramid, title: str) -> Figure:
    """Draws the dual-tree magnitudes of six orientations, a row for each level, and the low band.

    Args:
        tree: transform of one grey image.
        title: title of the figure.

    Raises:
        ImportError: matplotlib is not installed (extra ``audit``).
        ValueError: no `DualTreePyramid` of one grey image.
    """
    _check_one_grey("tree", tree, DualTreePyramid)
    require_extra("matplotlib", "audit")
    from matplotlib.figure import Figure

    levels = len(tree.details)
    height, width = tree.approx.shape[-2:]
    row_height = min(1.8 * height / width, 8) + 0.25  # inches: a picture and its title
    figure = Figure(figsize=(13, row_height * levels + 0.4), layout="constrained")
    axes = figure.subplots(levels, len(ORIENTATIONS) + 1, squeeze=False)
    for row, bands in enumerate(reversed(tree.details)):
        magnitudes = bands[0, 0].double().square().sum(dim=1).sqrt()
        some = magnitudes.flatten()[:: max(1, magnitudes.numel() // 100_000)]
        limit = max(float(torch.quantile(some, 0.995)), 1e-12)
        for axis, band, degrees in zip(axes[row], magnitudes, ORIENTATIONS, strict=False):
            axis.imshow(band.numpy(), cmap="magma", vmin=0, vmax=limit, interpolation=_SHOWN)
            axis.set_title(f"level {row + 1}, {degrees}°", fontsize=8)
    low = axes[-1, -1]
    low.imshow(_stretched(tree.approx[0, 0], centered=False), cmap="gray", interpolation=_SHOWN)
    low.set_title("low band", fontsize=8)
    for row in range(levels - 1):
        axes[row, -1].set_visible(False)
    for axis in axes.flat:
        axis.axis("off")
    figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def draw_tokens(
    image: Tensor,
    budgets: Sequence[float] = (0.5, 0.25, 0.1),
    *,
    patch_size: int = 16,
    options: AdaptiveOptions | None = None,
    title: str = "",
) -> Figure:
    """Draws the adaptive tokens of an image: their patches, and below what is left of the image.

    Args:
        image: one grey image (1, 1, H, W); its lower and right edge are repeated up to a multiple
            of the patch.
        budgets: shares of the finest grid's tokens, a column for each.
        patch_size: side of the finest patch in pixels.
        options: other options of the tokenizer; by default those of `AdaptiveOptions`.
        title: title of the figure.

    Raises:
        ImportError: matplotlib is not installed (extra ``audit``).
        ValueError: no grey image, several images, no budget, or a budget outside (0, 1].
    """
    check_image(image, "image", channels=1)
    if len(image) != 1:
        fail("image", "one image (1, 1, H, W)", f"shape {tuple(image.shape)}")
    check_numbers("budgets", budgets, "a sequence of shares in (0, 1]")
    if not all(0 < budget <= 1 for budget in budgets):
        fail("budgets", "a sequence of shares in (0, 1]", budgets)
    check_at_least("patch_size", patch_size, 1)
    require_extra("matplotlib", "audit")
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    options = options or AdaptiveOptions()
    x = pad_to_multiple(image, patch_size)
    height, width = x.shape[-2:]
    figure = Figure(figsize=(4 * len(budgets), 8 * height / width + 0.9), layout="constrained")
    axes = figure.subplots(2, len(budgets), squeeze=False)
    with torch.no_grad():
        for column, budget in enumerate(budgets):
            chosen = dataclasses.replace(options, budget=float(budget))
            tokenizer = AdaptiveTokenizer(1, 1, patch_size, options=chosen)
            weights, seen = tokenizer.weights_of(x), tokenizer.seen(x)
            above, below = axes[:, column]
            above.imshow(x[0, 0].numpy(), cmap="gray", interpolation=_SHOWN)
            count = 0
            for level, weight in enumerate(weights):
                side = patch_size << level
                for row, place in (weight[0] > 0).nonzero().tolist():
                    count += 1
                    corner = (place * side - 0.5, row * side - 0.5)
                    square = Rectangle(corner, side, side, fill=False, edgecolor="#D55E00")
                    square.set_alpha(float(weight[0, row, place]))
                    square.set_linewidth(0.8)
                    above.add_patch(square)
            below.imshow(seen[0, 0].numpy(), cmap="gray", interpolation=_SHOWN)
            lost = (x - seen).norm() / (x - x.mean()).norm().clamp_min(1e-12)
            rows, columns = level_grids((height // patch_size, width // patch_size), 1)[0]
            above.set_title(f"{count} of {rows * columns} tokens", fontsize=9)
            below.set_title(f"lost: {100 * float(lost):.1f} % of the contrast", fontsize=9)
    for axis in axes.flat:
        axis.axis("off")
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure
