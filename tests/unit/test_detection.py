"""Detection: boxes, average precision, box jitter, and batches that are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from wavevit.tasks import Task, create_task
from wavevit.tasks.average_precision import average_precision
from wavevit.tasks.box_jitter import box_jitter
from wavevit.tasks.boxes import box_iou, giou_loss, nms

CLASSES = 3


@pytest.fixture(scope="module")
def task() -> Task:
    torch.manual_seed(0)
    return create_task(
        "detection", "test_haar_pyramid", num_classes=CLASSES, img_size=32, in_chans=1
    )


def integer_boxes(count: int, seed: int, side: int = 24) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    low = torch.randint(side - 4, (count, 2), generator=generator)
    high = low + 1 + (torch.rand(count, 2, generator=generator) * (side - 1 - low)).long()
    return torch.cat([low, high], dim=1).float()


def pixels(boxes: Tensor, side: int = 24) -> Tensor:
    masks = torch.zeros(len(boxes), side, side, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes.long().tolist(), strict=True):
        mask[top:bottom, left:right] = True
    return masks


def test_iou_is_that_of_the_pixels() -> None:
    first, second = integer_boxes(20, 0), integer_boxes(15, 1)
    a, b = pixels(first)[:, None], pixels(second)[None]
    expected = (a & b).flatten(2).sum(2) / (a | b).flatten(2).sum(2)
    assert torch.allclose(box_iou(first, second), expected)
    assert box_iou(torch.zeros(1, 4), torch.zeros(1, 4)).tolist() == [[0.0]]


def test_giou_loss_by_hand() -> None:
    box = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    far = torch.tensor([[4.0, 0.0, 6.0, 2.0]])
    half = torch.tensor([[1.0, 0.0, 3.0, 2.0]])
    assert giou_loss(box, box).item() == pytest.approx(0)
    assert giou_loss(box, far).item() == pytest.approx(1 + (12 - 8) / 12)
    assert giou_loss(box, half).item() == pytest.approx(1 - 2 / 6)


@pytest.mark.parametrize("threshold", [0.2, 0.6])
def test_nms_keeps_the_best_of_each_cluster(threshold: float) -> None:
    generator = torch.Generator().manual_seed(2)
    boxes, scores = integer_boxes(60, 4), torch.rand(60, generator=generator)
    classes = torch.randint(2, (60,), generator=generator)
    kept = nms(boxes, scores, classes, threshold).tolist()
    assert scores[kept].tolist() == sorted(scores[kept].tolist(), reverse=True)
    clash = (box_iou(boxes, boxes) > threshold) & (classes[:, None] == classes)
    assert 2 < len(kept) < 60
    for index in range(60):
        stronger = [k for k in kept if clash[index, k] and scores[k] > scores[index]]
        assert bool(stronger) != (index in kept)
    assert nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0).long(), 0.5).tolist() == []


def answers(shift: float = 0.0, found: bool = True) -> dict[str, list[Tensor]]:
    true = [integer_boxes(4, seed, 60) + torch.tensor([0.0, 0.0, 4.0, 4.0]) for seed in range(5)]
    labels = [torch.arange(4) % CLASSES for _ in true]
    none: list[Tensor] = [torch.zeros(0, 4) for _ in true]
    return {
        "boxes": [boxes + shift for boxes in true] if found else none,
        "scores": [torch.ones(4 if found else 0) for _ in true],
        "classes": labels if found else [torch.zeros(0).long() for _ in true],
        "true_boxes": true,
        "true_classes": labels,
    }


def test_average_precision_of_perfect_worse_and_no_answers() -> None:
    def score(**kind: Any) -> dict[str, float]:
        return average_precision(answers(**kind), CLASSES, (16, 32), 100)

    assert score() == dict.fromkeys(score(), pytest.approx(100))
    worse = score(shift=1.5)
    assert 5 < worse["AP"] < 95
    assert worse["AP75"] <= worse["AP50"]
    assert score(found=False)["AP"] == 0
    empty = answers(found=False)
    empty["true_boxes"], empty["true_classes"] = empty["boxes"], empty["classes"]
    assert math.isnan(average_precision(empty, CLASSES, (16, 32), 100)["AP"])


def test_average_precision_by_hand() -> None:
    """One of two objects is found by the better-ranked box: precision 1 up to recall one half."""
    box, other = torch.tensor([[4.0, 4.0, 20.0, 20.0]]), torch.tensor([[30.0, 30.0, 50.0, 50.0]])
    results = {
        "boxes": [torch.cat([box, other + 25])],
        "scores": [torch.tensor([0.9, 0.8])],
        "classes": [torch.tensor([0, 0])],
        "true_boxes": [torch.cat([box, other])],
        "true_classes": [torch.tensor([0, 0])],
    }
    found = average_precision(results, 1, (18, 32), 100)
    assert found["AP"] == pytest.approx(100 * 51 / 101)
    assert found["AP_small"] == pytest.approx(100)
    assert found["AP_medium"] == 0
    assert math.isnan(found["AP_large"])


def jitter(first: list[list[float]], second: list[list[float]], shift: tuple[int, int]):
    one, two = (torch.tensor(item).reshape(-1, 4) for item in (first, second))
    kinds = torch.zeros(len(one)).long(), torch.zeros(len(two)).long()
    return box_jitter((one, kinds[0]), (two, kinds[1]), shift, (64, 64))


@pytest.mark.parametrize("shift", [(0, 0), (0, 4), (-3, 0), (2, -8)])
def test_jitter_is_the_movement_beyond_the_shift(shift: tuple[int, int]) -> None:
    down, right = shift
    box = [20.0, 20.0, 40.0, 40.0]
    exact = [20.0 - right, 20.0 - down, 40.0 - right, 40.0 - down]
    assert jitter([box], [exact], shift) == (0, 0)
    off = [exact[0] + 3, exact[1] + 4, exact[2], exact[3]]
    assert jitter([box], [off], shift) == (pytest.approx(2.5), 0)


def test_jitter_counts_boxes_without_partner_that_both_crops_show() -> None:
    box, far = [20.0, 20.0, 40.0, 40.0], [2.0, 45.0, 12.0, 60.0]
    moved, unmatched = jitter([box, far], [box], (0, 0))
    assert (moved, unmatched) == (0, pytest.approx(100 / 3))
    # The second crop starts 8 pixels to the right: it does not show all of the other box.
    moved, unmatched = jitter([box, far], [[12.0, 20.0, 32.0, 40.0]], (0, 8))
    assert (moved, unmatched) == (0, 0)
    assert all(map(math.isnan, jitter([], [], (0, 1))))
    assert math.isnan(jitter([box], [], (0, 1))[0])
    assert jitter([box], [], (0, 1))[1] == 100


def test_boxes_of_another_class_are_no_partners() -> None:
    box = torch.tensor([[20.0, 20.0, 40.0, 40.0]])
    first, second = (box, torch.tensor([0])), (box, torch.tensor([1]))
    assert box_jitter(first, second, (0, 0), (64, 64))[1] == 100


def test_compare_uses_boxes_of_sufficient_score(task: Task) -> None:
    box = torch.tensor([[8.0, 8.0, 20.0, 20.0]])
    results = {
        "boxes": [box, box],
        "scores": [torch.tensor([0.9]), torch.tensor([0.1])],
        "classes": [torch.tensor([0])] * 2,
        "sizes": torch.tensor([[32, 32]] * 2),
    }
    compared = task.compare(results, results, (0, 0))
    assert compared["box_shift"][0] == compared["unmatched"][0] == 0
    assert compared["box_shift"][1].isnan()


def test_answers_are_ranked_boxes_inside_the_image(task: Task) -> None:
    found = task.eval().predict(task.dummy_batch(3))
    for boxes, scores, classes in zip(
        found["boxes"], found["scores"], found["classes"], strict=True
    ):
        assert 0 < len(boxes) <= 100
        assert boxes.min() >= 0
        assert boxes.max() <= 32
        assert (boxes[:, 2:] >= boxes[:, :2]).all()
        assert scores.tolist() == sorted(scores.tolist(), reverse=True)
        assert classes.max() < CLASSES


def test_images_without_objects_are_learned(task: Task) -> None:
    batch = task.dummy_batch(2)
    batch["boxes"] = [torch.zeros(0, 4)] * 2
    batch["labels"] = [torch.zeros(0).long()] * 2
    losses = task.train().loss(batch)
    losses.total.backward()
    assert losses.parts["boxes"] == losses.parts["centerness"] == 0
    assert losses.parts["classes"] > 0
    assert all(p.grad is not None for _, p in task.trainable())


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([[1.0, 1.0, 40.0, 8.0]], "inside the picture of 32 x 32"),
        ([[-1.0, 1.0, 4.0, 8.0]], "inside the picture"),
        ([[4.0, 1.0, 4.0, 8.0]], "left < right"),
        ([[4.0, math.nan, 8.0, 8.0]], "finite"),
        ([[1.0, 2.0, 3.0]], r"shape \(n, 4\)"),
    ],
)
def test_bad_boxes_are_refused(task: Task, boxes: list[list[float]], words: str) -> None:
    batch = task.dummy_batch(2)
    batch["boxes"][1] = torch.tensor(boxes)
    batch["labels"][1] = torch.zeros(1).long()
    with pytest.raises(ValueError, match=rf"batch\['boxes'\]\[1\]: expected .*{words}"):
        task.loss(batch)


def test_other_bad_batches_are_refused(task: Task) -> None:
    batch = task.dummy_batch(2)
    with pytest.raises(ValueError, match=r"batch\['boxes'\]\[0\]: expected a floating tensor"):
        task.loss({**batch, "boxes": [boxes.long() for boxes in batch["boxes"]]})
    with pytest.raises(ValueError, match=r"batch\['boxes'\]: expected a list"):
        task.loss({**batch, "boxes": torch.zeros(2, 4)})
    with pytest.raises(ValueError, match=r"batch\['boxes'\]: expected 2 entries"):
        task.loss({**batch, "boxes": batch["boxes"][:1]})
    with pytest.raises(ValueError, match=r"batch\['labels'\]: expected shape"):
        task.loss({**batch, "labels": [labels[:0] for labels in batch["labels"]]})
    with pytest.raises(ValueError, match=r"batch\['labels'\]: expected classes from 0 to 2"):
        task.loss({**batch, "labels": [labels + 3 for labels in batch["labels"]]})
    with pytest.raises(ValueError, match=r"batch\['labels'\]: expected a list"):
        task.loss({**batch, "labels": torch.zeros(2).long()})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strides": (8, 4)}, "strides: expected at least one stride, ascending"),
        ({"strides": ()}, "strides: expected at least one"),
        ({"strides": (6, 16)}, "strides: expected a power of two"),
        ({"strides": (4, 8)}, "strides: expected one of at least 16"),
        ({"nms": 1.5}, "nms: expected"),
        ({"small": 40.0}, "small: expected"),
        ({"reach": 0.0}, "reach: expected"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        create_task("detection", "test_haar_pyramid", options, num_classes=2)


def test_a_number_of_classes_is_needed() -> None:
    with pytest.raises(ValueError, match="num_classes: expected at least 1"):
        create_task("detection", "test_vit", num_classes=0)
    assert create_task("detection", "test_vit", {"num_classes": 2}, num_classes=0)
