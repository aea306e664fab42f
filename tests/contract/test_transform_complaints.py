"""Bad input: one ValueError per mistake, with the argument, what was expected and what came.

The five mistakes that issue and manual name, each of every public transform that can make it, and
arguments of another type.
"""

from __future__ import annotations

import pytest
import torch

from wavevit.wavelets import (
    FilterBank,
    Lifting,
    dtcwt2,
    dtcwt_max_level,
    dwt,
    dwt2,
    dwt3,
    filter_bank,
    idtcwt2,
    idwt,
    idwt2,
    idwt3,
    integer_haar2,
    integer_haar2_bounds,
    inverse_integer_haar2,
    iswt,
    iswt2,
    iswt3,
    iwavepacket2,
    kernels,
    level_one_frame_bounds,
    scattering2,
    smooth_magnitude,
    swt,
    swt2,
    swt3,
    wavedec,
    wavedec2,
    wavedec3,
    wavepacket2,
    waverec,
    waverec2,
    waverec3,
)
from wavevit.wavelets.compat import (
    DTCWTForward,
    DTCWTInverse,
    DWTForward,
    DWTInverse,
    ScatLayer,
    SWTForward,
)


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


X = zeros(1, 1, 8, 8)
LINE = zeros(1, 1, 1, 8)
SIGNAL, VOLUME = zeros(1, 1, 8), zeros(1, 1, 8, 8, 8)
BANDS = zeros(1, 1, 4, 4, 4)


def refused(call, *parts: str) -> None:
    with pytest.raises(ValueError, match=r"^[\w.\[\]]+: expected .*, got ") as caught:
        call()
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        # A mirror on the middle of the only pixel has nothing to show; the other modes can fill in.
        (lambda: dwt2(LINE, "db2", "reflect"), "x"),
        (lambda: wavedec2(LINE, "db2", "reflect", 1), ""),
        (lambda: wavepacket2(LINE, "db2", "reflect"), ""),
        (lambda: SWTForward(1, "db2", "reflect")(LINE), "x"),
        (lambda: dwt(zeros(1, 1, 1), "db2", "reflect"), "x"),
        (lambda: dwt3(zeros(1, 1, 8, 1, 8), "db2", "reflect"), "x"),
        # Fewer coefficients than the shortest signal gives to a filter of so many taps.
        (lambda: idwt2(zeros(1, 1, 4, 1, 4), "db2", "zero"), "coefficients"),
        (lambda: waverec2((zeros(1, 1, 1, 4), (zeros(1, 1, 3, 1, 4),)), "db2", "zero"), ""),
        (lambda: iwavepacket2(zeros(1, 1, 4, 1, 4), "db2", "zero"), ""),
        (lambda: idwt(zeros(1, 1, 2, 1), "db2", "zero"), "coefficients"),
        (lambda: idwt3(zeros(1, 1, 8, 4, 1, 4), "db2", "zero"), "coefficients"),
    ],
)
def test_sides_too_short_for_the_mode(call, argument: str) -> None:
    refused(call, argument)


@pytest.mark.parametrize("mode", ["periodization", "zero", "symmetric", "constant", "periodic"])
def test_sides_shorter_than_the_filter_where_the_mode_allows_them(mode: str) -> None:
    """As in PyWavelets, which extends as far as it takes."""
    x = torch.randn(1, 1, 1, 3, dtype=torch.float64)
    back = idwt2(dwt2(x, "db6", mode), "db6", mode, output_size=(1, 3))
    torch.testing.assert_close(back, x)


