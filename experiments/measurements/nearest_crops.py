"""The nearest crop of the training photographs, at any place: does a generator repeat them?"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from wavevit.checks import fail
from wavevit.tasks import nearest_distances


class Nearest(NamedTuple):
    """Nearest crops of N images.

    Attributes:
        crops: (N, H, W), in the images' units.
        distances: (N,) root mean square distance of each image to its crop, float64.
    """

    crops: Tensor
    distances: Tensor


def nearest_crops(images: Tensor, photographs: list[Tensor]) -> Nearest:
    """Searches every place of every photograph.

    The squared distance to a crop is the image's energy, plus the crop's, minus twice their
    product; the products with all crops of a photograph are one correlation, by FFT.

    Args:
        images: (N, H, W).
        photographs: at least one, each (R, C) with R ≥ H and C ≥ W, in the images' units.

    Raises:
        ValueError: no photograph, or one that is smaller than the images.

    Guarantees:
        The distance of a copy is 0 exactly: it is computed by differences (`nearest_distances`).
    """
    if not photographs:
        fail("photographs", "at least one", "none")
    height, width = images.shape[1:]
    own = images.double()
    best = own.new_full((len(own),), torch.inf)
    crops = torch.zeros_like(images)
    for photograph in photographs:
        rows, columns = photograph.shape
        if rows < height or columns < width:
            fail("photographs", f"sides of at least {(height, width)}", tuple(photograph.shape))
        # Around the mean, so that the FFT rounds small numbers.
        middle = photograph.double().mean()
        page, asked = photograph.double() - middle, own - middle
        spectrum = torch.fft.rfft2(page)
        products = torch.fft.irfft2(
            spectrum * torch.fft.rfft2(asked, (rows, columns)).conj(), (rows, columns)
        )[:, : rows - height + 1, : columns - width + 1]
        energy = _window_sums(page.square(), height, width)
        squares = asked.square().flatten(1).sum(1)[:, None, None] + energy - 2 * products
        least, place = squares.flatten(1).min(1)
        for index in (least < best).nonzero()[:, 0].tolist():
            row, column = divmod(int(place[index]), squares.shape[2])
            crops[index] = photograph[row : row + height, column : column + width]
        best = torch.minimum(best, least)
    pairs = zip(images[:, None, None], crops[:, None, None], strict=True)
    return Nearest(crops, torch.cat([nearest_distances(one, other) for one, other in pairs]))


def _window_sums(values: Tensor, height: int, width: int) -> Tensor:
    """Sum of each window of a map."""
    sums = torch.nn.functional.pad(values.cumsum(0).cumsum(1), (1, 0, 1, 0))
    return (sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]) + sums[
        :-height, :-width
    ]
