"""The transforms as modules, for models that are built of modules.

Each holds its filters as a buffer that follows ``.to()`` and is no part of the state dict: a
wavelet is configuration, not something learned. Built on the meta device, a module is completed
by ``.to_empty(device=…)`` and ``reset_parameters()``, as timm's fixed filters are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.overrides import has_torch_function

from wavevit.checks import check_at_least, check_choice, check_image
from wavevit.wavelets.boundary import MODES, check_mode
from wavevit.wavelets.dwt import backward_step, check_bands, crop, dwt2, forward_step, idwt2
from wavevit.wavelets.filters import FilterBank, filter_bank
from wavevit.wavelets.pyramid import Pyramid, check_level, decompose, recompose
from wavevit.wavelets.swt import backward_levels, check_levels, forward_levels

__all__ = ["DWT2", "IDWT2", "ISWT2", "SWT2", "WaveDec2", "WaveRec2"]


class _Transform(nn.Module):
    """A bank, and one pair of its filters as the buffer `taps`, (2, L)."""

    taps: Tensor
    which: str

    def __init__(
        self,
        wavelet: str | FilterBank,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.bank = filter_bank(wavelet)
        taps = torch.empty(2, self.bank.length, device=device, dtype=dtype)
        self.register_buffer("taps", taps, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Writes the filters into the buffer, as is needed after ``.to_empty()``."""
        exact = self.bank.taps(self.which, torch.float64, torch.device("cpu"))
        with torch.no_grad():
            self.taps.copy_(exact)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> _Transform:
        # Casting copies rounded values: double() after float() would keep seven digits.
        super()._apply(fn, recurse)
        self.reset_parameters()
        return self

    def extra_repr(self) -> str:
        """The wavelet and, where there is one, the mode."""
        mode = f", mode={self.mode!r}" if hasattr(self, "mode") else ""
        return f"wavelet={self.bank.name!r}{mode}"


class _Decimated(_Transform):
    def __init__(
        self,
        wavelet: str | FilterBank = "haar",
        mode: str = "periodization",
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(wavelet, device, dtype)
        self.mode = check_choice("mode", mode, MODES)


class _Analysis(_Decimated):
    which = "analysis"

    def _step(self, x: Tensor) -> Tensor:
        if has_torch_function((x,)):  # whoever listens for `dwt2` hears this one too
            return dwt2(x, self.bank, self.mode)
        check_image(x)
        check_mode(self.mode, x.shape[-2], x.shape[-1])
        return forward_step(x, self.bank, self.mode, self.taps)


class _Synthesis(_Decimated):
    which = "synthesis"

    def _step(self, coefficients: Tensor) -> Tensor:
        if has_torch_function((coefficients,)):
            return idwt2(coefficients, self.bank, self.mode)
        check_bands(coefficients, "coefficients", 4)
        return backward_step(coefficients, self.bank, self.mode, self.taps)


class DWT2(_Analysis):
    """`dwt2` as a module.

    Args:
        wavelet: see `dwt2`.
        mode: see `dwt2`.
        device: of the filters.
        dtype: of the filters; inputs of another dtype are computed with the exact filters in
            their own, so casting a module to half precision does not round its filters.

    Guarantees:
        Equal to `dwt2` in every dtype, also after ``.half()`` and after a start on the meta
        device (tests/unit/test_wavelet_modules.py).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to bands (B, C, 4, h, w)."""
        return self._step(x)


class IDWT2(_Synthesis):
    """`idwt2` as a module; arguments as in `DWT2`."""

    def forward(self, coefficients: Tensor, output_size: tuple[int, int] | None = None) -> Tensor:
        """Bands (B, C, 4, h, w) to images (B, C, H, W)."""
        return crop(self._step(coefficients), output_size)


class WaveDec2(_Analysis):
    """`wavedec2` as a module.

    Args:
        wavelet: see `dwt2`.
        mode: see `dwt2`.
        level: see `wavedec2`.
        device: of the filters.
        dtype: of the filters, see `DWT2`.
    """

    def __init__(
        self,
        wavelet: str | FilterBank = "haar",
        mode: str = "periodization",
        level: int | None = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(wavelet, mode, device=device, dtype=dtype)
        self.level = level if level is None else check_at_least("level", level, 0)

    def forward(self, x: Tensor) -> Pyramid:
        """Images (B, C, H, W) to a `Pyramid`."""
        check_image(x)
        level = check_level(self.level, x.shape[-2], x.shape[-1], self.bank.length)
        return decompose(x, self.bank, self.mode, level, self.taps)


class WaveRec2(_Synthesis):
    """`waverec2` as a module; arguments as in `DWT2`."""

    def forward(
        self,
        pyramid: tuple[Tensor, tuple[Tensor, ...]],
        output_size: tuple[int, int] | None = None,
    ) -> Tensor:
        """A `Pyramid` to images (B, C, H, W)."""
        return recompose(pyramid, self.bank, self.mode, output_size, self.taps)


class SWT2(_Transform):
    """`swt2` as a module.

    Args:
        wavelet: see `swt2`.
        level: see `swt2`.
        device: of the filters.
        dtype: of the filters, see `DWT2`.
    """

    which = "analysis"

    def __init__(
        self,
        wavelet: str | FilterBank = "haar",
        level: int = 1,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(wavelet, device, dtype)
        self.level = check_at_least("level", level, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to (B, C, level, 4, H, W)."""
        check_image(x)
        return forward_levels(x, self.bank, self.level, self.taps)


class ISWT2(_Transform):
    """`iswt2` as a module.

    Args:
        wavelet: see `swt2`.
        device: of the filters.
        dtype: of the filters, see `DWT2`.
    """

    which = "synthesis"

    def __init__(
        self,
        wavelet: str | FilterBank = "haar",
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(wavelet, device, dtype)

    def forward(self, coefficients: Tensor) -> Tensor:
        """(B, C, level, 4, H, W) to images (B, C, H, W)."""
        check_levels(coefficients)
        return backward_levels(coefficients, self.bank, self.taps)
