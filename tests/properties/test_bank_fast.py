"""The loops for filter banks against plain operations: values, derivatives, all that traces."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests import warm_python
from wavevit.testing import tolerance
from wavevit.testing.strategies import images, sizes
from wavevit.wavelets import (
    dtcwt2,
    dwt2,
    idtcwt2,
    idwt2,
    iswt2,
    kernels,
    swt2,
    wavedec2,
)
from wavevit.wavelets._engine.bank_maps import BankMap, _arguments, decimated, undecimated
from wavevit.wavelets._engine.dtcwt_levels import _map as dual_map
from wavevit.wavelets._engine.modes import COMPUTED, MODES
from wavevit.wavelets._kernels import bank_cpu, cpu_threads
from wavevit.wavelets.filters import filter_bank

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
WAVELETS = ["db2", "db3", "bior4.4", "rbio1.3", "sym8"]
Transform = Callable[[Tensor], tuple[Tensor, ...]]


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def one(x: Tensor) -> tuple[Tensor, ...]:
    return (dwt2(x, "db2", "symmetric"),)


def one_back(x: Tensor) -> tuple[Tensor, ...]:
    return (idwt2(x.unflatten(1, (-1, 4)), "db2"),)


def pyramid(x: Tensor) -> tuple[Tensor, ...]:
    approx, details = wavedec2(x, "db2", "reflect", level=2)
    return (approx, *details)


def undecimated_two(x: Tensor) -> tuple[Tensor, ...]:
    return (swt2(x, "bior2.2", level=2),)


def dual_tree(x: Tensor) -> tuple[Tensor, ...]:
    approx, details = dtcwt2(x, level=2)
    return (approx, *details)


def dual_tree_and_back(x: Tensor) -> tuple[Tensor, ...]:
    approx, details = dtcwt2(x, level=2, mode="periodic")
    return (idtcwt2((2 * approx, details), mode="periodic"),)


TRANSFORMS = [one, one_back, pyramid, undecimated_two, dual_tree, dual_tree_and_back]


def both(function: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """With the loops, and without."""
    fast = function()
    with kernels(False):
        return fast, function()


def close(fast: Tensor, plain: Tensor, dtype: torch.dtype = torch.float64) -> None:
    assert fast.dtype == plain.dtype == dtype
    scale = float(plain.abs().max()) + 1.0
    torch.testing.assert_close(fast, plain, rtol=0, atol=10 * tolerance(dtype) * scale)


@pytest.mark.parametrize("mode", MODES)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), wavelet=st.sampled_from(WAVELETS))
def test_decimated_values(mode: str, data: st.DataObject, dtype: torch.dtype, wavelet: str) -> None:
    least = 2 if "reflect" in mode else 1
    x = data.draw(images(sizes(least, 40), sizes(least, 40), dtype=dtype))
    fast, plain = both(lambda: dwt2(x, wavelet, mode))
    close(fast, plain, dtype)
    close(*both(lambda: idwt2(plain, wavelet, mode)), dtype)


@given(
    x=images(sizes(1, 24), sizes(1, 24)),
    wavelet=st.sampled_from([*WAVELETS, "haar"]),
    level=st.integers(1, 3),
)
def test_undecimated_values(x: Tensor, wavelet: str, level: int) -> None:
    fast, plain = both(lambda: swt2(x, wavelet, level))
    close(fast, plain)
    close(*both(lambda: iswt2(plain, wavelet)))


@pytest.mark.parametrize("biort", ["near_sym_a", "near_sym_b", "legall", "antonini"])
@given(
    x=images(sizes(3, 40), sizes(3, 40)),
    qshift=st.sampled_from(["qshift_06", "qshift_a", "qshift_d"]),
    mode=st.sampled_from(["symmetric", "periodic"]),
)
def test_dual_tree_values(biort: str, x: Tensor, qshift: str, mode: str) -> None:
    def parts(x: Tensor) -> Tensor:
        approx, details = dtcwt2(x, 2, biort, qshift, mode)
        return torch.cat([part.flatten() for part in (approx, *details)])

    close(*both(lambda: parts(x)))
    pyramid = dtcwt2(x, 2, biort, qshift, mode)
    close(*both(lambda: idtcwt2(pyramid, biort, qshift, mode)))


@given(data=st.data(), wavelet=st.sampled_from(WAVELETS), seed=st.integers(0, 2**31))
def test_the_transpose_is_the_transpose(data: st.DataObject, wavelet: str, seed: int) -> None:
    mode = data.draw(st.sampled_from([mode for mode in MODES if mode not in COMPUTED]))
    bank = filter_bank(wavelet)
    x = data.draw(images(sizes(4, 16, multiple=4), sizes(4, 16, multiple=4)))
    size = (x.shape[-2], x.shape[-1])
    spacing = data.draw(st.integers(1, 3))
    for bank_map in (
        BankMap(decimated(bank, "analysis", mode), mode, size),
        BankMap(decimated(bank, "synthesis", mode), mode, size, "apart"),
        BankMap(undecimated(bank, "analysis", spacing), mode, size),
        dual_map("analysis near_sym_b", "symmetric", size),
        dual_map("qshift_b", "periodic", size),
    ):
        coefficients = bank_map.apply(x)
        y = [noise(*part.shape, seed=seed) for part in coefficients]
        (back,) = bank_map.transpose.apply(*y)
        for fast, slow in zip(coefficients, bank_map.plain([x]), strict=True):
            torch.testing.assert_close(fast, slow)
        torch.testing.assert_close([back], bank_map.transpose.plain(y))
        inner = sum((a * b).sum() for a, b in zip(coefficients, y, strict=True))
        torch.testing.assert_close(inner, (x * back).sum(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("function", TRANSFORMS)
def test_derivatives(function: Transform) -> None:
    x = noise(1, 4, 4, 5).requires_grad_()
    options = {"check_forward_ad": True, "check_batched_grad": True, "fast_mode": True}
    assert torch.autograd.gradcheck(function, (x,), **options)
    # A linear map has no second derivative; its square has.
    squares = lambda t: sum(part.square().sum() for part in function(t))  # noqa: E731
    gradient = torch.func.grad(squares)
    _, pushed = torch.func.jvp(gradient, (x.detach(),), (noise(1, 4, 4, 5, seed=1),))
    torch.testing.assert_close(pushed, gradient(noise(1, 4, 4, 5, seed=1)))


@pytest.mark.parametrize("function", TRANSFORMS)
def test_func_transforms(function: Transform) -> None:
    x, tangent = noise(3, 2, 4, 6, 8), noise(2, 4, 6, 8, seed=1)
    for part, expected in zip(
        torch.func.vmap(function)(x), zip(*map(function, x), strict=True), strict=True
    ):
        torch.testing.assert_close(part, torch.stack(expected))
    _, pushed = torch.func.jvp(function, (x[0],), (tangent,))
    torch.testing.assert_close(pushed, function(tangent))  # linear maps


# By day the dual tree with its derivative; decimated and undecimated transforms are compiled by
# day, with their derivatives, in tests/contract/test_transforms.py.
COMPILED = (dual_tree,)


@pytest.mark.parametrize(
    ("function", "dynamic"),
    [
        *(
            pytest.param(each, False, marks=[pytest.mark.nightly] * (each not in COMPILED))
            for each in TRANSFORMS
        ),
        pytest.param(pyramid, True, marks=pytest.mark.nightly),
    ],
)
def test_compiles_forward_and_backward(function: Transform, dynamic: bool) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(function, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for shape in [(2, 4, 8, 12), (1, 4, 16, 8)]:
        x = noise(*shape).requires_grad_()
        ours, expected = compiled(x), function(x)
        torch.testing.assert_close(ours, expected)
        cotangents = [noise(*part.shape, seed=1) for part in expected]
        torch.testing.assert_close(
            torch.autograd.grad(ours, x, cotangents), torch.autograd.grad(expected, x, cotangents)
        )


@pytest.mark.parametrize(
    "function",
    [
        one,
        undecimated_two,
        pytest.param(lambda x: tuple(dtcwt2(x, 1).details), marks=pytest.mark.nightly),
    ],
    ids=["decimated", "undecimated", "dual tree"],
)
def test_func_transforms_inside_the_compiler(function: Transform) -> None:
    """The bare operator gives `jvp` zeros without a word, so it must not be what is traced."""
    x = noise(2, 4, 4, 8)

    def pushed(t: Tensor) -> tuple[Tensor, ...]:
        return torch.func.jvp(function, (x,), (t,))[1]

    torch._dynamo.reset()
    compiled = torch.compile(pushed, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), function(x))


# torch 2.14's opcheck reads the gradients of tensors that are no leaves.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_the_operator_passes_opcheck() -> None:
    bank = filter_bank("db2")
    for bank_map in (
        BankMap(decimated(bank, "analysis", "symmetric"), "symmetric", (5, 6)),
        BankMap(undecimated(bank, "analysis", 2), "periodic", (5, 6), "apart"),
        dual_map("qshift_a", "symmetric", (8, 4)),
    ):
        for each in (bank_map, bank_map.transpose):
            inputs = [noise(*shape) for shape in each.transpose.shapes(1, 2)]
            leaves = [x.requires_grad_() for x in inputs]
            torch.library.opcheck(torch.ops.wavevit.bank.default, (leaves, *_arguments(each)))


@pytest.mark.parametrize("function", TRANSFORMS)
def test_layouts_and_memory(function: Transform) -> None:
    x = noise(2, 4, 12, 8)
    expected, before = function(x), x.clone()
    for same in (
        x.contiguous(memory_format=torch.channels_last),
        x.transpose(-1, -2).contiguous().transpose(-1, -2),
        torch.stack([x, -x], dim=2)[:, :, 0],  # planes apart, but evenly: not even copied
        torch.stack([x, -x], dim=1)[:, 0],
        torch.complex(x, -x).conj().imag,  # a view with the negative bit
        torch._neg_view(-x),
    ):
        torch.testing.assert_close(function(same), expected)
    alike = x[:1, :1].expand(2, 4, 12, 8)
    torch.testing.assert_close(function(alike), function(alike.contiguous()))
    assert torch.equal(x, before)


@pytest.mark.parametrize("function", TRANSFORMS)
def test_threads_share_the_work(function: Transform, monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(2, 4, 12, 20)
    expected = function(x)
    monkeypatch.setattr(cpu_threads, "_GRAIN", 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    torch.testing.assert_close(function(x), expected, rtol=0, atol=0)


def _maps(size: tuple[int, int], mode: str, wavelet: str) -> list[BankMap]:
    bank = filter_bank(wavelet)
    maps = [
        BankMap(decimated(bank, "analysis", mode), mode, size),
        BankMap(decimated(bank, "analysis", mode), mode, size, "apart"),
        BankMap(undecimated(bank, "analysis", 2), mode, size),
    ]
    if not any(side % 4 for side in size):
        maps += [
            dual_map("analysis near_sym_a", "symmetric", size),
            dual_map("qshift_a", "zero", size),
        ]
    return maps


def _equal_plain(bank_map: BankMap, x: Tensor) -> None:
    """Both ways: of these images, and of coefficients of their shape."""
    whole = bank_map.apply(x)
    for together, plain in zip(whole, bank_map.plain([x]), strict=True):
        close(together, plain, x.dtype)
    y = [noise(*part.shape, seed=1, dtype=x.dtype) for part in whole]
    (back,) = bank_map.transpose.apply(*y)
    close(back, bank_map.transpose.plain(y)[0], x.dtype)


SIDES = st.one_of(st.integers(1, 21), st.integers(1, 5).map(lambda quarter: 4 * quarter))


@given(data=st.data(), wavelet=st.sampled_from(WAVELETS), planes=st.integers(8, 19))
def test_short_rows_of_many_planes(data: st.DataObject, wavelet: str, planes: int) -> None:
    """Eight planes at a time, the last group with fewer: each plane as if it were alone."""
    mode = data.draw(st.sampled_from([mode for mode in MODES if mode not in COMPUTED]))
    dtype = data.draw(st.sampled_from([torch.float64, torch.float32]))
    size = (data.draw(SIDES), data.draw(SIDES))
    wide = noise(planes, 1, size[0], size[1] + 3, dtype=dtype)
    for x in (wide[..., 3:], wide[..., 3:].contiguous()):
        for bank_map in _maps(size, mode, wavelet):
            _equal_plain(bank_map, x)


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_sides_around_the_largest_of_many_planes(beyond: int) -> None:
    """Up to it planes are computed together, above it row by row."""
    side = bank_cpu._SHORT + beyond
    for size in ((side, 9), (8, side)):
        for bank_map in _maps(size, "symmetric", "db2"):
            _equal_plain(bank_map, noise(9, 1, *size))


@pytest.mark.parametrize("side", [12, 32])
def test_a_plane_does_not_depend_on_its_neighbours(side: int) -> None:
    """To the bit, and where one of them is infinite; rows shorter and longer than a vector."""
    x = noise(9, 1, side, side, dtype=torch.float32)
    spoilt = x.clone()
    spoilt[3] = torch.inf
    others = [index for index in range(9) if index != 3]
    for bank_map in _maps((side, side), "symmetric", "db2"):
        whole, beside = bank_map.apply(x), bank_map.apply(spoilt)
        y = [part / 3 for part in whole]
        (back,) = bank_map.transpose.apply(*y)
        for index in others:
            alone = bank_map.apply(x[index : index + 1])
            for all_of_them, one_of_them, other in zip(whole, alone, beside, strict=True):
                assert torch.equal(all_of_them[index], one_of_them[0])
                assert torch.equal(other[index], one_of_them[0])
            (one_back,) = bank_map.transpose.apply(*(part[index : index + 1] for part in y))
            assert torch.equal(back[index], one_back[0])


def test_groups_of_planes_are_shared_among_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(5, 7, 12, 20)
    expected = [function(x[:, :4]) for function in TRANSFORMS]
    monkeypatch.setattr(cpu_threads, "_GRAIN", 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    for function, parts in zip(TRANSFORMS, expected, strict=True):
        torch.testing.assert_close(function(x[:, :4]), parts, rtol=0, atol=0)


def test_empty_batches_and_coefficients_that_do_not_fit() -> None:
    for function in TRANSFORMS:
        assert all(part.shape[0] == 0 for part in function(noise(0, 4, 8, 8)))
    bank_map = BankMap(decimated(filter_bank("db2"), "analysis", "zero"), "zero", (4, 4))
    with pytest.raises(ValueError, match=r"coefficients: expected shapes \[\(1, 1, 4, 3, 3\)\]"):
        bank_map.transpose.apply(noise(1, 1, 4, 2, 2))
    with pytest.raises(ValueError, match="coefficients: expected shapes"):
        bank_map.apply(noise(1, 1, 4, 5))


def test_infinities_stay_where_the_filters_are() -> None:
    x = noise(1, 1, 32, 32)
    x[0, 0, 16, 16] = torch.inf
    assert (~dwt2(x, "db2").isfinite()).sum() <= 4 * 2 * 2


def test_works_with_a_broken_numba() -> None:
    """numba refuses a numpy that is too new for it: that costs speed, not the transform."""
    use = (
        "import sys; sys.modules['numba'] = None; import importlib.util as u\n"
        "f = u.find_spec; u.find_spec = lambda n, *a: True if n == 'numba' else f(n, *a)\n"
        "import warnings, torch\n"
        "from wavevit.wavelets import dwt2\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    for _ in range(2): assert abs(dwt2(torch.ones(1, 1, 8, 8), 'db2').sum() - 32) < 1e-4\n"
        "print(len([w for w in caught if 'fast kernel' in str(w.message)]))\n"
    )
    done = warm_python.run([sys.executable, "-c", use], check=True)
    assert done.stdout.strip() == "1"
