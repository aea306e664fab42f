"""Every public transform, every derivative: one table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from tests.tensors import noise
from tests.transform_table import CALLS, TRANSFORMS, call
from wavevit.wavelets import dwt2, idwt2, kernels


@pytest.fixture(params=[True, False], ids=["kernels", "plain"], autouse=True)
def _either_path(request: pytest.FixtureRequest) -> Iterator[None]:
    with kernels(request.param):
        yield


@pytest.mark.parametrize(("name", "way"), CALLS)
def test_first_and_second_derivatives_in_either_mode(name: str, way: str) -> None:
    function, inputs = call(name, way)
    leaves = [x.requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(function, leaves, check_forward_ad=True, fast_mode=True)
    # Of a linear map the second derivative is zero; of its backward pass there must be one still.
    assert torch.autograd.gradgradcheck(function, leaves, check_fwd_over_rev=True, fast_mode=True)


@pytest.mark.parametrize(("name", "way"), CALLS)
def test_vmap_and_jvp(name: str, way: str) -> None:
    function, inputs = call(name, way)
    others = [noise(*x.shape, seed=1) for x in inputs]
    mapped = torch.func.vmap(function)(*map(torch.stack, zip(inputs, others, strict=True)))
    for ours, *expected in zip(mapped, function(*inputs), function(*others), strict=True):
        torch.testing.assert_close(ours, torch.stack(expected))
    if TRANSFORMS[name].linear:
        _, pushed = torch.func.jvp(function, tuple(inputs), tuple(others))
        torch.testing.assert_close(pushed, function(*others))


def test_a_wrong_derivative_is_seen() -> None:
    """Negative control: one number of sixteen is half as large in a backward pass."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            return dwt2(x)

        @staticmethod
        def backward(ctx, gradient: Tensor) -> Tensor:
            transposed = idwt2(gradient)
            transposed[0, 0, 2, 3] *= 0.5
            return transposed

    x = noise(1, 1, 4, 4).requires_grad_()
    for fast in (True, False):  # along one direction, and number by number
        found = torch.autograd.gradcheck(Wrong.apply, (x,), raise_exception=False, fast_mode=fast)
        assert not found
