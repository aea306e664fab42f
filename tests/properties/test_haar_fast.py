"""The Haar kernels against plain operations: values, derivatives, layouts."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests import warm_python
from tests.tensors import noise
from wavevit.testing import assert_close_relative, tolerance
from wavevit.testing.strategies import images, sizes
from wavevit.wavelets import kernels
from wavevit.wavelets._engine import haar_maps, haar_plain
from wavevit.wavelets._engine.haar import (
    haar_analysis,
    haar_packet_analysis,
    haar_packet_synthesis,
    haar_pyramid_analysis,
    haar_pyramid_synthesis,
    haar_synthesis,
)
from wavevit.wavelets._engine.haar_maps import HaarMap
from wavevit.wavelets._engine.kernel_choice import has_kernel, imported
from wavevit.wavelets._kernels import cpu_threads

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def one(x: Tensor) -> tuple[Tensor, ...]:
    return (haar_analysis(x),)


def pyramid(x: Tensor) -> tuple[Tensor, ...]:
    approx, details = haar_pyramid_analysis(x, 2)
    return (approx, *details)


def packet(x: Tensor) -> tuple[Tensor, ...]:
    return (haar_packet_analysis(x, 2),)


def one_back(x: Tensor) -> tuple[Tensor, ...]:
    return (haar_synthesis(x.unflatten(1, (-1, 4))),)


def pyramid_back(x: Tensor) -> tuple[Tensor, ...]:
    approx, details = x[:, :1], x[:, 1:].unflatten(1, (1, 3))
    return (haar_pyramid_synthesis(approx, (details,)),)


def packet_back(x: Tensor) -> tuple[Tensor, ...]:
    return (haar_packet_synthesis(x.reshape(1, -1, 16, 1, 2)),)


TRANSFORMS = [one, pyramid, packet]
BACK = [one_back, pyramid_back, packet_back]


@pytest.fixture(params=[True, False], ids=["kernels", "plain"], autouse=True)
def _either_path(request: pytest.FixtureRequest) -> Iterator[None]:
    with kernels(request.param):
        yield


def by_hand(x: Tensor, level: int, pyramid: bool) -> list[Tensor]:
    """Level by level over the composition that the kernels are to equal."""
    if not pyramid:
        bands = x
        for _ in range(level):
            bands = haar_plain.analysis(bands).flatten(1, 2)
        return [bands.unflatten(1, (x.shape[1], -1))]
    details: list[Tensor] = []
    for _ in range(level):
        bands = haar_plain.analysis(x)
        x = bands[:, :, 0]
        details.insert(0, bands[:, :, 1:])
    return [x, *details]


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_values_and_inverses(dtype: torch.dtype, data: st.DataObject) -> None:
    """Every size, odd ones included; wide enough for whole vectors, their tails and scalars."""
    x = data.draw(images(sizes(1, 40), sizes(1, 40), dtype=dtype))
    size = (x.shape[-2], x.shape[-1])
    level = data.draw(st.integers(0, int(math.log2(min(size)))))
    exact = x.double()
    approx, details = haar_pyramid_analysis(x, level)
    for ours, expected in zip([approx, *details], by_hand(exact, level, True), strict=True):
        assert ours.dtype == dtype
        # The energy of the image is the scale: a band of a smooth image may hold rounding only.
        assert (ours.double() - expected).norm() <= tolerance(dtype, level) * exact.norm()
    packets = haar_packet_analysis(x, level)
    assert_close_relative(packets, by_hand(exact, level, False)[0], depth=level)
    back = haar_pyramid_synthesis(approx, details)[..., : size[0], : size[1]]
    assert_close_relative(back, x, depth=2 * level)
    assert_close_relative(haar_packet_synthesis(packets, size), x, depth=2 * level)


def treat_memory(patch: pytest.MonkeyPatch, ahead: int, past: bool) -> None:
    """Has the kernels of the CPU treat memory so; plans made before are not asked."""
    loops = imported("wavevit.wavelets._kernels.haar_cpu")
    patch.setattr(loops, "_memory", lambda *_: loops._Memory(ahead, past))
    patch.setattr(haar_maps, "_plan", lru_cache(haar_maps._plan.__wrapped__))


@given(x=images(sizes(1, 40), sizes(1, 40), dtype=torch.float32))
def test_memory_asked_for_ahead_changes_no_bit(x: Tensor) -> None:
    """Whatever the size: addresses beyond the last plane are nobody's, and that does no harm."""
    if not has_kernel(x):
        pytest.skip("no kernel here, or switched off")
    loops = imported("wavevit.wavelets._kernels.haar_cpu")
    level = min(int(math.log2(min(x.shape[-2:]))), 2)
    found = []
    for ahead in (loops.Ahead.NOTHING, loops.Ahead.NEXT_PLANE, loops.Ahead.NEXT_ROWS):
        with pytest.MonkeyPatch.context() as patch:
            treat_memory(patch, int(ahead), past=False)
            approx, details = haar_pyramid_analysis(x, level)
            back = haar_pyramid_synthesis(approx, details)
            one_level = haar_analysis(x)
            found.append([approx, *details, back, one_level, haar_synthesis(one_level)])
    for asked in found[1:]:
        assert all(map(torch.equal, found[0], asked))


