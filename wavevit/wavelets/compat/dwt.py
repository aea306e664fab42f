"""Drop-in classes for pytorch-wavelets: decimated and undecimated wavelet transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from wavevit.checks import check_at_least, check_choice, check_image, fail
from wavevit.wavelets._engine.coefficients import check_bands, check_maps
from wavevit.wavelets._engine.modes import check_mode
from wavevit.wavelets._engine.symbolic_shapes import certainly
from wavevit.wavelets.compat.axes import analyse_axes, synthesise_axes, undecimated_axes
from wavevit.wavelets.compat.taps import check_pair, numbers_of
from wavevit.wavelets.dwt import forward_apart, idwt2
from wavevit.wavelets.filters import FilterBank, filter_bank
from wavevit.wavelets.swt import forward_levels

__all__ = ["DWTForward", "DWTInverse", "SWTForward"]

# Names of pytorch-wavelets to ours, for transforms that decimate and for those that do not.
_DECIMATED = {mode: mode for mode in ("zero", "symmetric", "reflect", "periodic", "periodization")}
_DECIMATED["per"] = "periodization"
_UNDECIMATED = {"zero": "zero", "constant": "zero", "replicate": "constant"}
_UNDECIMATED |= {"symmetric": "symmetric", "reflect": "reflect"}
_UNDECIMATED |= {"periodic": "periodic", "periodization": "periodic", "per": "periodic"}


class _Banks(NamedTuple):
    """What filters along the rows, and what along the columns."""

    rows: FilterBank
    columns: FilterBank

    @property
    def one(self) -> bool:
        return self.rows == self.columns

    def analyse(self, x: Tensor, mode: str) -> tuple[Tensor, Tensor]:
        """Approximation and details, each contiguous: callers reshape them with ``view``."""
        if self.one:
            low, high = forward_apart(x, self.rows, mode)
        else:
            check_mode(mode, x.shape[-2], x.shape[-1])
            bands = analyse_axes(x, self.rows, self.columns, mode)
            low, high = bands[:, :, 0], bands[:, :, 1:]
        return low.contiguous(), high.contiguous()

    def synthesise(self, bands: Tensor, mode: str) -> Tensor:
        if self.one:
            return idwt2(bands, self.rows, mode)
        return synthesise_axes(bands, self.rows, self.columns, mode)


def _as_banks(wave: Any) -> _Banks:
    """Banks from a name, a `FilterBank`, a ``pywt.Wavelet`` or two or four filters.

    Of four filters the first two go along the rows, whatever pytorch-wavelets' documentation says:
    its decimated classes hand their "column" filters over in the place of the row filters.

    Raises:
        ValueError: an unknown name, another number of filters, filters of odd or unequal length.
    """
    if hasattr(wave, "filter_bank"):  # pywt.Wavelet, of any filters: the original checks nothing
        low, high, low_back, high_back = wave.filter_bank
        bank = FilterBank(low, high, low_back, high_back, wave.name, _trusted=True)
        return _Banks(bank, bank)
    if isinstance(wave, str | FilterBank):
        bank = filter_bank(wave)
        return _Banks(bank, bank)
    expected = "a name, a bank, two filters or four"
    if not hasattr(wave, "__len__"):
        fail("wave", expected, repr(wave))
    if len(wave) not in (2, 4):
        fail("wave", expected, f"{len(wave)} filters")
    filters = [numbers_of(f"wave[{index}]", filter_) for index, filter_ in enumerate(wave)]
    return _Banks(FilterBank.one_sided(*filters[:2]), FilterBank.one_sided(*filters[-2:]))


class DWTForward(nn.Module):
    """Decimated wavelet transform, fine to coarse.

    Args:
        J: number of levels.
        wave: name of a wavelet, a `FilterBank`, a ``pywt.Wavelet``, ``(dec_lo, dec_hi)``, or two
            such pairs in one tuple of four: the first pair filters along the rows (from left to
            right), as in pytorch-wavelets, which calls its filters ``h0_col`` and ``h1_col``.
        mode: ``"zero"``, ``"symmetric"``, ``"reflect"``, ``"periodic"``, ``"periodization"`` or
            its short name ``"per"``.

    Raises:
        ValueError: an unknown wavelet or mode, a level below 0.

    Guarantees:
        Values of pytorch-wavelets 1.3.0, right gradients (tests/parity/test_pytorch_wavelets.py).
    """

    def __init__(self, J: int = 1, wave: Any = "db1", mode: str = "zero") -> None:
        super().__init__()
        self.banks = _as_banks(wave)
        self.J = check_at_least("J", J, 0)
        self.mode = check_choice("mode", mode, _DECIMATED)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Images (B, C, H, W) to ``(yl, yh)``: (B, C, h, w) and J tensors (B, C, 3, h_j, w_j)."""
        check_image(x)
        low, high = x, []
        for _ in range(self.J):
            low, details = self.banks.analyse(low, _DECIMATED[self.mode])
            high.append(details)
        return low if high else x.clone(), high


