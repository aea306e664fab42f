"""Filter banks: PyWavelets' by name, the user's by hand, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import pywt
import torch

from wavevit.wavelets import (
    DWT2,
    IDWT2,
    MODES,
    FilterBank,
    dwt2,
    filter_bank,
    idwt2,
    iswt2,
    iwavepacket2,
    swt2,
    wavedec2,
    wavelet_names,
    wavepacket2,
    waverec2,
)

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


def test_filters_that_require_a_gradient_are_refused() -> None:
    """They would become numbers, and an optimiser would never change them."""
    low = torch.tensor([HALF, HALF], dtype=torch.float64)
    high = torch.tensor([-HALF, HALF], dtype=torch.float64)
    four = (low, high, low, high.flip(0))
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64)
    assert torch.equal(dwt2(x, four), dwt2(x, "haar"))
    learned = torch.nn.Parameter(low)
    for given in (learned, [learned[0], HALF], (HALF, learned[1])):
        for call in (
            lambda g=given: dwt2(x, (g, *four[1:])),
            lambda g=given: FilterBank(g, *four[1:]),
        ):
            with pytest.raises(ValueError, match="expected numbers without a gradient"):
                call()
    assert torch.equal(dwt2(x, (learned.detach(), *four[1:])), dwt2(x, "haar"))


def test_filters_without_perfect_reconstruction_are_refused_with_their_error() -> None:
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
    with pytest.raises(ValueError, match=r"wavelet: expected a name, a FilterBank, .* got int 4"):
        filter_bank(4)
    with pytest.raises(ValueError, match="x: expected sides of at least 2 pixels for mode 'refl"):
        dwt2(x[..., :1, :], "db2", "reflect")
    with pytest.raises(ValueError, match="coefficients: expected at least 2 coefficients a side"):
        idwt2(torch.zeros(1, 1, 4, 1, 5), "db2", "zero")


def test_every_spelling_of_pywavelets() -> None:
    for name, known in (("Haar", "haar"), ("DB2", "db2"), ("Bior2.2", "bior2.2")):
        assert filter_bank(name) is filter_bank(pywt.Wavelet(name).name) is filter_bank(known)
    for name in (" db2", "bior 2.2", "db100"):  # PyWavelets refuses these too
        with pytest.raises(ValueError, match=r"wavelet: .*\(unknown"):
            filter_bank(name)
    for continuous in ("morl", "Mexh", pywt.ContinuousWavelet("gaus1")):
        with pytest.raises(ValueError, match="wavelet: expected"):
            filter_bank(continuous)
    with pytest.raises(ValueError, match=r"'morl' \(continuous: it has no filters\)"):
        filter_bank("morl")
    with pytest.raises(ValueError, match=r"wavelet: expected a name, .* got tuple"):
        filter_bank(("db2", "haar"))  # one for each axis


def test_wavelets_of_pywavelets_are_taken_as_they_are() -> None:
    x = torch.randn(1, 2, 9, 8, dtype=torch.float64)
    assert filter_bank(pywt.Wavelet("db3")) is filter_bank("db3")
    assert filter_bank(pywt.Wavelet("dmey")) is filter_bank("dmey")
    filters = pywt.Wavelet("bior2.2").filter_bank
    mine = pywt.Wavelet("db3", filter_bank=filters)  # the name of another wavelet
    expected = dwt2(x, "bior2.2", "reflect")
    for given in (mine, filters, [tuple(taps) for taps in filters], list(map(np.array, filters))):
        torch.testing.assert_close(dwt2(x, given, "reflect"), expected)
        torch.testing.assert_close(DWT2(given, "reflect")(x), expected)
    theirs = pywt.dwt2(x.numpy(), mine, "reflect")
    torch.testing.assert_close(wavedec2(x, mine, "reflect", 1).approx, torch.from_numpy(theirs[0]))
    back = idwt2(dwt2(x, mine), mine, output_size=(9, 8))
    torch.testing.assert_close(iswt2(swt2(x, mine, 2), mine), x)
    torch.testing.assert_close(back, x)
    assert filter_bank(mine).name == "db3"
    assert filter_bank(mine) != filter_bank("db3")
    torch.testing.assert_close(dwt2(x, "db3"), dwt2(x, pywt.Wavelet("db3")))
    broken = pywt.Wavelet("broken", filter_bank=([1.0, 0.0], [0.5, -0.5], [0.5, 0.5], [0.5, -0.5]))
    with pytest.raises(ValueError, match=r"FilterBank: expected filters that reconstruct"):
        dwt2(x, broken)


def test_a_graph_holds_wavelets_of_any_kind() -> None:
    x = torch.randn(1, 1, 8, 8)
    mine = pywt.Wavelet("mine", filter_bank=pywt.Wavelet("coif1").filter_bank)
    for wavelet in (mine, filter_bank("db5").filters):
        torch.compiler.reset()
        compiled = torch.compile(
            lambda x, wavelet=wavelet: dwt2(x, wavelet, 3), fullgraph=True, backend="aot_eager"
        )
        torch.testing.assert_close(compiled(x), dwt2(x, wavelet, "smooth"))


def test_every_spelling_of_a_mode() -> None:
    x = torch.randn(1, 1, 5, 8, dtype=torch.float64)
    short = ["per", "sym", "ppd", "zpd", "cpd", "sp1"]
    for mode in (*pywt.Modes.modes, *short, *range(9)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of short names, in PyWavelets
            expected = torch.from_numpy(pywt.dwt2(x.numpy(), "db2", mode)[0])
        torch.testing.assert_close(dwt2(x, "db2", mode)[:, :, 0], expected)
        module = DWT2("db2", mode)
        assert module.mode in MODES
        torch.testing.assert_close(module(x)[:, :, 0], expected)
        pyramid = wavedec2(x, "db2", mode, 1)
        torch.testing.assert_close(waverec2(pyramid, "db2", mode, (5, 8)), x)
        packets = wavepacket2(x, "db2", mode)
        torch.testing.assert_close(iwavepacket2(packets, "db2", mode, (5, 8)), x)
    assert set(MODES) == set(pywt.Modes.modes)
    for mode in ("Symmetric", "asym", 9, -1, True, None, 1.0, ("zero", "symmetric")):
        with pytest.raises(ValueError, match="mode: expected"):
            dwt2(x, "db2", mode)
        with pytest.raises(ValueError, match="mode: expected"):
            IDWT2("db2", mode)


def test_a_side_of_one_pixel_under_every_mode() -> None:
    for mode in MODES:
        for shape in ((1, 1, 1, 6), (1, 1, 6, 1), (1, 1, 1, 1)):
            x = torch.randn(shape, dtype=torch.float64)
            if "reflect" in mode:
                with pytest.raises(ValueError, match="x: expected sides of at least 2 pixels"):
                    dwt2(x, "db2", mode)
                continue
            expected = torch.from_numpy(pywt.dwt2(x.numpy(), "db4", mode)[0])
            torch.testing.assert_close(dwt2(x, "db4", mode)[:, :, 0], expected)
            torch.testing.assert_close(idwt2(dwt2(x, "db4", mode), "db4", mode, x.shape[2:]), x)


def test_filters_in_a_fake_world_leave_no_trace() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        assert dwt2(torch.empty(8, 1, 8, 8), "db6").shape == (8, 1, 4, 4, 4)
    real = dwt2(torch.ones(8, 1, 8, 8), "db6")
    assert type(real) is torch.Tensor
    with FakeTensorMode():  # and what is remembered now does not leak in
        assert dwt2(torch.empty(8, 1, 8, 8), "db6").shape == (8, 1, 4, 4, 4)
    assert dwt2(torch.empty(8, 1, 8, 8, device="meta"), "db6").device.type == "meta"