@pytest.mark.parametrize(
    "call",
    [
        lambda: dwt2(X.int()),
        lambda: idwt2(BANDS.int()),
        lambda: wavedec2(X.int()),
        lambda: waverec2((zeros(1, 1, 4, 4).int(), (zeros(1, 1, 3, 4, 4).int(),))),
        lambda: wavepacket2(X.int()),
        lambda: iwavepacket2(BANDS.int()),
        lambda: swt2(X.int()),
        lambda: iswt2(zeros(1, 1, 1, 4, 8, 8).int()),
        lambda: dwt(SIGNAL.int()),
        lambda: wavedec3(VOLUME.int()),
        lambda: idwt3(zeros(1, 1, 8, 4, 4, 4).int()),
        lambda: swt(SIGNAL.int()),
        lambda: iswt(zeros(1, 1, 1, 2, 8).int()),
        lambda: dtcwt2(X.int()),
        lambda: idtcwt2((X.int(), [zeros(1, 1, 6, 2, 4, 4).int()])),
        lambda: scattering2(X.int()),
        lambda: Lifting(1)(X.int()),
        lambda: Lifting(1).inverse(BANDS.int()),
        lambda: DWTForward()(X.int()),
        lambda: DTCWTForward()(X.int()),
        lambda: ScatLayer()(X.int()),
    ],
)
def test_integers(call) -> None:
    refused(call, "a floating dtype", "torch.int32")


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: wavedec2(X, level=4), "level"),
        (lambda: wavepacket2(X, level=4), "level"),
        (lambda: wavedec(SIGNAL, level=4), "level"),
        (lambda: wavedec3(VOLUME, level=4), "level"),
        (lambda: dtcwt2(X, level=4), "level"),
        (lambda: scattering2(X, scales=4), "scales"),
    ],
)
def test_too_many_levels(call, argument: str) -> None:
    refused(call, f"{argument}: expected at most 3 for a side of 8 pixels, got 4")


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda: dwt2(X, "harr"), "haar"),
        (lambda: idwt2(BANDS, "bior22"), "bior2.2"),
        (lambda: wavedec2(X, "db39"), "db3"),
        (lambda: waverec2((zeros(1, 1, 4, 4), ()), "db39"), "db3"),
        (lambda: wavepacket2(X, "simlet4"), ""),
        (lambda: iwavepacket2(BANDS, "sym"), "sym"),
        (lambda: swt2(X, "coiff1"), "coif1"),
        (lambda: iswt2(zeros(1, 1, 1, 4, 8, 8), "coiff1"), "coif1"),
        (lambda: dwt(SIGNAL, "harr"), "haar"),
        (lambda: swt3(VOLUME, "coiff1"), "coif1"),
        (lambda: wavedec3(VOLUME, mode="symetric"), "symmetric"),
        (lambda: dwt2(X, mode="symetric"), "symmetric"),
        (lambda: idwt2(BANDS, mode="symetric"), "symmetric"),
        (lambda: dtcwt2(X, biort="near_sym"), "near_sym_a"),
        (lambda: dtcwt2(X, qshift="qshift"), "qshift_a"),
        (lambda: scattering2(X, mode="symetric"), "symmetric"),
        (lambda: Lifting(1, "cdf53"), "cdf5/3"),
        (lambda: DWTForward(mode="symetric"), "symmetric"),
        (lambda: DTCWTForward("near_sym"), "near_sym_a"),
    ],
)
def test_unknown_names_come_with_the_nearest(call, near: str) -> None:
    refused(call, near)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: idwt2(zeros(1, 1, 3, 4, 4)), "coefficients"),
        (lambda: idwt2(BANDS, output_size=(6, 8)), "output_size"),
        (lambda: waverec2((zeros(1, 1, 4, 4), (zeros(1, 1, 3, 6, 6),))), "pyramid.details[0]"),
        (lambda: waverec2((zeros(1, 1, 4, 4), (zeros(2, 1, 3, 4, 4),))), "pyramid.details[0]"),
        (lambda: waverec2((zeros(1, 1, 4, 4), (zeros(1, 1, 2, 4, 4),))), "pyramid.details[0]"),
        (lambda: iwavepacket2(zeros(1, 1, 5, 4, 4)), "packets"),
        (lambda: iwavepacket2(BANDS, output_size=(12, 8)), "output_size"),
        (lambda: iswt2(zeros(1, 1, 1, 3, 8, 8)), "coefficients"),
        (lambda: idwt(zeros(1, 1, 4, 4)), "coefficients"),
        (lambda: idwt(zeros(1, 1, 2, 4), output_size=6), "output_size"),
        (lambda: idwt3(zeros(1, 1, 7, 4, 4, 4)), "coefficients"),
        (lambda: idwt3(zeros(1, 1, 8, 4, 4, 4), output_size=(8, 8, 6)), "output_size"),
        (lambda: waverec((zeros(1, 1, 4), (zeros(1, 1, 1, 6),))), "pyramid.details[0]"),
        (lambda: waverec3((VOLUME, (zeros(1, 1, 8, 8, 8, 8),))), "pyramid.details[0]"),
        (lambda: iswt(zeros(1, 1, 1, 4, 8)), "coefficients"),
        (lambda: iswt3(zeros(1, 1, 1, 4, 8, 8, 8)), "coefficients"),
        (lambda: idtcwt2((X, [zeros(1, 1, 6, 2, 8, 8)])), "pyramid.details[0]"),
        (lambda: idtcwt2((X, [zeros(2, 1, 6, 2, 4, 4)])), "pyramid.details[0]"),
        (lambda: idtcwt2((X, [zeros(1, 1, 6, 4, 4)])), "pyramid.details[0]"),
        (lambda: Lifting(1).inverse(zeros(1, 1, 3, 4, 4)), "bands"),
        (lambda: DWTInverse()((zeros(1, 1, 4, 4), [zeros(1, 1, 3, 6, 6)])), "coeffs[1][0]"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_subbands_that_do_not_fit(call, argument: str, dtype: torch.dtype) -> None:
    torch.set_default_dtype(dtype)  # what `zeros` above makes
    try:
        refused(call, argument)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (lambda: dwt(X), "(B, C, L)"),
        (lambda: swt(X), "(B, C, L)"),
        (lambda: waverec((X, ())), "(B, C, L)"),
        (lambda: dwt3(X), "(B, C, D, H, W)"),
        (lambda: wavedec3(X), "(B, C, D, H, W)"),
        (lambda: swt3(SIGNAL), "(B, C, D, H, W)"),
        (lambda: dwt2(VOLUME), "(B, C, H, W)"),
        (lambda: iswt3(zeros(1, 1, 1, 8, 8)), "(B, C, level, 8, D, H, W)"),
        (lambda: iswt(zeros(1, 1, 2, 8)), "(B, C, level, 2, L)"),
        (lambda: idwt3(BANDS), "(B, C, 8, d, h, w)"),
        (lambda: idwt(BANDS), "(B, C, 2, l)"),
    ],
)
def test_another_number_of_dimensions(call, shape: str) -> None:
    refused(call, shape)


