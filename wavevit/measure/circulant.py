"""Singular values of a linear map with circular padding: one small matrix for each frequency.

A linear map that commutes with shifts by its stride `P` is block-circulant: for each token
frequency `ν` a matrix `M_ν` takes the `C P²` polyphase components of an image (its pixels by their
place in a patch) to the `D` channels of a token, and the singular values of all `M_ν` together are
those of the whole map. A map of real images has the same ones at `ν` and at `−ν`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from wavevit.checks import check_at_least, fail

__all__ = ["circle_bounds", "circle_norm", "polyphase_matrices"]

Map = Callable[[Tensor], Tensor]
Device = str | torch.device
_TOGETHER = 32  # images at a time


def polyphase_matrices(
    tokenize: Map,
    stride: int,
    in_chans: int,
    tokens: tuple[int, int],
    device: Device = "cpu",
) -> Tensor:
    """`M_ν` for the frequencies of a circle, half of those of its columns (`torch.fft.rfft2`).

    Args:
        tokenize: images (B, in_chans, H, W) in float64 to maps (B, D, H/stride, W/stride); affine.
            A constant is subtracted.
        stride: pixels per token.
        in_chans: channels of the image.
        tokens: rows and columns of the circle in tokens.
        device: where images are made; it must know float64.

    Returns:
        (rows, columns // 2 + 1, D, in_chans · stride²), complex.

    Raises:
        ValueError: a map that is not affine, does not commute with shifts by its stride, or has
            another stride.
    """
    check_at_least("stride", stride, 1)
    check_at_least("in_chans", in_chans, 1)
    for count in tokens:
        check_at_least("tokens", count, 1)
    size = (in_chans, stride * tokens[0], stride * tokens[1])
    with torch.no_grad():
        constant = tokenize(torch.zeros(1, *size, dtype=torch.float64, device=device))
        if constant.ndim != 4 or tuple(constant.shape[-2:]) != tuple(tokens):
            expected = f"maps (B, D, {tokens[0]}, {tokens[1]}) of images of {size[1:]} pixels"
            fail("tokenize", expected, f"shape {tuple(constant.shape)}")
        places = torch.cartesian_prod(*[torch.arange(n) for n in (in_chans, stride, stride)])
        responses = []
        for some in places.split(_TOGETHER):
            impulses = torch.zeros(len(some), *size, dtype=torch.float64, device=device)
            impulses[torch.arange(len(some)), some[:, 0], some[:, 1], some[:, 2]] = 1
            responses.append(tokenize(impulses) - constant)
        found = torch.cat(responses)
        _check_affine(tokenize, places, found, constant, stride)
        # An image is a sum of impulses moved by whole tokens, so its map is a convolution.
        return torch.fft.rfft2(found).permute(2, 3, 1, 0)


def circle_bounds(
    tokenize: Map,
    stride: int,
    in_chans: int,
    tokens: tuple[int, int],
    device: Device = "cpu",
) -> tuple[float, float]:
    """Squares of the smallest and of the largest singular value on that circle.

    Exact to rounding: 1e-15 of the larger one. With fewer numbers out than in the smaller is 0.

    Raises:
        ValueError: as `polyphase_matrices`.
    """
    matrices = polyphase_matrices(tokenize, stride, in_chans, tokens, device)
    outputs, places = matrices.shape[-2:]
    low, high = math.inf, 0.0
    for row in matrices:  # a row of frequencies at a time: Gram matrices of all are large
        gram = row.mH @ row if places <= outputs else row @ row.mH
        values = torch.linalg.eigvalsh(gram)
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    return (max(low, 0.0) if places <= outputs else 0.0), high


def circle_norm(linear: Map, stride: int, in_chans: int, size: tuple[int, int]) -> float:
    """Largest singular value for circular images of that size (see `circle_bounds`)."""
    tokens = (size[0] // stride, size[1] // stride)
    return math.sqrt(circle_bounds(linear, stride, in_chans, tokens)[1])


def _check_affine(
    tokenize: Map, places: Tensor, responses: Tensor, constant: Tensor, stride: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(len(places), generator=generator, dtype=torch.float64).to(constant)
    size = (stride * constant.shape[-2], stride * constant.shape[-1])
    mixed = constant.new_zeros(1, int(places[:, 0].max()) + 1, *size)
    mixed[0, places[:, 0], places[:, 1], places[:, 2]] = weights
    expected = torch.einsum("p,pchw->chw", weights, responses)[None]
    rolled = torch.roll(mixed, (stride, -stride), (-2, -1))
    for image, answer, law in (
        (mixed, expected, "affine"),
        (-mixed, -expected, "affine"),  # a modulus is linear on what has one sign
        (rolled, torch.roll(expected, (1, -1), (-2, -1)), "commuting with shifts by its stride"),
    ):
        error = (tokenize(image) - constant - answer).norm() / answer.norm().clamp_min(1e-300)
        if not error <= 1e-6:
            fail("tokenize", f"a map that is {law}", f"one with an error of {float(error):.2g}")
