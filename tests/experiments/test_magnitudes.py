"""Study `magnitudes`: its tokenizer is what the study says, step by step."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from experiments.studies.magnitudes import MAGNITUDES
from wavevit.layers.tokenizers.swt import SWTTokenizer
from wavevit.models import Backbone
from wavevit.models.parts import make_tokenizer
from wavevit.wavelets import dwt2


def tokenizer_of(padding: str = "zeros", channels: int = 2, **options: bool) -> Any:
    config = MAGNITUDES.configs()["coefficients"].model
    config = dataclasses.replace(
        config, padding=padding, in_chans=channels, tokenizer_options=options
    )
    return make_tokenizer(config).double()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 2, 32, 48, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("padding", ["zeros", "circular"])
def test_with_all_steps_it_is_the_undecimated_tokenizer(x: Tensor, padding: str) -> None:
    expected = SWTTokenizer(2, 64, 8, padding=padding).double().analyse(x)
    torch.testing.assert_close(tokenizer_of(padding).analyse(x), expected, rtol=1e-12, atol=1e-12)


def test_decimated_details_are_those_of_the_haar_transform(x: Tensor) -> None:
    kept = tokenizer_of(undecimated=False, magnitude=False, low_pass=False)
    bands = kept.analyse(x).unflatten(1, (2, 64))
    finest = torch.nn.functional.pixel_shuffle(bands[:, :, 1:49].flatten(1, 2), 4)
    details = dwt2(x, "haar")[:, :, 1:].flatten(1, 2)
    torch.testing.assert_close(finest, details, rtol=1e-12, atol=1e-12)


def test_only_magnitudes_are_not_linear(x: Tensor) -> None:
    other = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).double()
    for magnitude in (False, True):
        for undecimated in (False, True):
            for low_pass in (False, True):
                analyse = tokenizer_of(
                    magnitude=magnitude, undecimated=undecimated, low_pass=low_pass
                ).analyse
                linear = torch.allclose(analyse(x + other), analyse(x) + analyse(other))
                assert linear is not magnitude


def test_coefficients_keep_every_pixel_of_a_patch() -> None:
    """So nothing is lost before the magnitudes: the map is invertible."""
    kept = tokenizer_of("circular", 1, undecimated=False, magnitude=False, low_pass=False)
    pixels = torch.eye(16 * 16).double().reshape(-1, 1, 16, 16)
    matrix = kept.analyse(pixels).flatten(1)
    assert torch.linalg.matrix_rank(matrix) == 16 * 16


def test_variants_cost_the_same_and_wrong_options_are_refused() -> None:
    runs = MAGNITUDES.configs()
    sizes = {
        name: sum(p.numel() for p in Backbone(run.model).parameters()) for name, run in runs.items()
    }
    assert max(sizes.values()) < 1.03 * min(sizes.values())
    with pytest.raises(ValueError, match=r"magnitude.*True or False"):
        tokenizer_of(magnitude="no")  # type: ignore[arg-type]
