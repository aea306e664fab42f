"""Training crops: fixed places, augmentation with real pixels, and all from (seed, step) alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from kornia import augmentation as kornia

from experiments.core.augmentation import (
    RandomColours,
    RandomZoom,
    TrainingCrops,
    augmentation,
)
from experiments.core.config import AUGMENTATIONS, DataConfig, OptimizerConfig, RunConfig
from experiments.core.folder import RunFolder
from experiments.core.training import AbandonedError, train
from wavevit.data import Scenes
from wavevit.models import BackboneConfig, make_stages

CPU = torch.device("cpu")


def test_without_augmentation_crops_are_those_of_scenes() -> None:
    data = DataConfig()
    images, labels = TrainingCrops(data, CPU).batch(18, 5)
    expected = Scenes("train", 64).sample(18, torch.Generator().manual_seed(5))
    assert torch.equal(images, expected.images)
    assert torch.equal(labels, expected.labels)


def test_fixed_places_are_few_and_crops_are_the_windows_middles() -> None:
    crops = TrainingCrops(DataConfig(places=3), CPU)
    assert crops.windows is not None
    seen: dict[int, set[tuple[int, ...]]] = {}
    for seed in range(12):
        batch = crops.windows.draw(72, torch.Generator().manual_seed(seed))
        for label, corner in zip(batch.labels.tolist(), batch.corners.tolist(), strict=True):
            seen.setdefault(label, set()).add(tuple(corner))
    assert len(seen) == 18
    assert all(4 < len(places) <= 9 for places in seen.values())
    images, _ = crops.batch(18, 0)
    windows = Scenes("train", 64, 16, places=3).sample(18, torch.Generator().manual_seed(0))
    torch.testing.assert_close(images, Scenes("train", 64, 16).center(windows.images))


@pytest.mark.parametrize("name", [*AUGMENTATIONS, "all"])
def test_augmentations_show_pixels_of_the_window_only(name: str) -> None:
    """No pixel is a padded zero: constants stay; without a zoom no value is new."""
    names = AUGMENTATIONS if name == "all" else (name,)
    augment = augmentation(DataConfig(augmentation=names))
    torch.manual_seed(1)
    windows = 1 + torch.rand(64, 1, 96, 96)
    crops = augment(windows)
    assert crops.shape == (64, 1, 64, 64)
    assert not torch.equal(crops, windows[..., 16:80, 16:80])
    if "resize" not in names:
        assert crops.min() >= 1
        assert crops.max() <= 2
    levels = torch.arange(1.0, 65.0)[:, None, None, None]
    constant = augment(levels.expand(64, 1, 96, 96))
    torch.testing.assert_close(constant, levels.expand(64, 1, 64, 64))


@pytest.mark.parametrize("names", [("resize",), ("resize", "translate")])
def test_zoom_does_not_alias(names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is finer than the crop's pixels is gone; bilinear samples make other patterns of it."""
    monkeypatch.setattr("experiments.core.augmentation._ZOOM", (0.8, 0.8))
    place = torch.arange(96)
    board = ((place[:, None] + place) % 2).float().expand(8, 1, 96, 96)
    stripes = (place % 2).float().expand(8, 1, 96, 96)
    augment = augmentation(DataConfig(augmentation=names))
    inner = (..., slice(8, -8), slice(8, -8))  # the border has half of the filter
    assert float(augment(board)[inner].std()) < 0.002
    assert float(augment(stripes)[inner].std()) < 0.02
    bilinear = kornia.RandomAffine(degrees=0.0, scale=(0.8, 0.8), p=1.0)
    assert float(bilinear(board)[..., 16:80, 16:80].std()) > 0.1, "negative control"
    assert float(bilinear(stripes)[..., 16:80, 16:80].std()) > 0.2, "negative control"


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_zoom_shows_what_the_crop_can_hold(factor: float) -> None:
    """Waves longer than the crop's pixels resolve are those of the scene, at the new size."""
    place = torch.arange(96) - 47.5
    scene = (
        torch.cos(2 * torch.pi * place / 6 + 0.3) * torch.sin(2 * torch.pi * place / 11)[:, None]
    )
    found = RandomZoom(64, (factor, factor))(scene.expand(2, 1, 96, 96))
    seen = (torch.arange(64) - 31.5) / factor
    expected = (
        torch.cos(2 * torch.pi * seen / 6 + 0.3) * torch.sin(2 * torch.pi * seen / 11)[:, None]
    )
    torch.testing.assert_close(found[1, 0], expected, atol=0.01, rtol=0)


