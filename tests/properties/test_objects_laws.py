"""Objects: boxes and masks are exact, move with the crop, and test photographs are never trained
on."""

from __future__ import annotations

import math

import pytest
import torch

from wavevit.data import Objects, Places, boxes_of_masks, create_source
from wavevit.data.shapes import SHAPES, Placed, levels, outline


def objects(split: str = "test", **options: object) -> Objects:
    return Objects(split, 48, 12, **options)


def test_boxes_are_the_exact_extents_of_masks() -> None:
    masks = torch.zeros(2, 10, 12, dtype=torch.bool)
    masks[0, 3:5, 2:9] = True
    masks[1, 0, 0] = masks[1, 9, 11] = True
    assert boxes_of_masks(masks).tolist() == [[2, 3, 9, 5], [0, 0, 12, 10]]
    with pytest.raises(ValueError, match="masks: expected at least one pixel"):
        boxes_of_masks(masks & False)
    with pytest.raises(ValueError, match="masks: expected booleans"):
        boxes_of_masks(masks.int())


def test_equal_seeds_give_equal_batches() -> None:
    one, again, other = (
        objects().sample(3, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one["images"], again["images"])
    assert all(map(torch.equal, one["boxes"], again["boxes"]))
    assert not torch.equal(one["images"], other["images"])


@pytest.mark.parametrize("shift", [(0, 0), (12, -12), (-5, 7)])
def test_boxes_and_masks_move_with_the_crop(shift: tuple[int, int]) -> None:
    source = objects(visible=0.4, least_side=6)
    windows = source.sample(12, torch.Generator().manual_seed(0))
    crops = source.crop(windows, shift)
    top, left = 12 + shift[0], 12 + shift[1]
    rows, columns = slice(top, top + 48), slice(left, left + 48)
    assert torch.equal(crops["images"], windows["images"][..., rows, columns])
    shown = 0
    for index in range(12):
        masks, boxes = crops["masks"][index], crops["boxes"][index]
        assert len(masks) == len(boxes) == len(crops["labels"][index])
        shown += len(masks)
        if len(masks):
            assert torch.equal(boxes, boxes_of_masks(masks))
            assert boxes.min() >= 0
            assert boxes.max() <= 48
            assert (boxes[:, 2:] - boxes[:, :2]).min() >= 6
            assert masks.sum(0).max() == 1, "two objects claim a pixel"
        # Each object of the crop is one of the window, moved, clipped and seen enough.
        cut = windows["masks"][index][:, rows, columns]
        seen = cut.flatten(1).sum(1)
        kept = (seen > 0) & (seen >= 0.4 * windows["whole"][index])
        for mask, keep in zip(cut, kept, strict=True):
            known = [bool(torch.equal(mask, own)) for own in masks]
            wide = bool(keep) and bool(
                (boxes_of_masks(mask[None])[0].view(2, 2).diff(dim=0) >= 6).all()
            )
            assert any(known) == wide
    assert shown > 12


def test_a_box_inside_both_crops_moves_by_the_shift_exactly() -> None:
    source = objects(count=3.0, sides=(10, 20))
    windows = source.sample(20, torch.Generator().manual_seed(5))
    first, second = source.crop(windows), source.crop(windows, (4, 7))
    pairs = 0
    for boxes, others in zip(first["boxes"], second["boxes"], strict=True):
        inside = ((boxes[:, :2] > 8) & (boxes[:, 2:] < 47)).all(1)
        for box in boxes[inside] - torch.tensor([7.0, 4.0, 7.0, 4.0]):
            assert (others == box).all(1).any()
            pairs += 1
    assert pairs > 5


@pytest.mark.parametrize("margin", [0, 16])
def test_a_crop_has_as_many_objects_with_any_margin(margin: int) -> None:
    source = Objects("train", 32, margin, count=3.0, sides=(8, 16))
    generator, rounds, found = torch.Generator().manual_seed(margin), 600, 0
    for _ in range(rounds):
        for one in source._place(generator):
            found += margin <= min(one.row, one.column) and max(one.row, one.column) < margin + 32
    assert found / rounds == pytest.approx(3.0, abs=0.25)


def test_photographs_of_the_test_are_in_no_other_split() -> None:
    test = set(objects("test").scenes.classes)
    for split in ("train", "fit", "validation"):
        assert not test & set(Objects(split, 48).scenes.classes)
    assert len(test) == 6


def test_pixels_of_objects_are_the_same_pictures_with_classes() -> None:
    options = {"split": "test", "crop_size": 48, "margin": 12}
    boxes, pixels = (create_source(name, **options) for name in ("objects", "object_pixels"))
    one, two = (source.sample(4, torch.Generator().manual_seed(2)) for source in (boxes, pixels))
    assert torch.equal(one["images"], two["images"])
    for masks, labels, classes in zip(one["masks"], one["labels"], two["labels"], strict=True):
        for mask, label in zip(masks, labels, strict=True):
            assert (classes[mask] == label + 1).all()
    moved = pixels.crop(two, (3, -4))
    assert torch.equal(moved["labels"], two["labels"][:, 15:63, 8:56])
    assert torch.equal(moved["images"], two["images"][..., 15:63, 8:56])
    assert pixels.num_classes == len(SHAPES) + 1


@pytest.mark.parametrize("shape", SHAPES)
def test_outlines_are_smooth_and_reach_one(shape: str) -> None:
    angle = torch.linspace(0, 2 * math.pi, 10_001, dtype=torch.float64)
    radius = outline(shape, angle)
    assert radius.max() == pytest.approx(1, abs=1e-3)
    assert radius.min() > 0.3
    steps = radius.diff().abs() / (angle[1] - angle[0])
    assert steps.max() < 3
    areas = (
        levels([Placed(SHAPES.index(shape), 32, 32, 20, 0.7, a) for a in (0.0, 1.0)], 64, 64) > 0
    )
    one, two = areas.flatten(1).sum(1).tolist()
    assert one == pytest.approx(two, rel=0.05), "a turned shape has the same area"


def test_bad_options_are_refused() -> None:
    for options, words in (
        ({"count": 0.0}, "count: expected a positive number"),
        ({"sides": (20.0, 10.0)}, "sides: expected two diameters"),
        ({"visible": 0.0}, "visible: expected a share"),
        ({"least_side": 0}, "least_side"),
    ):
        with pytest.raises(ValueError, match=words):
            objects(**options)
    with pytest.raises(ValueError, match="shift: expected at most 12"):
        objects().crop(objects().sample(1, torch.Generator().manual_seed(0)), (13, 0))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_two_crops_of_a_place_are_near_and_inside_the_split(split: str) -> None:
    source = Places(split, 48, 4)
    batch = source.sample(2 * source.num_classes, torch.Generator().manual_seed(0))
    labels, corners = batch["labels"], batch["corners"]
    assert batch["images"].shape == (len(labels), 1, 56, 56)
    assert (labels[0::2] == labels[1::2]).all()
    assert len(labels.unique()) == source.num_classes >= 18
    photographs = torch.tensor([source.places[label][0] for label in labels.tolist()])
    for photograph, (row, column) in zip(photographs.tolist(), corners.tolist(), strict=True):
        top, bottom, left, right = source.scenes.region(photograph)
        assert top <= row <= bottom - 56
        assert left <= column <= right - 56
    apart = (corners[:, None] - corners[None]).abs().amax(-1)
    same = labels[:, None] == labels
    others = (photographs[:, None] == photographs) & ~same
    assert apart[same].max() <= 2 * source.jitter == 18
    assert apart[others].min() > 0, "crops of two places are never the same"
    with pytest.raises(ValueError, match="count: expected an even number"):
        source.sample(3, torch.Generator())
    with pytest.raises(ValueError, match="jitter: expected a share"):
        Places(split, 48, jitter=0.25)


def test_crops_of_places_are_pixels_of_the_photograph() -> None:
    source = Places("test", 48, 4)
    batch = source.sample(6, torch.Generator().manual_seed(3))
    for image, label, (row, column) in zip(
        batch["images"], batch["labels"].tolist(), batch["corners"].tolist(), strict=True
    ):
        pixels = source.scenes.photograph(source.places[label][0])
        window = pixels[row : row + 56, column : column + 56]
        assert torch.equal(image, source.scenes.normalized(window[None]))
