"""Filter banks: PyWavelets' by name, the user's by hand, and what is refused."""

from __future__ import annotations

import pytest
import pywt
import torch

from wavevit.wavelets import FilterBank, dwt2, filter_bank, idwt2, wavelet_names

HALF = 0.5**0.5


@pytest.mark.parametrize("name", pywt.wavelist(kind="discrete"))
def test_every_name_of_pywavelets(name: str) -> None:
    wavelet, bank = pywt.Wavelet(name), FilterBank.from_name(name)
    assert bank.filters == tuple(map(tuple, wavelet.filter_bank))
    assert (bank.name, bank.length) == (name, wavelet.dec_len)
    assert name in wavelet_names()
    assert filter_bank(name) is bank
    if name == "dmey":  # a truncated filter: the one bank that does not reconstruct
        assert not bank.biorthogonal
        return
    assert bank.biorthogonal
    assert bank.orthogonal == (wavelet.orthogonal or name in ("bior1.1", "rbio1.1"))
    assert bank.is_haar == (name in ("haar", "db1", "bior1.1", "rbio1.1"))
    family, _, order = name.partition(".")
    if family.startswith("bior") and name != "bior5.5":
        assert bank.vanishing_moments == wavelet.vanishing_moments_psi
    elif family.startswith("rbio") and name not in ("rbio4.4", "rbio5.5", "rbio6.8"):
        assert bank.vanishing_moments == int(order)
    elif wavelet.orthogonal:
        assert bank.vanishing_moments == wavelet.vanishing_moments_psi


def test_a_user_bank_is_used() -> None:
    named = filter_bank("bior2.2")
    mine = FilterBank(*named.filters, name="mine")
    x = torch.randn(1, 2, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(dwt2(x, mine, "reflect"), dwt2(x, "bior2.2", "reflect"))
    # Swapping analysis and synthesis gives another bank; reversed, the reverse biorthogonal one.
    dual = FilterBank(*[taps[::-1] for taps in (*named.filters[2:], *named.filters[:2])])
    torch.testing.assert_close(idwt2(dwt2(x, dual), dual, output_size=(9, 8)), x)
    assert dual != mine
    assert mine.vanishing_moments == 2
    assert not mine.orthogonal


def test_a_bank_that_fails_says_by_how_much() -> None:
    low, high, back, high_back = filter_bank("db3").filters
    with pytest.raises(ValueError, match=r"FilterBank: expected .* got an error of 0\.0\d+ \('mi"):
        FilterBank((low[0] + 0.05, *low[1:]), high, back, high_back, name="mine")
    with pytest.raises(ValueError, match=r"dec_hi: expected 2 taps as in dec_lo .*, got 4"):
        FilterBank((HALF, HALF), (0.0, -HALF, HALF, 0.0), (HALF, HALF), (HALF, -HALF))
    with pytest.raises(ValueError, match=r"dec_lo: expected an even number of taps, .*, got 3"):
        FilterBank((1.0, 2.0, 1.0), (1.0,), (1.0,), (1.0,))
    with pytest.raises(ValueError, match="dec_lo: expected finite taps"):
        FilterBank((float("nan"), HALF), (-HALF, HALF), (HALF, HALF), (HALF, -HALF))


def test_unknown_names_and_modes() -> None:
    x = torch.zeros(1, 1, 8, 8)
    with pytest.raises(ValueError, match=r"wavelet: .*got 'bior22' \(unknown; nearest: bior2.2"):
        dwt2(x, "bior22")
    with pytest.raises(ValueError, match="wavelet: expected a name or a FilterBank, got int 4"):
        filter_bank(4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x: expected sides of at least 2 pixels for mode 'refl"):
        dwt2(x[..., :1, :], "db2", "reflect")
    with pytest.raises(ValueError, match="coefficients: expected at least 2 coefficients a side"):
        idwt2(torch.zeros(1, 1, 4, 1, 5), "db2", "zero")


def test_filters_in_a_fake_world_leave_no_trace() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        assert dwt2(torch.empty(8, 1, 8, 8), "db6").shape == (8, 1, 4, 4, 4)
    real = dwt2(torch.ones(8, 1, 8, 8), "db6")
    assert type(real) is torch.Tensor
    with FakeTensorMode():  # and what is remembered now does not leak in
        assert dwt2(torch.empty(8, 1, 8, 8), "db6").shape == (8, 1, 4, 4, 4)
    assert dwt2(torch.empty(8, 1, 8, 8, device="meta"), "db6").device.type == "meta"
