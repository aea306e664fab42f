"""Inputs of a diffusion network: the noisy image, its low frequencies, or gated Haar bands."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wavevit.wavelets import Pyramid, wavedec2, waverec2

__all__ = ["INPUTS", "bands_to_pixels", "pixels_to_bands"]

_SLOPE, _LOWEST = 30.0, 0.05  # of the low-pass, as published


class PlainInput(nn.Module):
    """The noisy image itself."""

    def __init__(self, level: int, cond_dim: int) -> None:
        super().__init__()

    def forward(self, z: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        return z


class LowPassedInput(PlainInput):
    """A low-pass whose cut-off grows with time: early images have coarse content only.

    The gain at radius `r` (1 at the Nyquist frequency of an axis) is
    ``sigmoid(30 · (c(t) − r))`` with `c` from 0.05 at time 0 to 1 at time 1.

    Source:
        Spectral Forcing (arXiv 2606.15236).
    """

    def forward(self, z: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """Images (B, C, H, W) at times (B,) to the same shape."""
        height, width = z.shape[-2:]
        wide = torch.promote_types(z.dtype, torch.float32)
        rows = 2 * torch.fft.fftfreq(height, device=z.device, dtype=wide)
        columns = 2 * torch.fft.rfftfreq(width, device=z.device, dtype=wide)
        radius = (rows[:, None].square() + columns.square()).sqrt()
        cut = _LOWEST + (1 - _LOWEST) * t.to(wide)
        gain = torch.sigmoid(_SLOPE * (cut[:, None, None, None] - radius))
        found = torch.fft.irfft2(torch.fft.rfft2(z.to(wide)) * gain, s=(height, width))
        return found.to(z.dtype)


class GatedInput(PlainInput):
    """Haar bands times a learned gate of the condition for each band; all gates start at 1.

    Args:
        level: of the Haar transform.
        cond_dim: numbers of a condition.
    """

    def __init__(self, level: int, cond_dim: int) -> None:
        super().__init__(level, cond_dim)
        self.level = level
        self.gate = nn.Linear(cond_dim, level + 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, z: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """See `LowPassedInput`; `cond` is (B, E)."""
        gates = 2 * torch.sigmoid(self.gate(cond)).to(z.dtype)
        pyramid = wavedec2(z, "haar", level=self.level)
        details = tuple(
            bands * gates[:, index + 1, None, None, None, None]
            for index, bands in enumerate(pyramid.details)
        )
        return waverec2(Pyramid(pyramid.approx * gates[:, 0, None, None, None], details), "haar")


#: Inputs by name.
INPUTS = {"plain": PlainInput, "low_passed": LowPassedInput, "gated": GatedInput}


def bands_to_pixels(x: Tensor, level: int) -> Tensor:
    """Images whose orthonormal Haar coefficients lie in place, as lifting leaves them.

    Args:
        x: (B, C, H, W); of each 2 x 2 block the upper left value belongs to the approximation, in
            which the next level lies the same way, and the others are the details.
        level: of the transform; ``2**level`` divides both sides.
    """
    details = []
    for _ in range(level):
        bands = [x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        details.append(torch.stack(bands, dim=2))
        x = x[..., ::2, ::2]
    if not details:
        return x
    return waverec2(Pyramid(x.contiguous(), tuple(reversed(details))), "haar")


def pixels_to_bands(x: Tensor, level: int) -> list[Tensor]:
    """Orthonormal Haar bands of images, (B, …) each, the approximation first."""
    if level == 0:
        return [x]
    found = wavedec2(x, "haar", level=level)
    return [found.approx, *found.details]