HALF = 0.5**0.5
PAIR = integer_haar2(torch.arange(64).reshape(1, 1, 8, 8))
BANK = (HALF, HALF), (-HALF, HALF), (HALF, HALF), (HALF, -HALF)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: inverse_integer_haar2(None), "pyramid"),
        (lambda: inverse_integer_haar2(PAIR, "a"), "output_size"),
        (lambda: inverse_integer_haar2(PAIR, (8.0, 8)), "output_size"),
        (lambda: integer_haar2_bounds(None, PAIR.details[0]), "approx"),
        (lambda: integer_haar2_bounds(PAIR.approx, None), "bands"),
        (lambda: integer_haar2_bounds(PAIR.approx, PAIR.details[0][..., :2]), "bands"),
        (lambda: integer_haar2_bounds(PAIR.approx, PAIR.details[0], low=0.5), "low"),
        (lambda: integer_haar2_bounds(PAIR.approx, PAIR.details[0], high=None), "high"),
        (lambda: idwt(zeros(1, 1, 2, 4), output_size="a"), "output_size"),
        (lambda: idwt(zeros(1, 1, 2, 4), output_size=torch.zeros(2)), "output_size"),
        (lambda: waverec((zeros(1, 1, 4), (zeros(1, 1, 1, 4),)), output_size=8.0), "output_size"),
        (lambda: iwavepacket2(BANDS, output_size=8), "output_size"),
        (lambda: iwavepacket2(BANDS, output_size=["a"]), "output_size"),
        (lambda: idwt2(BANDS, output_size="ab"), "output_size"),
        (lambda: scattering2(X, bias=None), "bias"),
        (lambda: scattering2(X, bias=float("inf")), "bias"),
        # A compiled kernel would read and write beyond the memory of a tensor of another shape.
        (lambda: smooth_magnitude(None), "details"),
        (lambda: smooth_magnitude(zeros(1, 3, 8, 8)), "details"),
        (lambda: smooth_magnitude(zeros(1, 1, 6, 3, 4, 4)), "details"),
        (lambda: smooth_magnitude(zeros(1, 1, 6, 2, 4, 4).int()), "details"),
        (lambda: smooth_magnitude(zeros(1, 1, 6, 2, 4, 4), bias=-1.0), "bias"),
        (lambda: dtcwt_max_level(None, 8), "height"),
        (lambda: dtcwt_max_level(8, 0), "width"),
        (lambda: level_one_frame_bounds("near_sym_a", points=0), "points"),
        (lambda: kernels("no").__enter__(), "enabled"),
        (lambda: filter_bank([[1.0, 1.0], ["a", 1.0], BANK[2], BANK[3]]), "wavelet[1]"),
        (lambda: FilterBank(None, *BANK[1:]), "dec_lo"),
        (lambda: FilterBank(BANK[0], 3, *BANK[2:]), "dec_hi"),
        (lambda: FilterBank(*BANK, name=None), "name"),
        (lambda: FilterBank.one_sided("ab", BANK[1]), "lo"),
        (lambda: FilterBank.one_sided(BANK[0], [[1.0], [2.0]]), "hi"),
        (lambda: filter_bank("haar").taps("dec_lo", torch.float32, torch.device("cpu")), "which"),
        (lambda: DWTForward(wave=None), "wave"),
        (lambda: DWTForward(wave=(["a"], [1.0])), "wave[0]"),
        (lambda: SWTForward(wave=3), "wave"),
        (lambda: DWTInverse()(None), "coeffs"),
        (lambda: DWTInverse()((X, 3)), "coeffs[1]"),
        (lambda: DTCWTForward(biort=None), "biort"),
        (lambda: DTCWTForward(qshift=(1, 2, "a", 3)), "qshift[2]"),
        (lambda: DTCWTForward(o_dim="a"), "o_dim"),
        (lambda: DTCWTForward(ri_dim=1.5), "ri_dim"),
        (lambda: DTCWTInverse()("ab"), "coeffs"),
        (lambda: ScatLayer(magbias="a"), "magbias"),
        (lambda: ScatLayer(combine_colour="no"), "combine_colour"),
    ],
)
def test_arguments_of_another_type_or_shape(call, argument: str) -> None:
    refused(call, f"{argument}: expected")