class DWTInverse(nn.Module):
    """Inverse of `DWTForward`.

    Args:
        wave: as in `DWTForward`; filters are those of synthesis, ``(rec_lo, rec_hi)``.
        mode: as in `DWTForward`.

    Raises:
        ValueError: an unknown wavelet or mode.

    Guarantees:
        Values of pytorch-wavelets 1.3.0, right gradients (tests/parity/test_pytorch_wavelets.py).
    """

    def __init__(self, wave: Any = "db1", mode: str = "zero") -> None:
        super().__init__()
        self.banks = _as_banks(wave)
        self.mode = check_choice("mode", mode, _DECIMATED)

    def forward(self, coeffs: tuple[Tensor, Sequence[Tensor | None]]) -> Tensor:
        """``(yl, yh)`` of `DWTForward` to images; an entry of `yh` may be None."""
        low, high = check_pair(coeffs)
        check_image(low, "coeffs[0]")
        if not high:
            return low.clone()
        for index, bands in reversed(list(enumerate(high))):
            if bands is None:
                bands = low.new_zeros(low.shape[0], low.shape[1], 3, *low.shape[-2:])
            check_bands(bands, f"coeffs[1][{index}]", 3)
            check_maps(bands, f"coeffs[1][{index}]", low)
            height, width = bands.shape[-2:]
            # The level below may have had an odd side, of which the inverse makes an even one.
            low = low[:, :, None, :height, :width]
            if any(certainly(a != b) for a, b in zip(low.shape[-2:], (height, width), strict=True)):
                expected = f"details of {tuple(low.shape[-2:])} or one below on a side"
                fail(f"coeffs[1][{index}]", expected, (height, width))
            low = self.banks.synthesise(torch.cat([low, bands], dim=2), _DECIMATED[self.mode])
        return low


class SWTForward(nn.Module):
    """Undecimated wavelet transform, fine to coarse.

    Args:
        J: number of levels.
        wave: as in `DWTForward`, but of four filters the first two filter along the columns, as in
            pytorch-wavelets.
        mode: border mode. ``"periodization"``, ``"per"`` and ``"periodic"`` wrap the image; only
            these commute with circular shifts. (pytorch-wavelets has the first as its default, but
            raises an error for it.) ``"zero"``, ``"constant"`` (also zeros, as in the original),
            ``"replicate"``, ``"symmetric"``, ``"reflect"``.

    Raises:
        ValueError: an unknown wavelet or mode, a level below 1.

    Guarantees:
        Values of pytorch-wavelets 1.3.0, right gradients (tests/parity/test_pytorch_wavelets.py).
    """

    def __init__(self, J: int = 1, wave: Any = "db1", mode: str = "periodization") -> None:
        super().__init__()
        self.banks = _as_banks(wave)
        self.J = check_at_least("J", J, 1)
        self.mode = check_choice("mode", mode, _UNDECIMATED)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images (B, C, H, W) to J tensors (B, C, 4, H, W), bands ``cA, cH, cV, cD``."""
        check_image(x)
        mode = _UNDECIMATED[self.mode]
        check_mode(mode, x.shape[-2], x.shape[-1])
        if self.banks.one:
            levels = forward_levels(x, self.banks.rows, self.J, mode)
            # By index: what `unbind` gives can't be changed in place where a gradient is asked for.
            return [levels[:, :, index].contiguous() for index in reversed(range(self.J))]
        # Of this class alone pytorch-wavelets lets "column" filters filter columns.
        along_columns, along_rows = self.banks
        return undecimated_axes(x, along_rows, along_columns, self.J, mode)
