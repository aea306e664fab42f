"""One Haar level in plain torch operations: for any device and dtype, and for every tracer.

Two implementations with the same values. `analysis` and `adjoint` are compositions that autograd, a
tensor subclass, `torch.export` and inductor can trace. `analysis_eager` and `adjoint_eager`
write into one preallocated result, which is two to three times as fast outside a compiler and
needs a derivative from elsewhere (`_engine.haar_maps`).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "adjoint",
    "adjoint_eager",
    "analysis",
    "analysis_eager",
    "butterfly",
    "pad_to_even",
    "undecimated",
    "undecimated_adjoint",
]

_SAMPLES = 2**16  # of each corner in one piece: half a megabyte of sums and differences


def butterfly(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The symmetric orthonormal 4 x 4 map of a block, its own inverse."""
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


def _pad_to_even_adjoint(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Transpose of `pad_to_even`: what the repeated row or column received goes to the last."""
    height, width = size
    if x.shape[-2] != height:
        last = x[..., height - 1 : height, :] + x[..., height : height + 1, :]
        x = torch.cat([x[..., : height - 1, :], last], dim=-2)
    if x.shape[-1] != width:
        last = x[..., width - 1 : width] + x[..., width : width + 1]
        x = torch.cat([x[..., : width - 1], last], dim=-1)
    return x


def _corners(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        x[..., 0::2, 0::2],
        x[..., 0::2, 1::2],
        x[..., 1::2, 0::2],
        x[..., 1::2, 1::2],
    )


def _corners_of_any_size(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`_corners` of `pad_to_even`, without asking whether a side is odd: an exported graph with
    symbolic shapes must not branch on that. Slower, for it gathers."""
    height, width = x.shape[-2:]
    left = 2 * torch.arange((width + 1) // 2, device=x.device)
    right = (left + 1).clamp(max=width - 1)
    top = 2 * torch.arange((height + 1) // 2, device=x.device)
    upper, lower = x.index_select(-2, top), x.index_select(-2, (top + 1).clamp(max=height - 1))
    return (
        upper.index_select(-1, left),
        upper.index_select(-1, right),
        lower.index_select(-1, left),
        lower.index_select(-1, right),
    )


def analysis(x: Tensor, any_size: bool = False) -> Tensor:
    """(B, C, H, W) to (B, C, 4, ⌈H/2⌉, ⌈W/2⌉); `any_size` for a graph with symbolic shapes."""
    corners = _corners_of_any_size(x) if any_size else _corners(pad_to_even(x))
    return torch.stack(butterfly(*corners), dim=2)


def adjoint(coefficients: Tensor, size: tuple[int, int]) -> Tensor:
    """Transpose of `analysis` for images of that size; its inverse where both sides are even."""
    batch, channels, _, height, width = coefficients.shape
    a, b, c, d = butterfly(*coefficients.unbind(2))
    # (B, C, h, w, 2, 2) -> (B, C, h, 2, w, 2) -> (B, C, 2h, 2w): pixels back between each other
    blocks = torch.stack([a, b, c, d], dim=-1).reshape(batch, channels, height, width, 2, 2)
    return _pad_to_even_adjoint(
        blocks.transpose(3, 4).reshape(batch, channels, 2 * height, 2 * width), size
    )


def _butterfly_into(targets: tuple[Tensor, ...], sources: tuple[Tensor, ...]) -> None:
    for pieces in zip(*map(_pieces, (*targets, *sources)), strict=True):
        a, b, c, d = pieces[4:]
        top, bottom = torch.add(a, b).mul_(0.5), torch.add(c, d).mul_(0.5)
        torch.add(top, bottom, out=pieces[0])
        torch.sub(top, bottom, out=pieces[1])
        torch.sub(a, b, out=top).mul_(0.5)
        torch.sub(c, d, out=bottom).mul_(0.5)
        torch.add(top, bottom, out=pieces[2])
        torch.sub(top, bottom, out=pieces[3])


def _pieces(x: Tensor) -> list[Tensor]:
    """(B, C, h, w) as few planes at a time: what lies between two steps stays in a cache."""
    if x.device.type != "cpu":  # a launch for each piece would take longer than the memory
        return [x]
    most = max(_SAMPLES // max(x.shape[-2] * x.shape[-1], 1), 1)
    channels = max(x.shape[1], 1)
    if most >= channels:
        return list(x.split(most // channels))
    return [piece for image in x.split(1) for piece in image.split(most, dim=1)]


def analysis_eager(x: Tensor, result: Tensor | None = None) -> Tensor:
    """The values of `analysis`, without a derivative, in `result` where that is given."""
    x = pad_to_even(x)
    batch, channels, height, width = x.shape
    if result is None:
        result = x.new_empty(batch, channels, 4, height // 2, width // 2)
    _butterfly_into(result.unbind(2), _corners(x))
    return result


def adjoint_eager(bands: tuple[Tensor, ...], size: tuple[int, int]) -> Tensor:
    """The values of `adjoint`, without a derivative, from four bands wherever they lie."""
    batch, channels, height, width = bands[0].shape
    result = bands[0].new_empty(batch, channels, 2 * height, 2 * width)
    _butterfly_into(_corners(result), bands)
    return _pad_to_even_adjoint(result, size)


def undecimated(x: Tensor, spacing: int) -> Tensor:
    """Four coefficients at every pixel of a circle, (B, C, H, W) to (B, C, 4, H, W).

    The block of a pixel reaches `spacing` rows down and `spacing` columns to the right.
    """
    right = torch.roll(x, -spacing, -1)
    lower = torch.roll(torch.stack([x, right]), -spacing, -2)
    return torch.stack(butterfly(x, right, *lower.unbind()), dim=2)


def undecimated_adjoint(coefficients: Tensor, spacing: int) -> Tensor:
    """Transpose of `undecimated`; a quarter of it is the inverse."""
    a, b, c, d = butterfly(*coefficients.unbind(2))
    upper, lower = a + torch.roll(b, spacing, -1), c + torch.roll(d, spacing, -1)
    return upper + torch.roll(lower, spacing, -2)
