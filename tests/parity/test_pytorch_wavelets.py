"""The drop-in classes beside the real pytorch-wavelets 1.3.0: same values, right gradients."""

from __future__ import annotations

import warnings

import pytest
import pywt
import torch

from wavevit.testing import assert_close_relative
from wavevit.wavelets import compat, filter_bank

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports pkg_resources, which warns of its own end
    import pytorch_wavelets as theirs
    from pytorch_wavelets.dwt.lowlevel import afb2d_atrous as their_step
    from pytorch_wavelets.dwt.transform2d import SWTForward as TheirSWTForward

DECIMATED = ["zero", "symmetric", "reflect", "periodic", "periodization", "per"]
UNDECIMATED = ["zero", "constant", "replicate", "symmetric", "reflect", "periodic"]
WAVES = ["db1", "db3", "sym4", "bior2.2", "rbio3.1"]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("mode", DECIMATED)
@pytest.mark.parametrize("wave", WAVES)
@pytest.mark.parametrize("size", [(24, 32), (25, 31)])
def test_decimated_values(wave: str, mode: str, size: tuple[int, int]) -> None:
    x = noise(2, 3, *size)
    low, high = compat.DWTForward(2, wave, mode)(x)
    their_low, their_high = theirs.DWTForward(J=2, wave=wave, mode=mode)(x)
    assert_close_relative(low, their_low)
    for ours, other in zip(high, their_high, strict=True):
        assert_close_relative(ours, other)
    back = compat.DWTInverse(wave, mode)((low, high))
    assert_close_relative(back, theirs.DWTInverse(wave=wave, mode=mode)((low, high)))
    without = [None, high[1]]
    assert_close_relative(
        compat.DWTInverse(wave, mode)((low, without)),
        theirs.DWTInverse(wave=wave, mode=mode)((low, without)),
    )


@pytest.mark.parametrize("mode", UNDECIMATED)
@pytest.mark.parametrize("wave", WAVES)
def test_undecimated_values(wave: str, mode: str) -> None:
    """Level by level: their class leaves bands and channels on one axis and so fails from J=2."""
    x = noise(2, 3, 16, 24)
    bank = filter_bank(wave)
    for level, ours in enumerate(compat.SWTForward(2, wave, mode)(x)):
        expected = their_step(x, (bank.dec_lo, bank.dec_hi), mode, 2**level).unflatten(1, (3, 4))
        assert_close_relative(ours, expected)
        x = expected[:, :, 0]


def test_pytorch_wavelets_swt_raises_where_ours_works() -> None:
    x = noise(1, 2, 8, 8)
    with pytest.raises(ValueError, match="periodization"):
        TheirSWTForward(J=1, wave="db2")(x)  # its own default
    (flat,) = TheirSWTForward(J=1, wave="db2", mode="periodic")(x)
    (ours,) = compat.SWTForward(1, "db2")(x)
    assert_close_relative(ours, flat.unflatten(1, (2, 4)))
    with pytest.raises(RuntimeError, match="channels"):
        TheirSWTForward(J=2, wave="db2", mode="zero")(x)


@pytest.mark.parametrize("mode", ["zero", "symmetric", "reflect", "periodic", "periodization"])
@pytest.mark.parametrize("size", [(6, 8), (7, 9)])
def test_gradients_are_right(mode: str, size: tuple[int, int]) -> None:
    forward, inverse = compat.DWTForward(1, "bior2.2", mode), compat.DWTInverse("bior2.2", mode)
    x = noise(1, 1, *size).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: (lambda y: (y[0], *y[1]))(forward(x)), (x,))
    low, high = forward(x.detach())
    assert torch.autograd.gradcheck(
        lambda a, d: inverse((a, [d])), (low.requires_grad_(), high[0].requires_grad_())
    )


def test_their_gradients_are_seen_to_be_wrong() -> None:
    """Negative control: gradcheck does tell the two apart."""
    x = noise(1, 1, 7, 9).requires_grad_()
    weight = noise(1, 1, 3, 6, 7)
    gradients = []
    for package in (compat, theirs):
        (band,) = package.DWTForward(J=1, wave="bior2.2", mode="symmetric")(x)[1]
        gradients.append(torch.autograd.grad((band * weight).sum(), x)[0])
    assert (gradients[0] - gradients[1]).norm() > 0.1 * gradients[0].norm()


