"""Filter banks: the four filters of a wavelet, by PyWavelets' name or your own.

A two-channel bank reconstructs perfectly when, with ``*`` for convolution and ``(−1)^n h`` for a
filter with alternating signs,

    rec_lo * dec_lo        + rec_hi * dec_hi        = 2 δ[n − (L − 1)]     nothing is distorted
    rec_lo * (−1)^n dec_lo + rec_hi * (−1)^n dec_hi = 0                    aliases cancel

`FilterBank` checks both for your own filters. PyWavelets is imported when one of
its names is used for the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from wavevit.checks import check_choice, fail, nearest
from wavevit.wavelets._engine.tensor_cache import remember
from wavevit.wavelets._engine.torch_private import mark_constant

__all__ = ["FilterBank", "Wavelet", "filter_bank", "wavelet_names"]

RECONSTRUCTION_TOLERANCE = 1e-6  # filters copied from a paper come with seven digits or more
_MOMENT_TOLERANCE = 1e-8

Taps = tuple[float, ...]
Four = tuple[Taps, Taps, Taps, Taps]


class _Named(Protocol):
    """What is read of a ``pywt.Wavelet``."""

    name: str
    filter_bank: tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class FilterBank:
    """The analysis and synthesis filters of a two-channel bank, in PyWavelets' conventions.

    Attributes:
        dec_lo: analysis low-pass, `L` taps, `L` even; pad shorter filters with zeros, so
            that all four are aligned as in PyWavelets' biorthogonal wavelets.
        dec_hi: analysis high-pass.
        rec_lo: synthesis low-pass.
        rec_hi: synthesis high-pass.
        name: name for messages and records.
        is_haar: whether the filters are Haar's, under any name (also db1, bior1.1, rbio1.1).

    Raises:
        ValueError: filters of different, odd or no length, a tap that is not finite, or filters
            without perfect reconstruction; the message has their error. The named banks of
            PyWavelets are not checked (``"dmey"`` has a known error of 0.0045).

    Guarantees:
        Every name of PyWavelets gives PyWavelets' filters; a perturbed bank is refused
        (tests/unit/test_filters.py).

    Source:
        Vetterli & Herley 1992 for the conditions; the banks themselves come from PyWavelets.

    Example:
        >>> half = 0.5**0.5
        >>> bank = FilterBank([half, half], [-half, half], [half, half], [half, -half])
        >>> bank.orthogonal, bank.vanishing_moments
        (True, 1)
    """

    dec_lo: Taps
    dec_hi: Taps
    rec_lo: Taps
    rec_hi: Taps
    name: str = "custom"
    _known_moments: int | None = field(default=None, repr=False, compare=False)
    _trusted: bool = field(default=False, repr=False, compare=False)

    if TYPE_CHECKING:

        @property
        def is_haar(self) -> bool:
            """Set once, below; no field, for `torch.fx` writes a bank down as all of its fields."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            fail("name", "a string", type(self.name).__name__)
        for argument in ("dec_lo", "dec_hi", "rec_lo", "rec_hi"):
            taps = _as_taps(argument, getattr(self, argument))
            object.__setattr__(self, argument, taps)
            if len(taps) != self.length:
                expected = f"{self.length} taps as in dec_lo (pad with zeros)"
                fail(argument, expected, len(taps))
        # A plain attribute, not a property: it steers the transforms inside compiled graphs.
        object.__setattr__(self, "is_haar", self._has_taps_of_haar())
        error = 0.0 if self._trusted else self.reconstruction_error
        if not error <= RECONSTRUCTION_TOLERANCE:
            expected = f"filters that reconstruct to within {RECONSTRUCTION_TOLERANCE:g}"
            fail("FilterBank", expected, f"an error of {error:.3g} ({self.name!r})")

    @classmethod
    def from_name(cls, name: str) -> FilterBank:
        """The bank of a PyWavelets name.

        Raises:
            ValueError: no discrete wavelet of that name; the message lists the nearest names.
        """
        return filter_bank(name)

    @classmethod
    def one_sided(cls, lo: Sequence[float], hi: Sequence[float]) -> FilterBank:
        """A bank for one direction only (analysis or synthesis), without a check.

        The pair is `dec_*` for analysis and `rec_*` for synthesis. Use the bank in the direction
        that the pair is for.

        Raises:
            ValueError: filters of different, odd or no length, or something else than numbers.
        """
        low, high = _as_taps("lo", lo), _as_taps("hi", hi)
        return cls(low, high, low, high, "one-sided", _trusted=True)

    @property
    def filters(self) -> tuple[Taps, Taps, Taps, Taps]:
        """``(dec_lo, dec_hi, rec_lo, rec_hi)``, the order of ``pywt.Wavelet(filter_bank=…)``."""
        return self.dec_lo, self.dec_hi, self.rec_lo, self.rec_hi

    @property
    def length(self) -> int:
        """Taps of each filter."""
        return len(self.dec_lo)

    @cached_property
    def reconstruction_error(self) -> float:
        """Largest deviation from the two conditions of perfect reconstruction, without unit."""
        direct = _sum_of_products(self.rec_lo, self.dec_lo, self.rec_hi, self.dec_hi)
        direct[self.length - 1] -= 2.0
        alias = _sum_of_products(
            self.rec_lo, _alternate(self.dec_lo), self.rec_hi, _alternate(self.dec_hi)
        )
        return max(map(abs, direct + alias))

    @cached_property
    def orthogonal(self) -> bool:
        """Whether synthesis is the transpose of analysis, to the tolerance of reconstruction.

        ``"dmey"`` has an error of 0.0045 and is not orthogonal here, but is in PyWavelets.
        """
        reversed_ = self.dec_lo[::-1] + self.dec_hi[::-1]
        gap = max(abs(a - b) for a, b in zip(self.rec_lo + self.rec_hi, reversed_, strict=True))
        return max(gap, self.reconstruction_error) <= RECONSTRUCTION_TOLERANCE

    @property
    def biorthogonal(self) -> bool:
        """Whether it reconstructs perfectly; orthogonal banks are biorthogonal too (PyWavelets)."""
        return self.reconstruction_error <= RECONSTRUCTION_TOLERANCE

    @cached_property
    def vanishing_moments(self) -> int:
        """Number of vanishing moments of `dec_hi`: polynomials of lower degree have no details.

        It is counted on the filter. For the reverse biorthogonal names PyWavelets' attribute
        ``vanishing_moments_psi`` is that of the synthesis wavelet.
        """
        if self._known_moments is not None:
            return self._known_moments
        centre = (self.length - 1) / 2
        for degree in range(self.length):
            terms = [tap * (n - centre) ** degree for n, tap in enumerate(self.dec_hi)]
            if abs(sum(terms)) > _MOMENT_TOLERANCE * sum(map(abs, terms)):
                return degree
        return self.length

    def _has_taps_of_haar(self) -> bool:
        half = 0.5**0.5
        haar = (half, half, -half, half, half, half, half, -half)
        mine = self.dec_lo + self.dec_hi + self.rec_lo + self.rec_hi
        return len(mine) == len(haar) and all(
            abs(a - b) < 1e-15 for a, b in zip(mine, haar, strict=True)
        )

    def taps(self, which: str, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The pair of filters that a correlation applies, (2, L), low-pass first.

        Args:
            which: ``"analysis"`` (`dec_*` reversed, because a transform convolves) or
                ``"synthesis"`` (`rec_*` as they are).
            dtype: of the result.
            device: of the result.

        Raises:
            ValueError: another direction.
        """
        check_choice("which", which, ("analysis", "synthesis"))
        pair = (
            (self.dec_lo[::-1], self.dec_hi[::-1])
            if which == "analysis"
            else (self.rec_lo, self.rec_hi)
        )
        if torch.compiler.is_compiling():  # a constant of the graph; a cache would leak tracers
            return torch.tensor(pair, dtype=dtype, device=device)
        key = (self, which, dtype, device)
        return remember(key, lambda: torch.tensor(pair, dtype=dtype, device=device))


def _as_numbers(argument: str, values: Any) -> Taps:
    """Numbers of a sequence, an array or a tensor."""
    learned = any(isinstance(tap, Tensor) and tap.requires_grad for tap in _listed(values))
    if learned:  # as numbers they would never get one
        expected = "numbers without a gradient, such as taps.detach() (`Lifting` learns a wavelet)"
        fail(argument, expected, "a tensor that requires one")
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError, RuntimeError):  # RuntimeError: of a tensor with several axes
        got = repr(values) if isinstance(values, str | list | tuple) else type(values).__name__
    fail(argument, "a sequence of numbers", got)


def _listed(values: Any) -> Sequence[Any]:
    return values if isinstance(values, list | tuple) else (values,)


def _as_taps(argument: str, values: Sequence[float]) -> Taps:
    taps = _as_numbers(argument, values)
    if not taps or len(taps) % 2:
        fail(argument, "an even number of taps, at least 2 (pad with zeros)", len(taps))
    if not all(abs(tap) < float("inf") for tap in taps):  # NaN compares false too
        fail(argument, "finite taps", taps)
    return taps


def _sum_of_products(a: Taps, b: Taps, c: Taps, d: Taps) -> list[float]:
    """``a * b + c * d`` as sequences, ``*`` being convolution."""
    result = [0.0] * (2 * len(a) - 1)
    for left, right in ((a, b), (c, d)):
        for i, x in enumerate(left):
            for j, y in enumerate(right):
                result[i + j] += x * y
    return result


def _alternate(taps: Taps) -> Taps:
    return tuple(-tap if n % 2 else tap for n, tap in enumerate(taps))


@lru_cache(maxsize=1)
def wavelet_names() -> tuple[str, ...]:
    """Every discrete wavelet that PyWavelets knows."""
    import pywt

    return tuple(pywt.wavelist(kind="discrete"))


_NAMED: dict[str, FilterBank] = {}


def _load(name: str) -> bool:
    """Puts the bank of `name` into `_NAMED`; a compiler runs this instead of tracing it."""
    if name in _NAMED:
        return True
    import pywt

    known = name.lower()  # "Haar", "DB2": PyWavelets does not look at the case
    if known not in wavelet_names():
        if known in pywt.wavelist(kind="continuous"):
            hint = " (continuous: it has no filters)"
        else:
            close = nearest(known, wavelet_names())
            hint = f" (unknown; nearest: {', '.join(close)})" if close else " (unknown)"
        fail("wavelet", "a FilterBank or a discrete wavelet of PyWavelets", f"{name!r}{hint}")
    if known not in _NAMED:
        wavelet = pywt.Wavelet(known)
        # Counting moments in floating point is unreliable for long filters; orthogonal families
        # have theirs by construction.
        moments = wavelet.vanishing_moments_psi if wavelet.orthogonal else None
        low, high, low_back, high_back = wavelet.filter_bank
        _NAMED[known] = FilterBank(low, high, low_back, high_back, known, moments, _trusted=True)
    _NAMED[name] = _NAMED[known]
    return True


_GIVEN: dict[tuple[Four, str], FilterBank] = {}
_MOST_GIVEN = 128


def _keep(filters: Four, name: str) -> bool:
    """Puts the bank of four filters into `_GIVEN`: PyWavelets' own, where these are its filters."""
    if (filters, name) in _GIVEN:
        return True
    known = name.lower()
    named = filter_bank(known) if known in wavelet_names() else None
    if len(_GIVEN) >= _MOST_GIVEN:
        _GIVEN.clear()
    same = named is not None and named.filters == filters
    _GIVEN[filters, name] = named if named is not None and same else FilterBank(*filters, name)
    return True


mark_constant(_load)
mark_constant(_keep)

# What every transform takes as its wavelet.
Wavelet = str | FilterBank | _Named | Sequence[Sequence[float]]


def filter_bank(wavelet: Wavelet) -> FilterBank:
    """Returns the filter bank for an argument `wavelet`.

    Args:
        wavelet: a name of PyWavelets, upper or lower case; a `FilterBank`; a ``pywt.Wavelet``, also
            with your own filters; or four filters, ``(dec_lo, dec_hi, rec_lo, rec_hi)``.

    Raises:
        ValueError: an unknown name (with the nearest names), a continuous wavelet, filters without
            perfect reconstruction (see `FilterBank`), or another type.
    """
    if isinstance(wavelet, FilterBank):
        return wavelet
    if isinstance(wavelet, str):
        _load(wavelet)
        return _NAMED[wavelet]
    filters: Any = getattr(wavelet, "filter_bank", wavelet)  # a pywt.Wavelet knows its own
    four = isinstance(filters, tuple | list) and len(filters) == 4
    if four and not any(isinstance(filter_, str) for filter_ in filters):
        low, high, low_back, high_back = (
            _as_numbers(f"wavelet[{index}]", filter_) for index, filter_ in enumerate(filters)
        )
        taps = (low, high, low_back, high_back)
        name = getattr(wavelet, "name", "custom")
        _keep(taps, name)
        return _GIVEN[taps, name]
    expected = "a name, a FilterBank, a pywt.Wavelet or four filters"
    fail("wavelet", expected, f"{type(wavelet).__name__} {wavelet!r}")
