"""Filter banks of the dual-tree complex wavelet transform, built from the published values.

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
    ICIP 2000 (six non-zero taps), here as the lattice of three rotations that it is. qshift_b and
    qshift_d (14 and 18 taps): examples 2 and 3 ibid., printed with 8 decimals, as the LTFAT toolbox
    quotes them. qshift_a and qshift_c (10 and 16 taps): no paper that we found prints them, and
    LTFAT, which names the example for the others, names none for these two; their 8 decimals are
    those of MathWorks' `qorthwavf`, LTFAT and everybody else. They stay, because `qshift_a` is the
    default wherever the transform is used, and because they are checked against the design that
    ICIP 2000 describes: all four are, to within 1 % of the gradient, minima of the energy above
    0.35 π of the filter interleaved with its time reverse, among orthonormal filters with two zeros
    at ω = π (tests/properties/test_dtcwt_filters.py). They are results of a numerical optimisation
    without closed form; rounded they are orthonormal to 1e-8 only, and `_nearest_orthonormal`
    computes the digits that are missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wavevit.checks import check_at_least, check_choice

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

_PRINTED = {
    "qshift_a": (
        0.05113041, -0.01397537, -0.10983605, 0.26383956, 0.76662847, 0.56365571, 0.00087362,
        -0.10023122, -0.00168968, -0.00618188,
    ),
    "qshift_b": (
        0.00325314, -0.00388321, 0.03466035, -0.03887280, -0.11720389, 0.27529538, 0.75614564,
        0.56881042, 0.01186609, -0.10671180, 0.02382538, 0.01702522, -0.00543948, -0.00455690,
    ),
    "qshift_c": (
        -0.00476161, -0.00044602, -0.00007144, 0.03491461, -0.03727390, -0.11591146, 0.27636864,
        0.75639377, 0.56713448, 0.01463741, -0.11255888, 0.02228926, 0.01849868, -0.00720268,
        -0.00022765, 0.00243035,
    ),
    "qshift_d": (
        -0.00228413, 0.00120989, -0.01183479, 0.00128346, 0.04436522, -0.05327611, -0.11330589,
        0.28090286, 0.75281604, 0.56580807, 0.02455015, -0.12018854, 0.01815649, 0.03152638,
        -0.00662879, -0.00257617, 0.00127756, 0.00241187,
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


def _nearest_orthonormal(printed: tuple[float, ...]) -> tuple[float, ...]:
    """The taps nearest to `printed` that are orthonormal to their own even shifts.

    Newton's method on ``Σ_k h[k] h[k + 2m] = δ[m]``; of all solutions of the linearised equations
    each step takes the shortest.
    """
    taps = np.array(printed)
    shifts = range(0, len(taps), 2)
    for _ in range(4):  # the error of 1e-8 is squared each time
        ahead = np.array([np.append(taps[m:], np.zeros(m)) for m in shifts])
        behind = np.array([np.append(np.zeros(m), taps[: len(taps) - m]) for m in shifts])
        error = ahead @ taps
        error[0] -= 1
        taps = taps - np.linalg.lstsq(ahead + behind, error, rcond=None)[0]
    return tuple(taps.tolist())


# With θ = 36.45° (0.81 of 45°) the rotations are -(45° + θ), -θ, 2θ: they add up to -45°, which
# puts one zero at ω = π. Two zeros behind make it as long as its time reverse needs.
_QSHIFTS = {"qshift_06": (*_lattice((-81.45, -36.45, 72.9)), 0.0, 0.0)}
_QSHIFTS |= {name: _nearest_orthonormal(printed) for name, printed in _PRINTED.items()}
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
        Orthonormal to its even shifts to 1e-15; equal to the values that pytorch-wavelets and the
        `dtcwt` package use, to 1e-8 (the 8 decimals that are printed), ``"qshift_06"`` to 1e-14
        (tests/properties/test_dtcwt_filters.py).
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
        ValueError: an unknown name, or fewer than two points.

    Guarantees:
        Never violated by random images of any content (tests/properties/test_dtcwt_laws.py).
    """
    pair = biorthogonal_pair(biort)
    check_at_least("points", points, 2)
    omega = np.linspace(0, np.pi, points)
    energy = np.zeros(points)
    for taps in (pair.h0, pair.h1):
        middle = len(taps) // 2
        offsets = np.arange(len(taps)) - middle
        energy += (np.cos(np.outer(omega, offsets)) @ np.array(taps)) ** 2
    # Between its samples a trigonometric polynomial exceeds them by this at most (Ehlich & Zeller
    # 1964), so that the bounds are bounds; 5/7 taps: 1e-5.
    degree = max(len(pair.h0), len(pair.h1)) - 1
    middle = (energy.max() + energy.min()) / 2
    half = (energy.max() - middle) / np.cos(np.pi * degree / (2 * (points - 1)))
    return float(max(middle - half, 0.0) ** 2), float((middle + half) ** 2)
