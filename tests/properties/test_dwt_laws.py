"""Laws of the decimated transforms, over wavelets, modes, sizes and dtypes."""

from __future__ import annotations

import pytest
import pywt
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavevit.testing import assert_close_relative
from wavevit.testing.strategies import images, sizes
from wavevit.wavelets import (
    MODES,
    dwt2,
    dwt_max_level,
    filter_bank,
    idwt2,
    iwavepacket2,
    kernels,
    wavedec2,
    wavelet_names,
    wavepacket2,
    waverec2,
)
from wavevit.wavelets._engine import bank_pieces, filtering
from wavevit.wavelets._engine.modes import COMPUTED

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
ORTHOGONAL = ["haar", "db2", "sym4", "coif1", "db10"]
BIORTHOGONAL = ["bior2.2", "bior4.4", "rbio3.1", "bior6.8"]
SOME = ORTHOGONAL + BIORTHOGONAL
EVEN = sizes(2, 18, multiple=2)
# A kernel; without one, in pieces, by products or by sums; where nobody may write in place, plain.
EVALUATIONS = ["kernel", "products", "sums", "dense", "convolution"]
# Odd and even sides, the shortest, some that are shorter than a filter and some that are longer.
TURNS = [(2, 2), (3, 5), (8, 8), (7, 16), (17, 2), (4, 17), (12, 9), (16, 11), (2, 13)]
TURNS += [(5, 3), (13, 14)]
SIDES = sizes(2, 17)  # mirrors on a middle need two pixels; test_haar_laws.py goes down to one


@pytest.fixture(params=["dense", "convolution"])
def evaluation(request, monkeypatch) -> str:
    """Both evaluations in plain operations, where a `BankMap` or the sizes would have chosen."""
    monkeypatch.setattr(filtering, "fits", lambda *_: False)
    monkeypatch.setattr(filtering, "_DENSE_IMAGES", 0 if request.param == "dense" else 10**9)
    return request.param


def slack(wavelet: str) -> float:
    """1e-12, and what the published taps of this wavelet miss (up to 3e-11 for the symlets)."""
    return 1e-12 + 8 * filter_bank(wavelet).reconstruction_error


def growth(approx: torch.Tensor, x: torch.Tensor) -> float:
    """How many times as large as the image its approximation is: a straight line goes far."""
    return max(float(approx.abs().max() / x.abs().max()), 1.0)


def stacked(approx, details) -> torch.Tensor:
    return torch.stack([torch.from_numpy(part) for part in (approx, *details)], dim=2)


