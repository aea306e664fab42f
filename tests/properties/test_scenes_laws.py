"""No test pixel is ever trained on; equal seeds give equal data and weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import wavevit
from tests.examples import examples
from wavevit.data import Scenes, load_photograph
from wavevit.data.photographs import NAMES

FEW = examples(daily=15)


def boxes(scenes: Scenes, seed: int) -> list[tuple[int, int, int, int, int]]:
    """(label, top, bottom, left, right) of what was drawn, in photograph pixels."""
    batch = scenes.sample(2 * len(scenes.classes), torch.Generator().manual_seed(seed))
    return [
        (int(label), int(row), int(row) + scenes.window, int(column), int(column) + scenes.window)
        for label, (row, column) in zip(batch.labels, batch.corners, strict=True)
    ]


@FEW
@given(
    crop=st.integers(8, 80),
    margin=st.integers(0, 24),
    short=st.sampled_from([200, 256, 400]),
    seed=st.integers(0, 2**31),
)
def test_train_and_test_pixels_never_overlap(crop: int, margin: int, short: int, seed: int) -> None:
    if crop + 2 * margin > 96:
        return
    train = boxes(Scenes("train", crop, margin, max_short_side=short), seed)
    test = boxes(Scenes("test", crop, margin, max_short_side=short), seed + 1)
    rightmost = {label: max(b[4] for b in train if b[0] == label) for label, *_ in train}
    for label, _, _, left, _ in test:
        if label in rightmost:
            assert left >= rightmost[label]


@FEW
@given(crop=st.integers(8, 64), seed=st.integers(0, 2**31))
def test_designs_are_chosen_inside_the_training_half(crop: int, seed: int) -> None:
    """No fit pixel is validated on, and no test pixel is in either."""
    splits = {split: Scenes(split, crop) for split in ("train", "fit", "validation")}
    fit, validation = boxes(splits["fit"], seed), boxes(splits["validation"], seed + 1)
    for label, *_ in validation:
        lowest = max((b[2] for b in fit if b[0] == label), default=0)
        assert all(b[1] >= lowest for b in validation if b[0] == label)
    for label, top, bottom, left, right in fit + validation:
        region = splits["train"].region(label)
        assert region[0] <= top < bottom <= region[1]
        assert region[2] <= left < right <= region[3]


@pytest.mark.parametrize("parts", [("train", "test"), ("fit", "validation", "test")])
def test_parts_cover_the_photograph_once(parts: tuple[str, ...]) -> None:
    for label in range(len(NAMES)):
        seen = torch.zeros(Scenes("train").photograph(label).shape)
        for split in parts:
            top, bottom, left, right = Scenes(split).region(label)
            seen[top:bottom, left:right] += 1
        assert bool((seen == 1).all())


def test_negative_control_overlapping_windows_are_detected() -> None:
    """Negative control: the same check on two draws of one split finds the overlap."""
    first, second = boxes(Scenes("train"), 0), boxes(Scenes("train"), 1)
    rightmost = {label: max(b[4] for b in first if b[0] == label) for label, *_ in first}
    assert any(left < rightmost[label] for label, _, _, left, _ in second)


@FEW
@given(seed=st.integers(0, 2**31), count=st.integers(1, 40))
def test_same_seed_same_data(seed: int, count: int) -> None:
    scenes = Scenes("test", margin=8)
    one = scenes.sample(count, torch.Generator().manual_seed(seed))
    two = scenes.sample(count, torch.Generator().manual_seed(seed))
    for left, right in zip(one, two, strict=True):
        assert torch.equal(left, right)
    other = scenes.sample(count, torch.Generator().manual_seed(seed + 1))
    assert not torch.equal(one.images, other.images)


@pytest.mark.parametrize("name", ["test_vit", "test_haar_vit", "test_haar_pyramid"])
def test_same_seed_same_weights(name: str) -> None:
    models = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        models.append(wavevit.create_model(name).state_dict())
    same, again, other = models
    assert all(torch.equal(same[key], again[key]) for key in same)
    assert any(not torch.equal(same[key], other[key]) for key in same)


def test_crops_are_normalised_and_windows_hold_them() -> None:
    scenes = Scenes("test", crop_size=48, margin=10)
    batch = scenes.sample(36, torch.Generator().manual_seed(0))
    assert batch.images.shape == (36, 1, 68, 68)
    crops = scenes.center(batch.images)
    torch.testing.assert_close(crops.mean((1, 2, 3)), torch.zeros(36), rtol=0, atol=1e-4)
    contrast = crops.std((1, 2, 3), correction=0)
    assert bool((contrast <= 1).all())
    assert bool((contrast > 0.05).all())
    assert torch.equal(torch.bincount(batch.labels), torch.full((18,), 2))


def test_a_window_is_cut_from_its_photograph() -> None:
    scenes = Scenes("test", crop_size=32, margin=4)
    batch = scenes.sample(5, torch.Generator().manual_seed(2))
    for image, label, (row, column) in zip(*batch, strict=True):
        pixels = scenes.photograph(int(label))[row : row + 40, column : column + 40]
        torch.testing.assert_close(scenes.normalized(pixels[None, None])[0], image)


@pytest.mark.parametrize("name", NAMES)
def test_bundled_photographs_load(name: str) -> None:
    image = load_photograph(name)
    assert image.dtype == torch.float32
    assert min(image.shape) <= 256
    assert 0 <= float(image.min()) < float(image.max()) <= 1


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"split: expected one of 'train', 'test'.*got 'tset'"):
        Scenes("tset")
    with pytest.raises(ValueError, match=r"name: .*nearest: astronaut"):
        load_photograph("astronout")
    with pytest.raises(ValueError, match=r"crop_size \+ 2 \* margin: .*got 264"):
        Scenes("train", crop_size=200, margin=32)
    with pytest.raises(ValueError, match="classes: expected a sequence of photographs, got 'cat'"):
        Scenes("train", classes="cat")
    with pytest.raises(ValueError, match="classes: expected photographs that are all different"):
        Scenes("train", classes=("cat", "cat"))
    with pytest.raises(ValueError, match="max_short_side: expected an integer of at least 1"):
        load_photograph("cat", 0)


@given(st.integers(1, 4), st.integers(0, 2**31))
def test_fixed_places_are_a_grid(places: int, seed: int) -> None:
    """At most `places` rows and columns of each photograph, whatever the seed; never the same few
    from anywhere."""
    generator = torch.Generator().manual_seed(seed)
    batch = Scenes("train", 64, places=places).sample(180, generator)
    for label in batch.labels.unique():
        corners = batch.corners[batch.labels == label]
        assert all(len(axis.unique()) <= places for axis in corners.T)
    free = Scenes("train", 64).sample(180, torch.Generator().manual_seed(seed))
    assert len(free.corners[free.labels == 0].unique(dim=0)) > 4
    assert torch.equal(free.labels, batch.labels)


def test_a_draw_is_a_sample_before_it_is_normalised() -> None:
    scenes = Scenes("test", 64, 8)
    drawn = scenes.draw(18, torch.Generator().manual_seed(3))
    sampled = scenes.sample(18, torch.Generator().manual_seed(3))
    assert drawn.images.min() >= 0
    assert drawn.images.max() <= 1
    torch.testing.assert_close(scenes.normalized(drawn.images), sampled.images)
