"""MixUp and CutMix: labels follow the pixels, and pairs do not depend on the number of ranks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from experiments.core.batches import rank_slice
from experiments.core.config import RunConfig
from experiments.core.mixing import cutmix, mixer
from tests.experiments.noise_source import noise_run


def mixing_run(**data: float) -> RunConfig:
    run = noise_run()
    return dataclasses.replace(run, data=dataclasses.replace(run.data, **data))


def constant_batch() -> dict[str, torch.Tensor]:
    """Images whose pixels are their class, so that the mean of a mixed image tells its shares."""
    labels = torch.tensor([0, 1, 2, 3, 3, 0, 1, 2])
    return {"images": labels[:, None, None, None].expand(8, 1, 10, 12).float(), "labels": labels}


@pytest.mark.parametrize("data", [{"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0}])
def test_labels_have_the_shares_of_the_pixels(data: dict[str, float]) -> None:
    mix = mixer(mixing_run(**data))
    assert mix is not None
    changed = 0
    for seed in range(6):
        mixed = mix(constant_batch(), seed)
        shares = mixed["labels"]
        torch.testing.assert_close(shares.sum(1), torch.ones(8))
        means = mixed["images"].mean((1, 2, 3))
        torch.testing.assert_close(means, shares @ torch.arange(4.0), rtol=1e-5, atol=1e-5)
        changed += int((shares.max(1).values < 1).any())
    assert changed > 3


def test_parts_of_ranks_are_mixed_as_the_whole_batch() -> None:
    mix = mixer(mixing_run(mixup=0.8, cutmix=1.0))
    assert mix is not None
    whole = mix(constant_batch(), 3)
    parts = [mix(rank_slice(constant_batch(), rank, 4), 3) for rank in range(4)]
    for name, value in whole.items():
        assert torch.equal(torch.cat([part[name] for part in parts]), value)


def test_share_of_cutmix_counts_the_pixels_inside_the_image() -> None:
    images = torch.tensor([0.0, 1.0])[:, None, None, None].expand(2, 1, 9, 7)
    for seed in range(20):
        mixed, own = cutmix(images, 0.3, np.random.default_rng(seed))
        assert float(mixed[0].mean()) == pytest.approx(1 - own, abs=1e-6)


def test_what_cannot_be_mixed_is_refused() -> None:
    assert mixer(noise_run()) is None
    with pytest.raises(ValueError, match="data: expected no mixing for tasks other than"):
        mixer(dataclasses.replace(mixing_run(mixup=1.0), task="masked"))
    mix = mixer(mixing_run(mixup=1.0))
    assert mix is not None
    with pytest.raises(ValueError, match=r"pairs of images on every rank \(mixing\), got 3"):
        mix({name: value[:3] for name, value in constant_batch().items()}, 0)
    with pytest.raises(ValueError, match="cutmix: expected a number of at least 0"):
        mixing_run(cutmix=-1.0)