def test_each_augmentation_does_what_its_name_says() -> None:
    torch.manual_seed(0)
    windows = torch.rand(64, 1, 96, 96)
    middle = windows[..., 16:80, 16:80]
    flipped = augmentation(DataConfig(augmentation=("flip",)))(windows)
    same = (flipped == middle).flatten(1).all(1)
    mirrored = (flipped == middle.flip(-1)).flatten(1).all(1)
    assert bool((same ^ mirrored).all())
    assert 16 < int(mirrored.sum()) < 48
    moved = augmentation(DataConfig(augmentation=("translate",)))(windows)
    places = {
        (dy, dx)
        for crop, window in zip(moved, windows, strict=True)
        for dy in range(-6, 7)
        for dx in range(-6, 7)
        if torch.equal(crop, window[:, 16 + dy : 80 + dy, 16 + dx : 80 + dx])
    }
    assert len(places) > 40  # whole pixels, so each crop is found among the 169 places
    ramp = torch.linspace(0, 1, 96).expand(64, 1, 96, 96)
    slopes = augmentation(DataConfig(augmentation=("resize",)))(ramp).diff(dim=-1).mean((1, 2, 3))
    zooms = (1 / 95) / slopes
    assert 0.8 <= float(zooms.min()) < 0.9
    assert 1.15 < float(zooms.max()) <= 1.26


MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def coloured(names: tuple[str, ...], pixels: torch.Tensor) -> torch.Tensor:
    """Pixels in [0, 1] after changes of colours, in [0, 1] again."""
    mean, std = (torch.tensor(value).reshape(-1, 1, 1) for value in (MEAN, STD))
    return RandomColours(names, MEAN, STD)((pixels - mean) / std) * std + mean


def test_three_changes_of_colours_one_for_each_crop() -> None:
    """One crop in noise of two levels, many times: grey, inverted above a half, or blurred."""
    torch.manual_seed(0)
    pixel = torch.rand(1, 3, 24, 24)
    found = coloured(("three",), pixel.expand(60, -1, -1, -1))
    grey = (found - found[:, :1]).abs().amax(dim=(1, 2, 3)) < 1e-5
    inverted = (found - torch.where(pixel >= 0.5, 1 - pixel, pixel)).abs().amax((1, 2, 3)) < 1e-5
    others = ~(grey | inverted)
    assert min(int(kind.sum()) for kind in (grey, inverted, others)) > 8
    close = (found[others].mean(dim=(2, 3)) - pixel.mean(dim=(2, 3))).abs()
    assert float(close.max()) < 0.02
    spread = found[others].std(dim=(1, 2, 3))
    assert bool((spread <= pixel.std() * 1.001).all())
    assert float(spread.max() / spread.min()) > 1.5  # each crop has a width of its own
    assert not torch.equal(found[0], coloured(("three",), pixel)[0])


def test_jitter_changes_brightness_contrast_and_saturation() -> None:
    torch.manual_seed(0)
    pixels = 0.3 + 0.3 * torch.rand(1, 3, 16, 16)
    found = coloured(("jitter",), pixels.expand(40, -1, -1, -1))
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1 + 1e-6
    for figure in (
        found.mean(dim=(1, 2, 3)),
        found.std(dim=(1, 2, 3)),
        found.std(dim=1).mean((1, 2)),
    ):
        assert float(figure.max() / figure.min()) > 1.2
    assert float((found.mean(dim=(1, 2, 3)) / pixels.mean()).max()) < 1.35


