"""The modules: same numbers as the functions, and no tensor that a move could hurt."""

from __future__ import annotations

import pytest
import torch

from wavevit.wavelets import DTCWT2, IDTCWT2, Scattering2, dtcwt2, idtcwt2, scattering2

X = torch.rand(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_equal_to_the_functions(dtype: torch.dtype) -> None:
    x = X.to(dtype)
    pyramid = DTCWT2(2, "near_sym_b", "qshift_b", "periodic").to(dtype)(x)
    expected = dtcwt2(x, 2, "near_sym_b", "qshift_b", "periodic")
    torch.testing.assert_close(pyramid, expected)
    inverse = IDTCWT2("near_sym_b", "qshift_b", "periodic").to(dtype)
    torch.testing.assert_close(
        inverse(pyramid, (15, 16)),
        idtcwt2(expected, "near_sym_b", "qshift_b", "periodic", (15, 16)),
    )
    torch.testing.assert_close(Scattering2().to(dtype)(x), scattering2(x))


def test_a_float64_image_meets_float64_filters() -> None:
    """Not the float32 ones of a module that nobody converted."""
    torch.testing.assert_close(DTCWT2(2)(X.double()), dtcwt2(X.double(), 2), rtol=0, atol=0)


@pytest.mark.parametrize("make", [DTCWT2, IDTCWT2, Scattering2])
def test_filters_are_no_tensors_of_a_module(make: type[torch.nn.Module]) -> None:
    module = make()
    assert not module.state_dict()
    assert not list(module.parameters())
    assert not list(module.buffers())


def test_bad_arguments_are_named_at_construction() -> None:
    with pytest.raises(ValueError, match="level: expected an integer of at least 1"):
        DTCWT2(0)
    with pytest.raises(ValueError, match="qshift: expected one of"):
        IDTCWT2(qshift="qshift_e")
    with pytest.raises(ValueError, match="order: expected one of"):
        Scattering2(order=3)
