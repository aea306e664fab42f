"""The orthonormal Haar butterfly: one level, both directions, and its undecimated twin.

For a 2 x 2 block ``[[a, b], [c, d]]`` the four coefficients, in PyWavelets' order, are

    cA = (a + b + c + d) / 2      cH = (a + b - c - d) / 2
    cV = (a - b + c - d) / 2      cD = (a - b - c + d) / 2

The matrix of that map is symmetric and orthogonal, so it is its own inverse: analysis and
synthesis are one butterfly between different memory layouts. Everything here is made of plain
torch operations, so reverse and forward mode, `torch.func`, and `torch.compile` just work.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["haar_analysis", "haar_details_undecimated", "haar_synthesis"]


def _butterfly(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    # Halving comes first: in float16 the sum of four large pixels overflows, their halves do not.
    top, bottom = 0.5 * (a + b), 0.5 * (c + d)
    top_difference, bottom_difference = 0.5 * (a - b), 0.5 * (c - d)
    return (
        top + bottom,
        top - bottom,
        top_difference + bottom_difference,
        top_difference - bottom_difference,
    )


def pad_to_even(x: Tensor) -> Tensor:
    """Repeats the last row and column of an odd side: PyWavelets' rule for `periodization`."""
    height, width = x.shape[-2:]
    if height % 2:
        x = torch.cat([x, x[..., -1:, :]], dim=-2)
    if width % 2:
        x = torch.cat([x, x[..., :, -1:]], dim=-1)
    return x


def haar_analysis(x: Tensor) -> Tensor:
    """One level of the decimated Haar transform, (B, C, H, W) to (B, C, 4, ⌈H/2⌉, ⌈W/2⌉)."""
    x = pad_to_even(x)
    a, b = x[..., 0::2, 0::2], x[..., 0::2, 1::2]
    c, d = x[..., 1::2, 0::2], x[..., 1::2, 1::2]
    return torch.stack(_butterfly(a, b, c, d), dim=2)


def haar_synthesis(coefficients: Tensor) -> Tensor:
    """Inverse of `haar_analysis`, (B, C, 4, h, w) to (B, C, 2h, 2w)."""
    batch, channels, _, height, width = coefficients.shape
    a, b, c, d = _butterfly(*coefficients.unbind(2))
    # (B, C, h, w, 2, 2) -> (B, C, h, 2, w, 2) -> (B, C, 2h, 2w): pixels back between each other
    blocks = torch.stack([a, b, c, d], dim=-1).unflatten(-1, (2, 2))
    return blocks.transpose(3, 4).reshape(batch, channels, 2 * height, 2 * width)


def haar_details_undecimated(x: Tensor) -> Tensor:
    """The three details at every pixel, circular borders, (B, C, H, W) to (B, C, 3, H, W).

    Each coefficient is the orthonormal one of the 2 x 2 block that starts at its pixel. No
    sample is dropped, so the map commutes with every circular shift.
    """
    wrapped = F.pad(x, (0, 1, 0, 1), mode="circular")
    a, b = wrapped[..., :-1, :-1], wrapped[..., :-1, 1:]
    c, d = wrapped[..., 1:, :-1], wrapped[..., 1:, 1:]
    return torch.stack(_butterfly(a, b, c, d)[1:], dim=2)
