"""Filter banks: the four filters of a wavelet, by PyWavelets' name or by the user's hand.

A two-channel bank reconstructs perfectly when, with ``*`` for convolution and ``(−1)^n h`` for a
filter with alternating signs,

    rec_lo * dec_lo        + rec_hi * dec_hi        = 2 δ[n − (L − 1)]     nothing is distorted
    rec_lo * (−1)^n dec_lo + rec_hi * (−1)^n dec_hi = 0                    aliases cancel

`FilterBank` checks both for filters that a user brings. PyWavelets is imported only when one of
its names is looked up for the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from wavevit.checks import fail, nearest

__all__ = ["FilterBank", "filter_bank", "wavelet_names"]

RECONSTRUCTION_TOLERANCE = 1e-6  # filters copied from a paper come with seven digits or more
_MOMENT_TOLERANCE = 1e-8

Taps = tuple[float, ...]


@dataclass(frozen=True)
class FilterBank:
    """The analysis and synthesis filters of a two-channel bank, in PyWavelets' conventions.

    Attributes:
        dec_lo: analysis low-pass, `L` taps, `L` even; shorter filters are padded with zeros so
            that all four are aligned as PyWavelets aligns its biorthogonal ones.
        dec_hi: analysis high-pass.
        rec_lo: synthesis low-pass.
        rec_hi: synthesis high-pass.
        name: for messages and records.
        is_haar: the filters are Haar's, whatever the name (db1, bior1.1 and rbio1.1 are).

    Raises:
        ValueError: filters of different, odd or no length, a tap that is not finite, or filters
            that do not reconstruct; the message says by how much they fail. The named banks of
            PyWavelets are taken as they are (``"dmey"`` is off by 0.0045 and known for it).

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
    is_haar: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for argument in ("dec_lo", "dec_hi", "rec_lo", "rec_hi"):
            taps = _as_taps(argument, getattr(self, argument))
            if len(taps) != len(self.dec_lo):
                expected = f"{len(self.dec_lo)} taps as in dec_lo (pad with zeros)"
                fail(argument, expected, len(taps))
            object.__setattr__(self, argument, taps)
        # A plain attribute, not a property: it steers the transforms inside compiled graphs.
        object.__setattr__(self, "is_haar", self._has_taps_of_haar())
        error = 0.0 if self._trusted else self.reconstruction_error
        if not error <= RECONSTRUCTION_TOLERANCE:
            expected = f"filters that reconstruct to within {RECONSTRUCTION_TOLERANCE:g}"
            fail("FilterBank", expected, f"an error of {error:.3g} ({self.name!r})")

    @classmethod
    def from_name(cls, name: str) -> FilterBank:
        """The bank that PyWavelets has under `name`.

        Raises:
            ValueError: no discrete wavelet of that name; the message offers the nearest ones.
        """
        return filter_bank(name)

    @classmethod
    def one_sided(cls, lo: Sequence[float], hi: Sequence[float]) -> FilterBank:
        """A bank of which one direction alone is known and used; nothing can be checked.

        Both directions get the pair that is given, in the convention of `dec_*` and `rec_*`.

        Raises:
            ValueError: filters of different, odd or no length.
        """
        return cls(tuple(lo), tuple(hi), tuple(lo), tuple(hi), "one-sided", _trusted=True)

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
        """Synthesis is the transpose of analysis, to within the tolerance of reconstruction.

        ``"dmey"`` misses that by 0.0045 and is not orthogonal here, though it is to PyWavelets.
        """
        reversed_ = self.dec_lo[::-1] + self.dec_hi[::-1]
        gap = max(abs(a - b) for a, b in zip(self.rec_lo + self.rec_hi, reversed_, strict=True))
        return max(gap, self.reconstruction_error) <= RECONSTRUCTION_TOLERANCE

    @property
    def biorthogonal(self) -> bool:
        """Reconstructs perfectly; every orthogonal bank is biorthogonal too, as in PyWavelets."""
        return self.reconstruction_error <= RECONSTRUCTION_TOLERANCE

    @cached_property
    def vanishing_moments(self) -> int:
        """Degree below which polynomials give no detail (moments of `dec_hi` that vanish).

        Counted on the filter itself: for the reverse biorthogonal names PyWavelets' attribute
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
        """
        pair = (
            (self.dec_lo[::-1], self.dec_hi[::-1])
            if which == "analysis"
            else (self.rec_lo, self.rec_hi)
        )
        if torch.compiler.is_compiling():  # a constant of the graph; a cache would leak tracers
            return torch.tensor(pair, dtype=dtype, device=device)
        key = (self, which, dtype, device)
        return remember(key, lambda: torch.tensor(pair, dtype=dtype, device=device))


_REMEMBERED: dict[Hashable, Tensor] = {}
_MOST_REMEMBERED = 128


def remember(key: Hashable, build: Callable[[], Tensor]) -> Tensor:
    """Keeps what `build` returns, if it is an ordinary tensor that any later call may use.

    A fake tensor (shape propagation), a tensor wrapped by a `torch.func` transform and an
    inference tensor are all bound to the context in which they were made: those are returned
    but not kept.
    """
    # Neither stack has a public reader; both names have been stable since torch 2.0.
    faking = torch._C._len_torch_dispatch_stack() > 0
    transforming = torch._C._functorch.peek_interpreter_stack() is not None
    found = _REMEMBERED.get(key)
    if found is not None and not faking:
        return found
    with torch.inference_mode(False), torch.no_grad():
        built = build()
    if type(built) is Tensor and not faking and not transforming:
        if len(_REMEMBERED) >= _MOST_REMEMBERED:
            _REMEMBERED.pop(next(iter(_REMEMBERED)))
        _REMEMBERED[key] = built
    return built


def _as_taps(argument: str, values: Sequence[float]) -> Taps:
    taps = tuple(float(value) for value in values)
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

    if name not in wavelet_names():
        close = nearest(name, wavelet_names())
        hint = f" (unknown; nearest: {', '.join(close)})" if close else " (unknown)"
        fail("wavelet", "a FilterBank or a discrete wavelet of PyWavelets", f"{name!r}{hint}")
    wavelet = pywt.Wavelet(name)
    # Counting moments in floating point is unreliable for long filters; orthogonal families
    # have theirs by construction.
    moments = wavelet.vanishing_moments_psi if wavelet.orthogonal else None
    low, high, low_back, high_back = wavelet.filter_bank
    _NAMED[name] = FilterBank(low, high, low_back, high_back, name, moments, _trusted=True)
    return True


# The mark that `torch.compiler.assume_constant_result` sets; the decorator itself would import
# the whole compiler, a second or so, whenever anybody imports wavevit.
setattr(_load, "_dynamo_marked_constant", True)  # noqa: B010


def filter_bank(wavelet: str | FilterBank) -> FilterBank:
    """The bank behind what a caller gave as `wavelet`: a name of PyWavelets, or a bank.

    Raises:
        ValueError: an unknown name (with the nearest ones), or something else altogether.
    """
    if isinstance(wavelet, FilterBank):
        return wavelet
    if not isinstance(wavelet, str):
        fail("wavelet", "a name or a FilterBank", f"{type(wavelet).__name__} {wavelet!r}")
    _load(wavelet)
    return _NAMED[wavelet]
