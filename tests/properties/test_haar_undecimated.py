"""The undecimated Haar level: kernels against plain operations, laws, everything that traces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.examples import examples
from tests.tensors import noise
from wavevit.testing import assert_close_relative, tolerance
from wavevit.testing.strategies import images, shifts, sizes
from wavevit.wavelets import dwt2, kernels
from wavevit.wavelets._engine import haar_plain
from wavevit.wavelets._engine.haar import haar_undecimated, haar_undecimated_inverse
from wavevit.wavelets._engine.haar_maps import HaarMap
from wavevit.wavelets._kernels import cpu_threads

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
SPACINGS = st.integers(1, 9)


def one_level(x: Tensor, spacing: int) -> Tensor:
    (coefficients,) = HaarMap(False, False, 1, (x.shape[-2], x.shape[-1]), spacing).apply(x)
    return coefficients


@pytest.fixture(params=[True, False], ids=["kernels", "plain"], autouse=True)
def _either_path(request: pytest.FixtureRequest) -> Iterator[None]:
    with kernels(request.param):
        yield


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data(), spacing=SPACINGS)
def test_values_and_inverse(dtype: torch.dtype, data: st.DataObject, spacing: int) -> None:
    """Every size and spacing, also one that goes round the circle more than once."""
    x = data.draw(images(sizes(1, 40), sizes(1, 40), dtype=dtype))
    coefficients = one_level(x, spacing)
    assert coefficients.dtype == dtype
    expected = haar_plain.undecimated(x.double(), spacing)
    # The energy of the image is the scale: a band of a smooth image may hold rounding only.
    error = (coefficients.double() - expected).norm()
    assert error <= 2 * tolerance(dtype) * x.double().norm()
    assert_close_relative(haar_undecimated_inverse(coefficients, spacing), x, depth=2)


@given(x=images(sizes(1, 20), sizes(1, 20)), spacing=SPACINGS, seed=st.integers(0, 2**31))
def test_the_transpose_is_the_transpose(x: Tensor, spacing: int, seed: int) -> None:
    haar_map = HaarMap(False, False, 1, (x.shape[-2], x.shape[-1]), spacing)
    (coefficients,) = haar_map.apply(x)
    y = noise(*coefficients.shape, seed=seed)
    (back,) = haar_map.transpose.apply(y)
    torch.testing.assert_close((coefficients * y).sum(), (x * back).sum(), rtol=1e-11, atol=1e-11)
    expected = haar_plain.undecimated_adjoint(y, spacing)
    torch.testing.assert_close(back, expected, rtol=0, atol=1e-12)


@given(x=images(sizes(1, 20), sizes(1, 20)), spacing=SPACINGS, shift=shifts(30))
def test_commutes_with_every_circular_shift(
    x: Tensor, spacing: int, shift: tuple[int, int]
) -> None:
    moved = one_level(torch.roll(x, shift, (-2, -1)), spacing)
    expected = torch.roll(one_level(x, spacing), shift, (-2, -1))
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-12)


@given(x=images(sizes(2, 20, multiple=2), sizes(2, 20, multiple=2)))
def test_every_second_coefficient_is_the_decimated_one(x: Tensor) -> None:
    every_second = one_level(x, 1)[..., ::2, ::2]
    torch.testing.assert_close(every_second, dwt2(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("size", "spacing"), [((4, 9), 1), ((5, 3), 2), ((1, 1), 1)])
def test_derivatives(size: tuple[int, int], spacing: int) -> None:
    x = noise(1, 2, *size).requires_grad_()

    def function(t: Tensor) -> Tensor:
        return one_level(t, spacing)

    options = {"check_forward_ad": True, "check_batched_grad": True, "fast_mode": True}
    assert torch.autograd.gradcheck(function, (x,), **options)
    assert torch.autograd.gradgradcheck(function, (x,), check_fwd_over_rev=True, fast_mode=True)
    bands = noise(1, 2, 4, *size).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda c: haar_undecimated_inverse(c, spacing), (bands,), **options
    )


def test_func_transforms_and_compilation() -> None:
    x, tangent = noise(3, 2, 2, 6, 10), noise(2, 2, 6, 10, seed=1)
    batched = torch.func.vmap(lambda t: one_level(t, 2))(x)
    torch.testing.assert_close(batched, torch.stack([one_level(t, 2) for t in x]))
    _, pushed = torch.func.jvp(lambda t: one_level(t, 2), (x[0],), (tangent,))
    torch.testing.assert_close(pushed, one_level(tangent, 2))
    torch.compiler.reset()
    compiled = torch.compile(one_level, fullgraph=True, backend="aot_eager")
    one, other = x[0].clone().requires_grad_(), x[0].clone().requires_grad_()
    compiled(one, 2).square().sum().backward()
    one_level(other, 2).square().sum().backward()
    torch.testing.assert_close(one.grad, other.grad)


def test_threads_and_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_threads, "_GRAIN", 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    x = noise(2, 3, 7, 11)
    expected = haar_plain.undecimated(x, 3)
    torch.testing.assert_close(one_level(x, 3), expected)
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(one_level(last, 3), expected)
    turned = one_level(x.transpose(-1, -2), 3)
    torch.testing.assert_close(turned, haar_plain.undecimated(x.transpose(-1, -2), 3))


@pytest.mark.parametrize("level", [1, 2, 3])
@examples(daily=10)
@given(x=images(sizes(1, 13), sizes(1, 13)), seed=st.integers(0, 99))
def test_levels_in_one_map_are_levels_one_by_one(x: Tensor, level: int, seed: int) -> None:
    expected, image = [], x
    for step in range(level):
        expected.append(one_level(image, 1 << step))
        image = expected[-1][:, :, 0]
    found = haar_undecimated(x, level)
    torch.testing.assert_close(found, torch.stack(expected[::-1], dim=2), rtol=0, atol=1e-12)
    haar_map = HaarMap(False, False, level, (x.shape[-2], x.shape[-1]), 1)
    (coefficients,) = haar_map.apply(x)
    y = noise(*coefficients.shape, seed=seed)
    (back,) = haar_map.transpose.apply(y)
    torch.testing.assert_close((coefficients * y).sum(), (x * back).sum(), rtol=1e-11, atol=1e-11)
    (plain,) = haar_map.transpose.plain([y])
    torch.testing.assert_close(back, plain, rtol=0, atol=1e-12)
