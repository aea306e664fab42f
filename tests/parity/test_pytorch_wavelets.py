"""Values of the library that ours replaces; its gradients are no oracle, so none is compared."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings

from wavevit.testing.strategies import images, sizes
from wavevit.wavelets import wavedec2, waverec2

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports pkg_resources, which setuptools has deprecated
    pytorch_wavelets = pytest.importorskip("pytorch_wavelets", reason="comes with extra compare")

SIDES = sizes(8, 24, multiple=8)


@settings(max_examples=15)
@given(x=images(SIDES, SIDES))
def test_haar_pyramid_and_its_inverse(x: torch.Tensor) -> None:
    forward = pytorch_wavelets.DWTForward(J=3, wave="haar", mode="periodization").double()
    inverse = pytorch_wavelets.DWTInverse(wave="haar", mode="periodization").double()
    low, high = forward(x)
    pyramid = wavedec2(x, "haar", level=3)
    torch.testing.assert_close(pyramid.approx, low, rtol=0, atol=1e-6)
    for ours, theirs in zip(reversed(pyramid.details), high, strict=True):
        # Its filter tables are rounded to float32 before they become double.
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    torch.testing.assert_close(waverec2(pyramid), inverse((low, high)), rtol=0, atol=1e-6)