@given(
    height=st.integers(1, 12),
    blocks=st.integers(1, 6),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    pyramid=st.booleans(),
)
def test_stores_past_the_caches_change_no_bit(
    height: int, blocks: int, dtype: torch.dtype, pyramid: bool
) -> None:
    x = noise(2, 3, height, 8 * blocks).to(dtype)
    if not has_kernel(x):
        pytest.skip("no kernel here, or switched off")
    haar_map = HaarMap(pyramid, False, 1, (height, 8 * blocks))
    without = haar_map.run([x])
    with pytest.MonkeyPatch.context() as patch:
        treat_memory(patch, 0, past=True)
        assert all(map(torch.equal, haar_map.run([x]), without))


def test_memory_is_treated_as_pays() -> None:
    """By the sizes of docs/transforms-speed.md."""
    if not has_kernel(torch.zeros(1)):
        pytest.skip("no kernel here, or switched off")
    loops = imported("wavevit.wavelets._kernels.haar_cpu")
    ahead = loops.Ahead
    for shape, treated in {
        (1, 3, 28, 28): (ahead.NOTHING, False),
        (64, 128, 14, 14): (ahead.NOTHING, False),
        (64, 64, 24, 24): (ahead.NEXT_PLANE, False),
        (8, 256, 28, 28): (ahead.NEXT_PLANE, False),
        (8, 3, 224, 224): (ahead.NEXT_ROWS, False),
        (32, 64, 56, 56): (ahead.NEXT_ROWS, True),
        (32, 3, 224, 224): (ahead.NEXT_ROWS, True),
        (32, 3, 226, 226): (ahead.NEXT_ROWS, False),
        (1, 3, 1280, 1280): (ahead.NOTHING, True),
        (1, 3, 2048, 2048): (ahead.NOTHING, False),
    }.items():
        assert loops._memory(torch.Size(shape), 4) == treated


