"""Autoregressive modelling: bad input, distributions of integers, raw crops."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from wavevit.data import Scenes, create_source
from wavevit.tasks import create_task
from wavevit.tasks.integer_distributions import DISTRIBUTIONS


def build(backbone: str = "test_vit", options: dict[str, Any] | None = None, **changes: Any):
    torch.manual_seed(0)
    changes = {"in_chans": 1, "img_size": 32, **changes}
    return create_task("autoregressive", backbone, options, **changes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "random"}, "order: expected one of 'auto', 'raster', 'coarse_to_fine'"),
        ({"head": "gauss"}, "head: expected one of 'logistic_mixture', 'categorical'"),
        ({"levels": 0}, "levels: expected an integer of at least 1"),
        ({"order": "coarse_to_fine", "levels": 2}, "levels: expected at most 1 for this backbone"),
        ({"width": 0}, "width: expected an integer of at least 1"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(options=options)


def test_hierarchical_backbone_refuses_raster_order() -> None:
    with pytest.raises(ValueError, match=r"backbone: .*order='raster' \(a hierarchical model"):
        build("test_swin", {"order": "raster"})


def test_images_too_small_for_one_level_are_refused() -> None:
    with pytest.raises(ValueError, match="backbone: expected an img_size whose half has sides"):
        build("test_vit", {"order": "coarse_to_fine"}, img_size=16)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 1, 32, 32), "expected uint8 values from 0 to 255"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.uint8), r"expected shape \(B, 1, H, W\)"),
        (torch.zeros(2, 1, 32, 40, dtype=torch.uint8), "sides that are multiples of 16"),
        (None, "expected uint8 values"),
    ],
)
def test_bad_images_are_refused(images: torch.Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=rf"batch\['images'\]: {message}|{message}"):
        build().loss({"images": images})


def test_samples_of_a_wrong_size_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        build().sample(1, size=(16, 20))


def test_completions_of_wrong_images_are_refused() -> None:
    task = build()
    images = task.dummy_batch(1)["images"]
    with pytest.raises(ValueError, match="given: expected uint8 images of shape"):
        task.sample(1, given=images.float(), known=1)
    with pytest.raises(ValueError, match="known: expected at most 2, got 3"):
        task.sample(1, given=images, known=3)
    with pytest.raises(ValueError, match="known: expected 0 without given images"):
        task.sample(1, known=1)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_probabilities_add_up_to_one_between_any_bounds(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    kind = DISTRIBUTIONS[name](-9, 12, 2.0)
    shape = (6, 4, kind.count)
    parameters = 4 * torch.randn(shape, generator=generator, dtype=torch.float64)
    low = torch.randint(-9, 3, (6, 4), generator=generator)
    high = low + torch.randint(0, 10, (6, 4), generator=generator)
    total = torch.zeros(6, 4, dtype=torch.float64)
    for step in range(10):
        value = low + step
        found = kind.log_prob(parameters, value.clamp_max(high), low, high).exp()
        total += torch.where(value <= high, found, 0)
    assert torch.allclose(total, torch.ones_like(total), atol=1e-10)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_uniform_numbers_that_round_to_one_draw_the_largest_integer(name: str) -> None:
    """Of float64 numbers below 1 some are 1 in float32, in which models draw."""
    kind = DISTRIBUTIONS[name](0, 255, 16.0)
    uniform = torch.tensor([[0.0, 0.0], [1 - 2**-30, 1 - 2**-30]], dtype=torch.float64).float()
    assert uniform[1, 1] == 1
    low, high = torch.tensor([3, 3]), torch.tensor([250, 250])
    drawn = kind.draw(kind.bias().expand(2, -1), uniform, low, high)
    assert drawn.tolist() == [3, 250]
    assert drawn.dtype == torch.long


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_drawn_integers_have_their_probabilities(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    kind = DISTRIBUTIONS[name](0, 7, 1.0)
    parameters = torch.randn(kind.count, generator=generator, dtype=torch.float64)
    low, high = torch.tensor(1), torch.tensor(6)
    uniform = torch.rand(40_000, 2, generator=generator, dtype=torch.float64)
    drawn = kind.draw(parameters.expand(40_000, -1), uniform, low, high)
    values = torch.arange(1, 7)
    wanted = kind.log_prob(parameters.expand(6, -1), values, low, high).exp()
    found = torch.stack([(drawn == value).double().mean() for value in values])
    assert (found - wanted).abs().max() < 0.01
    assert found.sum() == 1


def test_raw_crops_are_bytes_of_the_scenes() -> None:
    source = create_source("crops_uint8", "test", 32, 4)
    batch = source.sample(6, torch.Generator().manual_seed(2))
    drawn = Scenes("test", 32, 4).draw(6, torch.Generator().manual_seed(2))
    assert batch["images"].dtype == torch.uint8
    assert batch["images"].shape == (6, 1, 40, 40)
    assert (batch["images"] / 255 - drawn.images).abs().max() <= 0.501 / 255
    assert torch.equal(batch["labels"], drawn.labels)
    assert source.crop(batch, (1, 2))["images"].shape == (6, 1, 32, 32)
