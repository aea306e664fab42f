"""The tokenizer ``"swt"`` without some of its steps (`SWTOptions`)."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit import BackboneConfig, make_stages
from wavevit.layers.tokenizers.swt import SWTOptions, SWTTokenizer
from wavevit.measure.certify import NoLipschitzBound, lipschitz_at
from wavevit.wavelets import dwt2

STEPS = ("undecimated", "magnitude", "low_pass")
ALL = SWTOptions()
NO_STEP = SWTOptions(**dict.fromkeys(STEPS, False))


def tokenizer_of(
    options: SWTOptions = ALL,
    padding: str = "zeros",
    channels: int = 2,
    wavelet: str = "haar",
) -> SWTTokenizer:
    built = SWTTokenizer(channels, 64, 8, wavelet, padding, options=options)
    built.reset_parameters()
    return built.double()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 2, 32, 48, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("steps", list(itertools.product((False, True), repeat=3)))
def test_only_magnitudes_make_it_nonlinear(x: Tensor, steps: tuple[bool, ...]) -> None:
    other = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).double()
    options = SWTOptions(*steps)
    built = tokenizer_of(options)
    assert built(x).shape == (2, 4, 6, 64)
    sum_of_bands = built.analyse(x) + built.analyse(other)
    assert torch.allclose(built.analyse(x + other), sum_of_bands) is not options.magnitude


@pytest.mark.parametrize("wavelet", ["haar", "db2"])
def test_decimated_details_are_those_of_the_transform(x: Tensor, wavelet: str) -> None:
    bands = tokenizer_of(NO_STEP, "circular", wavelet=wavelet).analyse(x).unflatten(1, (2, 64))
    finest = F.pixel_shuffle(bands[:, :, 1:49].flatten(1, 2), 4)
    expected = dwt2(x, wavelet)[:, :, 1:].flatten(1, 2)
    torch.testing.assert_close(finest, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_without_steps_nothing_is_lost(padding: str) -> None:
    pixels = torch.eye(16 * 16).double().reshape(-1, 1, 16, 16)
    matrix = tokenizer_of(NO_STEP, padding, 1).analyse(pixels).flatten(1)
    assert torch.linalg.matrix_rank(matrix) == 16 * 16
    # Negative control: low-passed details without decimation keep a few numbers for each patch.
    few = tokenizer_of(SWTOptions(magnitude=False), padding, 1).analyse(pixels)
    assert torch.linalg.matrix_rank(few.flatten(1)) <= 10 * 4


def test_without_steps_tokens_still_read_pixels_around_their_patch() -> None:
    """The low-pass between scales overlaps: only the details of the first scale stay inside."""
    image = torch.zeros(1, 1, 32, 32).double()
    image[:, :, 8:16, 8:16] = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    bands = tokenizer_of(NO_STEP, "circular", 1).analyse(image).abs().sum((0, 1))
    first = tokenizer_of(NO_STEP, "circular", 1).analyse(image)[:, 1:49].abs().sum((0, 1))
    assert int((first > 0).sum()) == 1
    assert int((bands > 0).sum()) == 9


def test_undecimated_details_contain_the_decimated_ones(x: Tensor) -> None:
    every = SWTOptions(magnitude=False, low_pass=False)
    one = tokenizer_of(every).analyse(x).unflatten(1, (2, -1))[:, :, 1 : 1 + 3 * 64]
    other = tokenizer_of(NO_STEP).analyse(x).unflatten(1, (2, -1))[:, :, 1 : 1 + 3 * 16]
    one, other = (F.pixel_shuffle(a.flatten(1, 2), s) for a, s in ((one, 8), (other, 4)))
    torch.testing.assert_close(one[..., ::2, ::2], other, rtol=0, atol=1e-14)


def test_signed_details_keep_the_certificate_and_others_have_none() -> None:
    signed = tokenizer_of(SWTOptions(magnitude=False), "circular")
    assert lipschitz_at(signed, (32, 32)).value > 0
    with pytest.raises(NoLipschitzBound, match="low-passes"):
        lipschitz_at(tokenizer_of(NO_STEP, "circular"), (32, 32))


def test_wrong_options_are_refused_and_defaults_are_not_written() -> None:
    with pytest.raises(ValueError, match=r"magnitude.*True or False"):
        SWTOptions(magnitude="no")  # type: ignore[arg-type]
    plain = BackboneConfig(stages=make_stages(depths=[1], embed_dims=[32]), tokenizer="swt")
    assert dataclasses.replace(plain, tokenizer_options=dict.fromkeys(STEPS, True)) == plain