@given(x=images(sizes(1, 20), sizes(1, 20)), seed=st.integers(0, 2**31))
def test_the_transpose_is_the_transpose(x: Tensor, seed: int) -> None:
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩ on odd sizes too, where the transpose is not the inverse."""
    haar_map = HaarMap(False, False, 1, (x.shape[-2], x.shape[-1]))
    (coefficients,) = haar_map.apply(x)
    y = noise(*coefficients.shape, seed=seed)
    (back,) = haar_map.transpose.apply(y)
    torch.testing.assert_close((coefficients * y).sum(), (x * back).sum(), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(back, haar_plain.adjoint(y, haar_map.size), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(4, 8), (5, 3), (1, 1)])
@pytest.mark.parametrize("function", TRANSFORMS)
def test_derivatives(function: Callable[..., object], size: tuple[int, int]) -> None:
    if function is not one:
        size = (max(size[0], 4), size[1] + 3)
    x = noise(1, 2, *size).requires_grad_()
    assert torch.autograd.gradcheck(
        function,
        (x,),
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
        fast_mode=True,
    )
    assert torch.autograd.gradgradcheck(function, (x,), check_fwd_over_rev=True, fast_mode=True)


@pytest.mark.parametrize("function", BACK)
def test_derivatives_of_the_inverses(function: Callable[..., object]) -> None:
    channels = 16 if function is packet_back else 4
    x = noise(1, channels, 1, 2).requires_grad_()
    assert torch.autograd.gradcheck(
        function,
        (x,),
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
        fast_mode=True,
    )
    assert torch.autograd.gradgradcheck(function, (x,), fast_mode=True)


def test_some_gradients_and_some_tangents_are_missing() -> None:
    x = noise(1, 1, 8, 8).requires_grad_()
    approx, details = haar_pyramid_analysis(x, 2)
    (gradient,) = torch.autograd.grad(details[0].sum(), x)
    expected = by_hand(x, 2, True)[1].sum()
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, x)[0])
    approx, details = approx.detach(), tuple(part.detach() for part in details)
    tangent = noise(*approx.shape, seed=1)
    _, moved = torch.func.jvp(lambda a: haar_pyramid_synthesis(a, details), (approx,), (tangent,))
    still = tuple(torch.zeros_like(part) for part in details)
    torch.testing.assert_close(moved, haar_pyramid_synthesis(tangent, still))


@pytest.mark.parametrize("function", TRANSFORMS)
def test_func_transforms(function: Callable[[Tensor], tuple[Tensor, ...]]) -> None:
    x = noise(3, 2, 2, 8, 12)
    batched = torch.func.vmap(function, in_dims=1)(x)
    expected = [torch.stack(parts) for parts in zip(*map(function, x.unbind(1)), strict=True)]
    torch.testing.assert_close(list(batched), expected)
    image, tangent = noise(1, 1, 4, 8), noise(1, 1, 4, 8, seed=1)
    _, pushed = torch.func.jvp(function, (image,), (tangent,))
    torch.testing.assert_close(pushed, function(tangent))
    _, pull = torch.func.vjp(function, image)
    cotangent = function(tangent)
    inner = sum((a * b).sum() for a, b in zip(cotangent, function(image), strict=True))
    torch.testing.assert_close((pull(cotangent)[0] * image).sum(), inner)
    hessian = torch.func.hessian(lambda t: sum(part.pow(2).sum() for part in function(t)))(image)
    # Even sizes: the transform is orthonormal, so the sum of squares is that of the image.
    torch.testing.assert_close(hessian.reshape(32, 32), 2 * torch.eye(32, dtype=torch.float64))
    per_sample = torch.func.vmap(torch.func.grad(lambda t: function(t)[0].pow(2).sum()))(x)
    assert per_sample.shape == x.shape


def test_the_older_vmap() -> None:
    x, tangents = noise(1, 1, 4, 4), noise(3, 1, 1, 4, 4, seed=1)
    for strategy in ("reverse-mode", "forward-mode"):
        jacobian = torch.autograd.functional.jacobian(
            haar_analysis, x, vectorize=True, strategy=strategy
        )
        pushed = torch.stack([(jacobian * t).sum((-4, -3, -2, -1)) for t in tangents])
        torch.testing.assert_close(pushed, torch.stack([haar_analysis(t) for t in tangents]))


@pytest.mark.parametrize("function", TRANSFORMS)
def test_layouts_and_memory(function: Callable[[Tensor], tuple[Tensor, ...]]) -> None:
    x = noise(2, 3, 12, 8)
    expected = function(x)
    before = x.clone()
    for same in (
        x.contiguous(memory_format=torch.channels_last),
        x.transpose(-1, -2).contiguous().transpose(-1, -2),
        torch.cat([x, x])[:2],
        x.repeat_interleave(2, dim=3)[..., ::2],
        torch.complex(x, -x).conj().imag,  # a view with the negative bit
    ):
        results = function(same)
        torch.testing.assert_close(results, expected, rtol=0, atol=1e-12)
        assert not {r.untyped_storage().data_ptr() for r in results} & {
            same.untyped_storage().data_ptr()
        }
    expanded = noise(1, 1, 4, 8).expand(2, 3, 4, 8)
    torch.testing.assert_close(function(expanded), function(expanded.clone()))
    torch.testing.assert_close(x, before, rtol=0, atol=0)
    leaf = x.clone().requires_grad_()
    assert all(part.grad_fn is not None for part in function(leaf))


def test_an_inplace_change_of_the_input_is_no_error() -> None:
    """The map is linear, so nothing is saved for the backward pass."""
    x = noise(1, 1, 4, 4).requires_grad_()
    y = x * 1
    z = haar_analysis(y)
    y.zero_()
    (gradient,) = torch.autograd.grad(z.pow(2).sum(), x)
    torch.testing.assert_close(gradient, 2 * x.detach())


def test_empty_batch_and_copies() -> None:
    assert haar_analysis(torch.empty(0, 3, 4, 4)).shape == (0, 3, 4, 2, 2)
    x = torch.empty(0, 3, 4, 4, requires_grad=True)
    haar_analysis(x).sum().backward()
    assert copy.deepcopy(haar_analysis) is haar_analysis
    assert copy.deepcopy(haar_analysis(noise(1, 1, 4, 4))).shape == (1, 1, 4, 2, 2)


def test_infinities_and_nans_stay_in_their_block() -> None:
    x = noise(1, 1, 4, 32)
    x[0, 0, 0, 0], x[0, 0, 3, 31] = float("nan"), float("inf")
    bad = ~torch.isfinite(haar_analysis(x))[0, 0].all(0)
    assert bad.nonzero().tolist() == [[0, 0], [1, 15]]


def test_coefficients_that_do_not_fit_are_refused() -> None:
    """A kernel trusts its shapes, so nothing wrong may reach it."""
    approx, (detail,) = haar_pyramid_analysis(noise(2, 3, 8, 8), 1)
    with pytest.raises((ValueError, RuntimeError)):
        haar_pyramid_synthesis(approx, (detail[:, :1],))
    with pytest.raises((ValueError, RuntimeError)):
        haar_pyramid_synthesis(approx[:, :, :2], (detail,))
    mixed = haar_pyramid_synthesis(approx.float(), (detail,))
    assert mixed.dtype == torch.float64  # as torch promotes


@pytest.mark.parametrize("size", [(40, 24), (9, 31)])
def test_threads_share_the_work(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    monkeypatch.setattr(cpu_threads, "_GRAIN", 8)
    x = noise(2, 3, *size)
    expected = haar_plain.analysis(x)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        torch.testing.assert_close(haar_analysis(x), expected, rtol=0, atol=1e-12)
        if size == (40, 24):
            torch.testing.assert_close(pyramid(x), tuple(by_hand(x, 2, True)), rtol=0, atol=1e-12)
    finally:
        torch.set_num_threads(threads)


def test_works_without_numba_and_with_a_broken_one() -> None:
    """numba refuses a numpy that is too new for it: that costs speed, not the transform."""
    if not has_kernel(torch.empty(0)):
        return  # the processes below switch nothing off: once is enough
    missing = "import sys, importlib.util as u; f = u.find_spec\n" + (
        "u.find_spec = lambda n, *a: None if n == 'numba' else f(n, *a)\n"
    )
    broken = "import sys; sys.modules['numba'] = None; import importlib.util as u\n" + (
        "f = u.find_spec; u.find_spec = lambda n, *a: True if n == 'numba' else f(n, *a)\n"
    )
    use = (
        "import warnings, torch\n"
        "from wavevit.wavelets import dwt2\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    for _ in range(2): assert dwt2(torch.ones(1, 1, 4, 4)).sum() == 8\n"
        "print(len([w for w in caught if 'fast kernel' in str(w.message)]))\n"
    )
    for prelude, warned in ((missing, "0"), (broken, "1")):
        done = warm_python.run([sys.executable, "-c", prelude + use], check=True)
        assert done.stdout.strip() == warned