def noise(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def check_one_level_equals_pywavelets(x: torch.Tensor, wavelet: str, mode: str, way: str) -> None:
    with pytest.MonkeyPatch.context() as patch, kernels(way == "kernel"):
        if way in ("dense", "convolution"):
            patch.setattr(filtering, "fits", lambda *_: False)
            patch.setattr(filtering, "_DENSE_IMAGES", 0 if way == "dense" else 10**9)
        elif way == "sums":
            patch.setattr(bank_pieces, "_DENSE_SIDES", (0, 0))
        bands = dwt2(x, wavelet, mode)
        back = idwt2(bands.flip(2), wavelet, mode)
    approx, details = pywt.dwt2(x.numpy(), wavelet, mode)
    assert_close_relative(bands, stacked(approx, details), bound=1e-12)
    # For coefficients that are no transform of anything too, hence the reversal.
    mixed = bands.flip(2)
    expected = pywt.idwt2((mixed[:, :, 0].numpy(), tuple(mixed[:, :, 1:].unbind(2))), wavelet, mode)
    assert_close_relative(back, torch.from_numpy(expected), bound=1e-12)


@pytest.mark.parametrize("wavelet", wavelet_names())
def test_every_wavelet_equals_pywavelets(wavelet: str) -> None:
    """In every mode. Evaluations and sizes take turns, so over the wavelets each meets each mode,
    and every size meets every pair of them."""
    number = wavelet_names().index(wavelet)
    for place, mode in enumerate(MODES):
        way = EVALUATIONS[(number + place) % len(EVALUATIONS)]
        size = TURNS[(3 * number + place) % len(TURNS)]
        check_one_level_equals_pywavelets(noise(2, 2, *size), wavelet, mode, way)


def test_turns_meet_every_mode_evaluation_and_size() -> None:
    met = {
        (mode, (number + place) % len(EVALUATIONS), (3 * number + place) % len(TURNS))
        for number in range(len(wavelet_names()))
        for place, mode in enumerate(MODES)
    }
    assert len(met) == len(MODES) * len(EVALUATIONS) * len(TURNS)


@pytest.mark.nightly  # the same with sizes, modes and evaluations that are drawn
@pytest.mark.parametrize("wavelet", wavelet_names())
@given(x=images(SIDES, SIDES), mode=st.sampled_from(MODES), way=st.sampled_from(EVALUATIONS))
def test_every_wavelet_equals_pywavelets_at_drawn_sizes(
    wavelet: str, x: torch.Tensor, mode: str, way: str
) -> None:
    check_one_level_equals_pywavelets(x, wavelet, mode, way)


@pytest.mark.parametrize("mode", MODES)
@given(x=images(sizes(4, 20), sizes(4, 20)), wavelet=st.sampled_from(SOME), level=st.integers(1, 2))
def test_levels_equal_pywavelets_and_reconstruct(mode: str, x, wavelet: str, level: int) -> None:
    size = (x.shape[-2], x.shape[-1])
    pyramid = wavedec2(x, wavelet, mode, level)
    approx = x.numpy()
    for details in reversed(pyramid.details):
        above = approx
        approx, expected = pywt.dwt2(approx, wavelet, mode)
        # Details may be nothing but rounding of what they are computed from.
        expected = stacked(expected[0], expected[1:])
        error = (details - expected).norm() / max(
            float(expected.norm()), float(torch.from_numpy(above).norm())
        )
        assert error < 1e-12
    assert_close_relative(pyramid.approx, torch.from_numpy(approx), bound=1e-12)
    bound = level * slack(wavelet) * growth(pyramid.approx, x)
    back = waverec2(pyramid, wavelet, mode, output_size=size)
    assert_close_relative(back, x, bound=bound)
    packets = wavepacket2(x, wavelet, mode, level)
    back = iwavepacket2(packets, wavelet, mode, output_size=size)
    assert_close_relative(back, x, bound=4 * bound)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wavelet", ["db3", "bior2.2"])
def test_packets_equal_pywavelets(wavelet: str, mode: str) -> None:
    x = noise(1, 1, 12, 9)
    tree = pywt.WaveletPacket2D(x[0, 0].numpy(), wavelet, mode, maxlevel=2)
    ours = wavepacket2(x, wavelet, mode, level=2)[0, 0]
    for band in range(16):
        path = "ahvd"[band >> 2] + "ahvd"[band & 3]
        expected = torch.from_numpy(tree[path].data)
        assert_close_relative(ours[band], expected, bound=1e-12)


@pytest.mark.parametrize("mode", MODES)
@given(x=images(SIDES, SIDES), dtype=st.sampled_from(DTYPES), wavelet=st.sampled_from(SOME))
def test_reconstructs_in_every_dtype(mode: str, x, dtype: torch.dtype, wavelet: str) -> None:
    x = x.to(dtype)
    bands = dwt2(x, wavelet, mode)
    assert bands.dtype == dtype
    back = idwt2(bands, wavelet, mode, output_size=(x.shape[-2], x.shape[-1]))
    # Biorthogonal banks amplify the rounding of coefficients by their condition, at most 4 here.
    grown = growth(bands, x)
    bounds = {torch.float64: slack(wavelet), torch.float32: 1e-5}
    bounds |= {half: 4 * torch.finfo(half).eps for half in DTYPES[2:]}
    assert_close_relative(back, x, bound=grown * bounds[dtype])


@given(x=images(SIDES, SIDES, dtype=torch.float32), half=st.sampled_from(DTYPES[2:]))
def test_half_precision_is_rounded_once(x: torch.Tensor, half: torch.dtype) -> None:
    x = x.to(half)
    expected = dwt2(x.float(), "db4", "symmetric").to(half)
    torch.testing.assert_close(dwt2(x, "db4", "symmetric"), expected, rtol=0, atol=0)


@pytest.mark.parametrize("wavelet", ORTHOGONAL)
@given(x=images(EVEN, EVEN), seed=st.integers(0, 2**31))
def test_parseval_and_transpose(wavelet: str, x: torch.Tensor, seed: int) -> None:
    bands = dwt2(x, wavelet)
    assert float(bands.norm()) == pytest.approx(float(x.norm()), rel=slack(wavelet))
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(bands.shape, generator=generator, dtype=x.dtype)
    scale = float(x.norm() * y.norm())
    assert abs(float((bands * y).sum() - (x * idwt2(y, wavelet)).sum())) < slack(wavelet) * scale


def test_parseval_can_fail() -> None:
    """Negative controls: a biorthogonal bank, and an orthogonal one in a redundant mode."""
    x = noise(1, 1, 16, 16)
    for bands in (dwt2(x, "bior2.2"), dwt2(x, "db4", "symmetric")):
        assert abs(float(bands.norm() / x.norm()) - 1) > 1e-2


@pytest.mark.parametrize("mode", MODES)
@given(x=images(SIDES, SIDES), wavelet=st.sampled_from(SOME), a=st.floats(-3, 3))
def test_linear(mode: str, x: torch.Tensor, wavelet: str, a: float) -> None:
    y = x.flip(-1).roll(1, -2)
    combined = dwt2(a * x + y, wavelet, mode)
    separate = a * dwt2(x, wavelet, mode) + dwt2(y, wavelet, mode)
    torch.testing.assert_close(combined, separate, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("wavelet", SOME)
@given(x=images(EVEN, EVEN), shift=st.tuples(st.integers(-4, 4), st.integers(-4, 4)))
def test_commutes_with_even_shifts(wavelet: str, x, shift: tuple[int, int]) -> None:
    moved = dwt2(torch.roll(x, (2 * shift[0], 2 * shift[1]), (-2, -1)), wavelet)
    expected = torch.roll(dwt2(x, wavelet), shift, (-2, -1))
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("wavelet", SOME)
def test_negative_control_odd_shifts_fail(wavelet: str) -> None:
    x = noise(1, 1, 16, 16)
    before, after = dwt2(x, wavelet), dwt2(torch.roll(x, 1, -1), wavelet)
    rolls = [torch.roll(after, (i, j), (-2, -1)) for i in range(8) for j in range(8)]
    assert min(float((roll - before).norm() / before.norm()) for roll in rolls) > 0.5


@pytest.mark.parametrize("wavelet", SOME + ["bior5.5", "rbio2.4", "sym8"])
@given(seed=st.integers(0, 2**31), constant=st.floats(-2, 2))
def test_polynomials_give_no_detail(wavelet: str, seed: int, constant: float) -> None:
    """Constants at every border that repeats; lower degrees than the moments inside the image."""
    bank = filter_bank(wavelet)
    flat = torch.full((1, 1, 9, 12), constant, dtype=torch.float64)
    for mode in set(MODES) - {"zero", "antisymmetric"}:
        assert float(dwt2(flat, wavelet, mode)[:, :, 1:].abs().max()) < 1e-9
    side = 3 * bank.length + 4
    t = torch.linspace(-1, 1, side, dtype=torch.float64)
    powers = torch.stack([t**degree for degree in range(bank.vanishing_moments)])
    generator = torch.Generator().manual_seed(seed)
    coefficients = torch.randn(len(powers), len(powers), generator=generator, dtype=t.dtype)
    x = (powers.t() @ coefficients @ powers)[None, None]
    inside = dwt2(x, wavelet)[:, :, 1:, bank.length // 2 : -(bank.length // 2)]
    inside = inside[..., bank.length // 2 : -(bank.length // 2)]
    assert float(inside.abs().max()) < 1e-7 * float(x.abs().max())
    steep = (t**bank.vanishing_moments).expand(1, 1, side, side)
    there = dwt2(steep, wavelet)[:, :, 2, :, bank.length // 2 : -(bank.length // 2)]
    assert float(there.abs().max()) > 1e-9 * float(steep.abs().max())  # one degree more does


@pytest.mark.usefixtures("evaluation")
@pytest.mark.parametrize(
    ("wavelet", "mode"),
    [(w, m) for w in ("haar", "db2", "bior2.2") for m in MODES if w == "db2" or m not in COMPUTED],
)
def test_derivatives(wavelet: str, mode: str) -> None:
    size = (3, 4)
    x = noise(1, 1, *size).requires_grad_()
    bands = dwt2(x, wavelet, mode).detach().requires_grad_()

    def forward(x: torch.Tensor) -> torch.Tensor:
        return dwt2(x, wavelet, mode)

    def inverse(c: torch.Tensor) -> torch.Tensor:
        return idwt2(c, wavelet, mode, output_size=size)

    for function, argument in ((forward, x), (inverse, bands)):
        options = {"fast_mode": True}  # one direction each, which a linear map needs
        assert torch.autograd.gradcheck(function, (argument,), check_forward_ad=True, **options)
        assert torch.autograd.gradgradcheck(
            function, (argument,), check_fwd_over_rev=True, **options
        )


@pytest.mark.usefixtures("evaluation")
def test_function_transforms_and_layouts() -> None:
    def transform(x: torch.Tensor) -> torch.Tensor:
        return dwt2(x, "db3", "reflect")

    x = noise(3, 2, 4, 6, 8)
    torch.testing.assert_close(
        torch.func.vmap(transform)(x), torch.stack([transform(part) for part in x])
    )
    _, pushed = torch.func.jvp(transform, (x[0],), (x[1],))
    torch.testing.assert_close(pushed, transform(x[1]))
    last = x[0].contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(transform(last), transform(x[0]))
    crossed = x[0].transpose(-1, -2)
    torch.testing.assert_close(transform(crossed), transform(crossed.contiguous()))
    # A first call inside a transform must leave nothing behind that a later call trips over.
    torch.func.vmap(lambda x: dwt2(x, "db7"))(x)
    assert dwt2(x[0].clone().requires_grad_(), "db7").requires_grad
    with torch.inference_mode():
        dwt2(x[0], "db9")
    dwt2(x[0].clone().requires_grad_(), "db9").sum().backward()


def test_autocast_keeps_the_filters_exact() -> None:
    x = noise(2, 2, 8, 8).float()
    with torch.autocast("cpu", torch.bfloat16):
        bands = dwt2(x, "db4")
    assert bands.dtype == torch.float32
    assert_close_relative(bands, dwt2(x, "db4"))


@pytest.mark.parametrize("wavelet", ["haar", "db2", "bior4.4"])
def test_deepest_level_is_pywavelets(wavelet: str) -> None:
    length = filter_bank(wavelet).length
    for side in range(1, 100):
        assert dwt_max_level(side, 200, length) == pywt.dwt_max_level(side, length)
