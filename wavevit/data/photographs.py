"""Photographs that scikit-image contains, with free licences and without a download.

These are all photographs in the package itself (`astronaut` to `text`), without
drawings and test patterns, the second view of the stereo pair, and pictures under 150 pixels.
"""

from __future__ import annotations

import functools
import warnings

import numpy as np
import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_bool, check_choice, require_extra

__all__ = ["NAMES", "load_photograph"]

# name -> function of skimage.data
_SOURCES = {
    "astronaut": "astronaut",
    "brick": "brick",
    "camera": "camera",
    "cat": "cat",
    "cell": "cell",
    "clock": "clock",
    "coffee": "coffee",
    "coins": "coins",
    "grass": "grass",
    "gravel": "gravel",
    "hubble": "hubble_deep_field",
    "immunohistochemistry": "immunohistochemistry",
    "moon": "moon",
    "motorcycle": "stereo_motorcycle",
    "page": "page",
    "retina": "retina",
    "rocket": "rocket",
    "text": "text",
}
NAMES = tuple(_SOURCES)


@functools.lru_cache(maxsize=64)
def load_photograph(name: str, max_short_side: int = 256, *, color: bool = False) -> Tensor:
    """Loads a bundled photograph in grey or in colour.

    Args:
        name: one of `NAMES`.
        max_short_side: larger photographs are reduced to this shorter side in pixels; smaller ones
            do not change. scikit-image applies a Gaussian first, which is weak for factors below
            2: at 256 pixels, 0.3 to 13 % of the contrast of these photographs is aliasing (with
            Pillow's bicubic reduction 0.1 to 9 %). All records use these photographs, so this does
            not change.
        color: keep the colours; ten of the photographs are grey and have three equal channels.

    Returns:
        (H, W) float32, luminance in [0, 1]; (3, H, W) with `color`. Cached: do not write into it.

    Raises:
        ValueError: an unknown name (with the nearest ones) or a side below 1.
    """
    check_choice("name", name, NAMES)
    check_at_least("max_short_side", max_short_side, 1)
    check_bool("color", color)
    # Imported here: `import wavevit.data` stays light, and scikit-image brings SciPy along.
    require_extra("skimage", "data")
    import skimage.data
    from skimage.color import gray2rgb, rgb2gray
    from skimage.transform import resize
    from skimage.util import img_as_float32

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its notes on optional download helpers: none is needed
        image = getattr(skimage.data, _SOURCES[name])()
    if isinstance(image, tuple):  # the stereo pair: left view, right view, disparity
        image = image[0]
    image = img_as_float32(image)
    if image.ndim == 3:
        image = image[..., :3] if color else rgb2gray(image[..., :3])
    elif color:
        image = gray2rgb(image)
    short = min(image.shape[:2])
    if short > max_short_side:
        scale = max_short_side / short
        shape = tuple(round(side * scale) for side in image.shape[:2])
        image = resize(image, shape, anti_aliasing=True)
    if color:
        image = image.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