def test_colours_are_refused_where_pixels_cannot_be_brought_back() -> None:
    data = DataConfig(augmentation=("flip", "three"))
    expected = "augmentation: expected none of colours, or mean and std among the source_options"
    with pytest.raises(ValueError, match=expected):
        augmentation(data)
    known = {"mean": MEAN, "std": STD}
    crops = augmentation(dataclasses.replace(data, source_options=known))(torch.randn(2, 3, 96, 96))
    assert crops.shape == (2, 3, 64, 64)
    with pytest.raises(ValueError, match="crops: expected 3 channels, got 1"):
        RandomColours(("jitter",), 0.5, 0.5)(torch.zeros(2, 1, 8, 8))


def test_crops_follow_from_the_seed_alone() -> None:
    data = DataConfig(places=3, augmentation=AUGMENTATIONS)
    crops = TrainingCrops(data, CPU)
    first = crops.batch(18, 7)[0]
    crops.batch(18, 8)
    torch.rand(5)
    assert torch.equal(crops.batch(18, 7)[0], first)
    assert not torch.equal(crops.batch(18, 8)[0], first)


def test_a_stopped_augmented_run_continues_to_equal_bits(tmp_path: Path) -> None:
    config = RunConfig(
        model=BackboneConfig(
            img_size=16,
            in_chans=1,
            num_classes=18,
            patch_size=8,
            drop_path_rate=0.1,
            stages=make_stages(depths=[1], embed_dims=[8], num_heads=1),
        ),
        data=DataConfig(crop_size=16, places=2, augmentation=AUGMENTATIONS),
        optimizer=OptimizerConfig(steps=6, batch_size=8, warmup_steps=1),
        checkpoint_every=2,
    )
    weights = []
    wanted = iter([True, True, True, False])
    for name in ("stopped", "whole"):
        folder = RunFolder(tmp_path / name)
        folder.claim(config)
        if name == "stopped":
            with pytest.raises(AbandonedError):
                train(config, folder, CPU, still_wanted=lambda: next(wanted))
        train(config, folder, CPU)
        weights.append(folder.weights.read_bytes())
    assert weights[0] == weights[1]


def test_configurations_survive_json_and_are_checked() -> None:
    run = RunConfig(
        model=BackboneConfig(
            img_size=16,
            in_chans=1,
            num_classes=18,
            stages=make_stages(depths=[1], embed_dims=[8], num_heads=1),
        ),
        data=DataConfig(places=3, augmentation=("flip",)),
    )
    plain = run.to_dict()
    assert RunConfig.from_dict(plain) == run
    assert RunConfig.from_dict(plain | {"data": {**plain["data"], "augmentation": ["flip"]}}) == run
    with pytest.raises(ValueError, match="augmentation: expected one of 'translate'"):
        dataclasses.replace(run.data, augmentation=("mixup",))
    with pytest.raises(ValueError, match="places: expected an integer of at least 0"):
        dataclasses.replace(run.data, places=-1)


@pytest.mark.parametrize(
    ("zoom", "windows", "message"),
    [
        ((1.25, 0.8), torch.rand(2, 1, 96, 96), "^zoom: expected positive factors, the smallest"),
        ((0.0, 1.0), torch.rand(2, 1, 96, 96), "^zoom: expected positive factors"),
        ((0.8, 1.25), torch.rand(2, 1, 72, 72), "^windows: expected squares of at least 80 pixels"),
        ((0.8, 1.25), torch.rand(2, 1, 96, 80), "^windows: expected squares"),
        ((0.8, 1.25), torch.rand(3, 96, 96), "^windows: expected 4 dimensions"),
        ((0.8, 1.25), torch.zeros(2, 1, 96, 96, dtype=torch.uint8), "^windows: .* floating dtype"),
    ],
)
def test_bad_windows_are_refused_by_the_zoom(
    zoom: tuple[float, float], windows: torch.Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        RandomZoom(64, zoom)(windows)
