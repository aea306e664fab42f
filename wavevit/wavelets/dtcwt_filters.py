"""Filter banks of the dual-tree complex wavelet transform, built from what the papers print.

Level 1 uses an odd-length symmetric biorthogonal pair. Such a pair is a pair of polynomials in
``Z = (z + 1/z) / 2 = cos ω``, low-pass ``H(Z)`` and ``G(Z)`` with

    H(Z) G(Z) + H(-Z) G(-Z) = 1        (perfect reconstruction, both with unit gain at ω = 0),

so the banks below are written as such polynomials; replacing `Z` by an odd polynomial of `Z`
keeps the identity and lengthens the filters (Tay & Kingsbury 1993). The high-pass filters are the
other direction's low-pass with every second sign changed.

Levels 2 and up use one orthonormal low-pass of even length whose delay is a quarter of a sample
off the middle ("Q-shift"); the second tree has it reversed in time, which puts the two trees half
a sample apart.

Sources:
    legall: Le Gall & Tabatabai, ICASSP 1988, 5/3 taps. antonini: Antonini, Barlaud, Mathieu &
    Daubechies, IEEE Trans. Image Processing 1(2), 1992, 9/7 taps: the zeros at ω = π shared out
    over the maximally flat half-band filter. near_sym_a: 5/7 taps from the Laplacian-pyramid
    filter with a = 0.6, ibid.; Kingsbury, Phil. Trans. R. Soc. A 357, 1999. near_sym_b: 13/19
    taps, the same pair with `Z` replaced by `_LONGER`, Kingsbury 1999. qshift_06: Kingsbury,
    ICIP 2000 (six non-zero taps), here as the lattice of three rotations that it is. qshift_a to
    qshift_d (10, 14, 16, 18 taps): Kingsbury, ICIP 2000 and Appl. Comput. Harmonic Analysis
    10(3), 2001; results of numerical optimisation that have no closed form, here with the 15
    decimals that are in circulation (MATLAB's `qorthwavf` documents the same numbers; the papers
    print 8).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wavevit.checks import check_choice

__all__ = [
    "BIORTS",
    "QSHIFTS",
    "BiorthogonalPair",
    "biorthogonal_pair",
    "level_one_frame_bounds",
    "qshift_filter",
]


@dataclass(frozen=True)
class BiorthogonalPair:
    """The four filters of level 1, each symmetric and of odd length, centred on its middle tap.

    Attributes:
        h0: analysis low-pass, unit gain at ω = 0.
        h1: analysis high-pass, unit gain at ω = π.
        g0: synthesis low-pass.
        g1: synthesis high-pass.
    """

    h0: tuple[float, ...]
    h1: tuple[float, ...]
    g0: tuple[float, ...]
    g1: tuple[float, ...]


# Coefficients of H and G, ascending powers of Z.
_NEAR_SYM = (np.array([7, 5, -2]) / 10, np.array([50, 41, -15, -6]) / 70)
_LEGALL = (np.array([2, 1, -1]) / 2, np.array([1, 1]) / 2)
# Z itself, and the odd polynomial of near_sym_b: 19/32 (z + 1/z) - 3/32 (z³ + 1/z³).
_PLAIN = np.array([0.5, 0, 0.5])
_LONGER = np.array([-3, 0, 19, 0, 19, 0, -3]) / 32

_QSHIFT_DECIMALS = {
    "qshift_a": (
        0.051130405283832, -0.013975370246889, -0.109836051665971, 0.263839561058938,
        0.766628467793037, 0.563655710127052, 0.000873622695217, -0.100231219507476,
        -0.001689681272528, -0.006181881892116,
    ),
    "qshift_b": (
        0.003253142763653, -0.003883211999158, 0.034660346844853, -0.038872801268828,
        -0.117203887699115, 0.275295384668882, 0.756145643892522, 0.568810420712123,
        0.011866092033797, -0.106711804686665, 0.023825384794920, 0.017025223881554,
        -0.005439475937274, -0.004556895628475,
    ),
    "qshift_c": (
        -0.004761611938456, -0.000446022789262, -0.000071441973280, 0.034914612306842,
        -0.037273895799898, -0.115911457427441, 0.276368643133032, 0.756393765199037,
        0.567134484100133, 0.014637405964473, -0.112558884257522, 0.022289263266923,
        0.018498682724156, -0.007202677878258, -0.000227652205898, 0.002430349945149,
    ),
    "qshift_d": (
        -0.002284127440271, 0.001209894163073, -0.011834794515431, 0.001283456999344,
        0.044365221606617, -0.053276108803047, -0.113305886362143, 0.280902863222186,
        0.752816038087856, 0.565808067396459, 0.024550152433667, -0.120188544710795,
        0.018156493945546, 0.031526377122085, -0.006628794612430, -0.002576174306601,
        0.001277558653807, 0.002411869456666,
    ),
}  # fmt: skip


def _taps(polynomial: np.ndarray, variable: np.ndarray) -> np.ndarray:
    """Taps of a polynomial whose variable is itself a symmetric filter (Horner's rule)."""
    taps = np.array(polynomial[-1:])
    for coefficient in polynomial[-2::-1]:
        taps = np.convolve(taps, variable)
        taps[len(taps) // 2] += coefficient
    return taps


def _antonini() -> tuple[np.ndarray, np.ndarray]:
    """Factors the maximally flat half-band filter with eight zeros at ω = π.

    In ``y = (1 - Z) / 2`` it is ``(1 - y)⁴ (1 + 4y + 10y² + 20y³)``; the synthesis low-pass takes
    the real root of the cubic, the analysis low-pass the conjugate pair, each two of the
    ``(1 - y)``.
    """
    roots = np.roots([20, 10, 4, 1])
    real = roots[np.argmin(np.abs(roots.imag))].real
    pair = roots[np.argmax(roots.imag)]
    y = np.polynomial.Polynomial([0.5, -0.5])
    flat = (1 - y) ** 2
    analysis = flat * (1 - 2 * pair.real * y / abs(pair) ** 2 + y**2 / abs(pair) ** 2)
    synthesis = flat * (1 - y / real)
    return analysis.coef, synthesis.coef


def _pair(low: np.ndarray, dual: np.ndarray, variable: np.ndarray = _PLAIN) -> BiorthogonalPair:
    h0, g0 = _taps(low, variable), _taps(dual, variable)

    def modulated(taps: np.ndarray) -> np.ndarray:
        return taps * (-1.0) ** (np.arange(len(taps)) - len(taps) // 2)

    filters = (h0, modulated(g0), g0, modulated(h0))
    return BiorthogonalPair(*(tuple(taps.tolist()) for taps in filters))


def _lattice(degrees: tuple[float, ...]) -> tuple[float, ...]:
    """Low-pass of a lattice: rotate the two branches, delay one by two samples, rotate again."""
    low, high = np.array([1.0, 0.0]), np.array([0.0, -1.0])
    for angle in map(math.radians, degrees):
        low, high = np.append(low, [0.0, 0.0]), np.append([0.0, 0.0], high)
        low, high = (
            math.cos(angle) * low + math.sin(angle) * high,
            math.cos(angle) * high - math.sin(angle) * low,
        )
    return tuple(low.tolist())


# With θ = 36.45° (0.81 of 45°) the rotations are -(45° + θ), -θ, 2θ: they add up to -45°, which
# puts one zero at ω = π. Two zeros behind make it as long as its time reverse needs.
_QSHIFTS = {"qshift_06": (*_lattice((-81.45, -36.45, 72.9)), 0.0, 0.0), **_QSHIFT_DECIMALS}
_BIORTS = {
    "near_sym_a": _pair(*_NEAR_SYM),
    "near_sym_b": _pair(*_NEAR_SYM, _LONGER),
    "legall": _pair(*_LEGALL),
    "antonini": _pair(*_antonini()),
}
BIORTS = tuple(_BIORTS)
QSHIFTS = tuple(_QSHIFTS)


def biorthogonal_pair(name: str) -> BiorthogonalPair:
    """The filters of level 1.

    Args:
        name: one of `BIORTS`.

    Raises:
        ValueError: an unknown name, with the nearest known ones.

    Guarantees:
        Reconstructs perfectly to 1e-15; equal to the values that pytorch-wavelets and the `dtcwt`
        package use, to 1e-14 (tests/properties/test_dtcwt_filters.py).
    """
    return _BIORTS[check_choice("biort", name, BIORTS)]


def qshift_filter(name: str) -> tuple[float, ...]:
    """The low-pass of tree a from level 2 on; tree b's is its time reverse.

    Args:
        name: one of `QSHIFTS`.

    Raises:
        ValueError: an unknown name, with the nearest known ones.

    Guarantees:
        Orthonormal to its even shifts to 1e-14; equal to the values that pytorch-wavelets and the
        `dtcwt` package use, to 1e-14 (tests/properties/test_dtcwt_filters.py).
    """
    return _QSHIFTS[check_choice("qshift", name, QSHIFTS)]


def level_one_frame_bounds(biort: str, points: int = 4096) -> tuple[float, float]:
    """Smallest and largest energy gain of the whole transform.

    Every level from 2 on is orthonormal and so is the step from quads to complex numbers; what
    remains is level 1, whose gain at frequencies (ω₁, ω₂) is ``e(ω₁) e(ω₂)`` with
    ``e = |H0|² + |H1|²``. With symmetric borders those frequencies are those of a cosine
    transform, so the bounds hold for whole images, not only away from their borders.

    Args:
        biort: the filters of level 1.
        points: frequencies between 0 and π at which the gain is evaluated.

    Returns:
        ``(A, B)`` with ``A‖x‖² <= ‖dtcwt2(x)‖² <= B‖x‖²`` for every image whose sides
        ``2**level`` divides.

    Raises:
        ValueError: an unknown name.

    Guarantees:
        Never violated by random images of any content (tests/properties/test_dtcwt_laws.py).
    """
    pair = biorthogonal_pair(biort)
    omega = np.linspace(0, np.pi, points)
    energy = np.zeros(points)
    for taps in (pair.h0, pair.h1):
        middle = len(taps) // 2
        offsets = np.arange(len(taps)) - middle
        energy += (np.cos(np.outer(omega, offsets)) @ np.array(taps)) ** 2
    return float(energy.min() ** 2), float(energy.max() ** 2)
