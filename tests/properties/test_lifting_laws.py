"""Lifting inverts whatever its weights are; as built it is a known wavelet."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavevit.testing import assert_close_relative
from wavevit.testing.strategies import images, sizes
from wavevit.wavelets import Lifting, dwt2

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
EVEN = sizes(2, 18, multiple=2)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data(), steps=st.integers(1, 3), half=st.integers(1, 2), seed=st.integers(0, 2**31))
def test_inverts_whatever_the_weights(dtype, data, steps: int, half: int, seed: int) -> None:
    x = data.draw(images(dtype=dtype))
    lifting = Lifting(2, steps=steps, kernel_size=2 * half, dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        lifting.weight.copy_(0.3 * torch.randn(lifting.weight.shape, generator=generator))
        back = lifting.inverse(lifting(x), output_size=(x.shape[-2], x.shape[-1]))
    assert back.dtype == dtype
    # Weights of this size amplify rounding by a few per step; nothing else may be lost.
    assert_close_relative(back, x, depth=32 * steps)


@given(x=images(), scale=st.floats(0.1, 3.0), seed=st.integers(0, 2**31))
def test_inverts_with_large_weights(x: torch.Tensor, scale: float, seed: int) -> None:
    lifting = Lifting(2, "haar", dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        lifting.weight.copy_(scale * torch.randn(lifting.weight.shape, generator=generator))
        back = lifting.inverse(lifting(x), output_size=(x.shape[-2], x.shape[-1]))
    assert_close_relative(back, x, bound=1e-9)


@pytest.mark.parametrize(("start", "wavelet"), [("haar", "haar"), ("cdf5/3", "bior2.2")])
@given(x=images(EVEN, EVEN), steps=st.integers(1, 2), half=st.integers(1, 2))
def test_starts_as_a_wavelet(start: str, wavelet: str, x, steps: int, half: int) -> None:
    lifting = Lifting(2, start, steps, 2 * half, dtype=torch.float64)
    assert_close_relative(lifting(x), dwt2(x, wavelet))


def test_gradients_reach_every_weight() -> None:
    """Gradients reach every weight, of further steps too."""
    lifting = Lifting(2, steps=2, kernel_size=4, dtype=torch.float64)
    x = torch.randn(1, 2, 8, 10, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda w: torch.func.functional_call(lifting, {"weight": w}, (x,)),
        (lifting.weight.detach().requires_grad_(),),
    )
    lifting(x)[:, :, 1:].square().sum().backward()
    assert lifting.weight.grad is not None
    assert bool((lifting.weight.grad != 0).all())


def test_meta_start_and_bad_arguments() -> None:
    lifting = Lifting(3, device="meta").to_empty(device="cpu")
    lifting.reset_parameters()
    x = torch.randn(1, 3, 8, 8)
    assert_close_relative(lifting(x), dwt2(x, "bior2.2"))
    with pytest.raises(ValueError, match="kernel_size: expected an even number, got 3"):
        Lifting(3, kernel_size=3)
    with pytest.raises(ValueError, match=r"start: expected one of .*nearest: cdf5/3"):
        Lifting(3, "cdf53")
    with pytest.raises(ValueError, match="x: expected 3 channels, got 1"):
        lifting(torch.zeros(1, 1, 4, 4))