def test_ways_to_name_a_wavelet() -> None:
    x = noise(1, 2, 12, 12)
    bank = filter_bank("db3")
    expected = compat.DWTForward(1, "db3")(x)
    pair = (bank.dec_lo, bank.dec_hi)
    for wave in (bank, pywt.Wavelet("db3"), pair, pair + pair):
        low, high = compat.DWTForward(1, wave)(x)
        assert_close_relative(low, expected[0])
        assert_close_relative(high[0], expected[1][0])
    back = compat.DWTInverse((bank.rec_lo, bank.rec_hi))(expected)
    assert_close_relative(back, x)
    with pytest.raises(ValueError, match="wave: expected a name"):
        compat.DWTForward(1, (*pair, bank.rec_lo))
    with pytest.raises(ValueError, match=r"wavelet: .*nearest"):
        compat.DWTForward(1, "db3x")
    with pytest.raises(ValueError, match="mode: expected one of"):
        compat.DWTForward(1, "db3", "constant")


def four(which: str) -> tuple[tuple[float, ...], ...]:
    """db2 and, with more taps, bior2.2."""
    return tuple(
        getattr(filter_bank(name), f"{which}_{band}")
        for name in ("db2", "bior2.2")
        for band in ("lo", "hi")
    )


@pytest.mark.parametrize("mode", DECIMATED)
@pytest.mark.parametrize("size", [(24, 32), (25, 31)])
def test_other_filters_along_rows_than_along_columns(mode: str, size: tuple[int, int]) -> None:
    x = noise(2, 3, *size)
    low, high = compat.DWTForward(2, four("dec"), mode)(x)
    their_low, their_high = theirs.DWTForward(J=2, wave=four("dec"), mode=mode)(x)
    assert_close_relative(low, their_low)
    for ours, other in zip(high, their_high, strict=True):
        assert_close_relative(ours, other)
    back = compat.DWTInverse(four("rec"), mode)((low, high))
    assert_close_relative(back, theirs.DWTInverse(wave=four("rec"), mode=mode)((low, high)))
    assert_close_relative(back[..., : size[0], : size[1]], x, depth=8)
    if mode in UNDECIMATED:
        (ours,) = compat.SWTForward(1, four("dec"), mode)(x)
        (flat,) = TheirSWTForward(J=1, wave=four("dec"), mode=mode)(x)
        assert_close_relative(ours, flat.unflatten(1, (3, 4)))


@pytest.mark.parametrize("mode", ["symmetric", "periodization"])
def test_gradients_of_filters_for_each_axis(mode: str) -> None:
    x = noise(1, 1, 5, 6).double().requires_grad_()
    forward, inverse = compat.DWTForward(1, four("dec"), mode), compat.DWTInverse(four("rec"), mode)

    def round_trip(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        low, high = forward(x)
        return low, *high, inverse((low, high)), *compat.SWTForward(2, four("dec"))(x)

    assert torch.autograd.gradcheck(round_trip, (x,), check_forward_ad=True)


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        ((), "wave: expected a name, a bank, two filters or four, got 0"),
        (four("dec")[:3], "wave: expected a name, a bank, two filters or four, got 3"),
        (([1.0] * 3, [1.0] * 3), "^lo: expected an even number of taps"),
        (([1.0] * 2, [1.0] * 4), "dec_hi: expected 2 taps"),
    ],
)
def test_filters_that_make_no_bank_are_refused(wave, message: str) -> None:
    for make in (compat.DWTForward, compat.SWTForward):
        with pytest.raises(ValueError, match=message):
            make(1, wave)


def test_an_inverse_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"coeffs\[1\]\[0\]: expected details of"):
        compat.DWTInverse()((torch.zeros(1, 1, 4, 4), [torch.zeros(1, 1, 3, 6, 6)]))
    with pytest.raises(ValueError, match=r"coeffs\[1\]\[0\]: expected the approximation's batch"):
        compat.DWTInverse()((torch.zeros(1, 2, 4, 4), [torch.zeros(1, 1, 3, 4, 4)]))
    with pytest.raises(ValueError, match="x: expected sides of at least 2 pixels"):
        compat.SWTForward(1, "db2", "reflect")(torch.zeros(1, 1, 1, 4))
