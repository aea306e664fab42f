"""Frame bounds and Lipschitz constant of a tokenizer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from wavevit.checks import check_image, fail
from wavevit.layers.symmetry import Part
from wavevit.measure.certify.rules import lipschitz_at
from wavevit.measure.spectrum import FrameBounds, frame_bounds

__all__ = ["TokenizerBounds", "tokenizer_bounds"]


@dataclass(frozen=True)
class TokenizerBounds:
    """Frame bounds of a tokenizer's linear part, and Lipschitz constant of the tokenizer.

    Attributes:
        frame: ``A ‖x‖² ≤ ‖Φ x‖² ≤ B ‖x‖²`` for its linear part Φ, without unit. Φ is the whole
            tokenizer for patch, overlap and packet without GELU; packet and gains before a GELU;
            the wavelet frame before magnitudes; the first convolution of a stem.
        lipschitz: upper bound of the change of the tokens for a unit of pixel change.
        lipschitz_exact: True if the bound is the smallest possible (patches, packets of any
            wavelet, overlapping patches with circular padding), else False.
        size: rows and columns of the images in pixels.
    """

    frame: FrameBounds
    lipschitz: float
    lipschitz_exact: bool
    size: tuple[int, int]


def tokenizer_bounds(tokenizer: nn.Module, images: Tensor) -> TokenizerBounds:
    """Frame bounds of a tokenizer's linear part, and Lipschitz constant of the tokenizer.

    Both are computed in float64 on the CPU for the present weights. With circular padding the
    frame bounds are exact. With other padding they are exact up to 4096 numbers in an image; above,
    they are found by iteration and not proved. The Lipschitz constant is proved for every padding.

    Args:
        tokenizer: a tokenizer of `wavevit.layers.tokenizers`, such as ``model.tokenizer``.
        images: (N, C, H, W): the bounds are for images of that size. Their values are not used.

    Returns:
        A `TokenizerBounds`.

    Raises:
        ValueError: another module, other channels than its own, or sides that its stride does not
            divide.

    Guarantees:
        Frame bounds and exact constants equal those of a dense SVD, for every padding. No
        pair of images found by a search exceeds the other constants
        (tests/properties/test_tokenizer_constants.py).

    Source:
        Frames and magnitudes: Mallat 2012; zeros as a part of a larger circle, and the rest:
        derived beside each tokenizer's rule (`wavevit.measure.certify`).

    Example:
        >>> import torch, wavevit
        >>> model = wavevit.create_model("test_haar_pyramid", img_size=32)
        >>> bounds = tokenizer_bounds(model.tokenizer, torch.zeros(1, 3, 32, 32))
        >>> bounds.lipschitz_exact, bounds.frame.exact
        (True, True)
    """
    if not isinstance(tokenizer, Part):
        fail(
            "tokenizer", "a tokenizer of wavevit, such as model.tokenizer", type(tokenizer).__name__
        )
    # A tokenizer of a user need not have the attribute.
    check_image(images, "images", channels=getattr(tokenizer, "in_chans", None))
    size = (images.shape[-2], images.shape[-1])
    stride = tokenizer.stride
    if size[0] % stride or size[1] % stride:
        fail("images", f"sides that {stride} divides", size)
    constant = lipschitz_at(tokenizer, size)
    wide = tokenizer.in_float64()
    frame = frame_bounds(
        wide.linear_part,
        stride=stride,
        in_chans=images.shape[1],
        tokens=(size[0] // stride, size[1] // stride),
        circular=wide.symmetry.circular,
    )
    return TokenizerBounds(frame, constant.value, constant.exact, size)
