"""Wavelet transforms as `nn.Module` classes.

They have no parameters and no buffers: filters are not learned and are looked up in the dtype and
on the device of each input. So casts, the meta device and checkpoints do not affect them.
"""

from __future__ import annotations

from torch import Tensor, nn

from wavevit.checks import check_at_least
from wavevit.wavelets._engine.modes import as_mode
from wavevit.wavelets.dwt import dwt2, idwt2
from wavevit.wavelets.filters import Wavelet, filter_bank
from wavevit.wavelets.pyramid import Pyramid, wavedec2, waverec2
from wavevit.wavelets.swt import iswt2, swt2

__all__ = ["DWT2", "IDWT2", "ISWT2", "SWT2", "WaveDec2", "WaveRec2"]


class _Transform(nn.Module):
    """A wavelet, checked once."""

    def __init__(self, wavelet: Wavelet = "haar") -> None:
        super().__init__()
        self.bank = filter_bank(wavelet)

    def extra_repr(self) -> str:
        """The wavelet and, where there is one, the mode."""
        mode = f", mode={self.mode!r}" if hasattr(self, "mode") else ""
        return f"wavelet={self.bank.name!r}{mode}"


class _Decimated(_Transform):
    def __init__(self, wavelet: Wavelet = "haar", mode: str | int = "periodization") -> None:
        super().__init__(wavelet)
        self.mode = as_mode(mode)


class DWT2(_Decimated):
    """`dwt2` as a module.

    Args:
        wavelet: see `dwt2`.
        mode: see `dwt2`.

    Raises:
        ValueError: an unknown wavelet or mode.

    Guarantees:
        Equal to `dwt2` in every dtype, also after ``.half()``, on the meta device first,
        after a copy and after pickling (tests/unit/test_wavelet_modules.py).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to bands (B, C, 4, h, w)."""
        return dwt2(x, self.bank, self.mode)


class IDWT2(_Decimated):
    """`idwt2` as a module; arguments as in `DWT2`."""

    def forward(self, coefficients: Tensor, output_size: tuple[int, int] | None = None) -> Tensor:
        """Bands (B, C, 4, h, w) to images (B, C, H, W)."""
        return idwt2(coefficients, self.bank, self.mode, output_size)


class WaveDec2(_Decimated):
    """`wavedec2` as a module.

    Args:
        wavelet: see `dwt2`.
        mode: see `dwt2`.
        level: see `wavedec2`.

    Raises:
        ValueError: an unknown wavelet or mode, or a level below 0.
    """

    def __init__(
        self,
        wavelet: Wavelet = "haar",
        mode: str | int = "periodization",
        level: int | None = None,
    ) -> None:
        super().__init__(wavelet, mode)
        self.level = level if level is None else check_at_least("level", level, 0)

    def forward(self, x: Tensor) -> Pyramid:
        """Images (B, C, H, W) to a `Pyramid`."""
        return wavedec2(x, self.bank, self.mode, self.level)


class WaveRec2(_Decimated):
    """`waverec2` as a module; arguments as in `DWT2`."""

    def forward(
        self,
        pyramid: tuple[Tensor, tuple[Tensor, ...]],
        output_size: tuple[int, int] | None = None,
    ) -> Tensor:
        """A `Pyramid` to images (B, C, H, W)."""
        return waverec2(pyramid, self.bank, self.mode, output_size)


class SWT2(_Transform):
    """`swt2` as a module.

    Args:
        wavelet: see `swt2`.
        level: see `swt2`.

    Raises:
        ValueError: an unknown wavelet, or a level below 1.
    """

    def __init__(self, wavelet: Wavelet = "haar", level: int = 1) -> None:
        super().__init__(wavelet)
        self.level = check_at_least("level", level, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to (B, C, level, 4, H, W)."""
        return swt2(x, self.bank, self.level)


class ISWT2(_Transform):
    """`iswt2` as a module.

    Args:
        wavelet: see `swt2`.
    """

    def forward(self, coefficients: Tensor) -> Tensor:
        """(B, C, level, 4, H, W) to images (B, C, H, W)."""
        return iswt2(coefficients, self.bank)
