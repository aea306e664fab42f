"""Segmentation: metrics, mask jitter, and batches that are refused."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wavevit.data import Scenes, composites, create_source
from wavevit.models import Backbone, model_config
from wavevit.tasks import Segmentation, Task, create_task, joined
from wavevit.tasks.overlap import overlap
from wavevit.tasks.pixel_metrics import border_length, border_shift, confusion, mean_iou

CLASSES = 3


@pytest.fixture(scope="module")
def task() -> Task:
    torch.manual_seed(0)
    return create_task(
        "segmentation", "test_haar_pyramid", num_classes=CLASSES, img_size=32, in_chans=1
    ).eval()


@pytest.mark.parametrize("name", ["test_vit", "test_haar_pyramid"])
def test_weights_of_a_seed_are_those_of_layers_made_in_this_order(name: str) -> None:
    """Records of studies hold for the task: backbone, projections, norm, classifier."""
    config = dataclasses.replace(model_config(name), num_classes=5, img_size=32)
    torch.manual_seed(7)
    backbone = Backbone(config)
    last = {int(e["reduction"]): int(e["num_chs"]) for e in backbone.feature_info}
    first = min(last)
    for stride in sorted(last):
        nn.Conv2d(last[stride], 32 * (first // 4) ** 2 if stride == first else 32, 1)
    classify = nn.Conv2d(32, 5, 1)
    torch.manual_seed(7)
    task = create_task("segmentation", config)
    assert isinstance(task, Segmentation)
    assert torch.equal(task.classify.weight, classify.weight)
    kept = task.backbone.state_dict()
    for key, value in backbone.state_dict().items():
        assert key.startswith("head") or torch.equal(kept[key], value)


def test_confusion_counts_known_pixels_of_each_image() -> None:
    labels = torch.tensor([[[0, 1, 255]], [[2, 2, 2]]])
    answers = torch.tensor([[[0, 2, 1]], [[2, 2, 0]]])
    table = confusion(answers, labels, 3)
    assert table[0].tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert table[1].tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 2]]
    assert mean_iou(table.sum(0).double()) == pytest.approx((1 / 2 + 0 + 2 / 4) / 3)


class Oracle(Segmentation):
    """Answers with a given map."""

    answer: Tensor

    def predict(self, batch: Any) -> dict[str, Any]:
        return {"classes": self.answer}


def test_summary_is_over_all_pixels() -> None:
    oracle = Oracle(
        create_task("segmentation", "test_vit", num_classes=2).backbone,
        Segmentation.Options(num_classes=2),
    )
    labels = torch.zeros(2, 32, 32, dtype=torch.long)
    labels[0, :, 16:] = 1
    batch = {"images": torch.randn(2, 3, 32, 32), "labels": labels}
    oracle.answer = labels.clone()
    perfect = oracle.summarize(oracle.evaluate(batch))
    assert perfect["miou"] == perfect["pixels"] == perfect["border_pixels"] == 100
    assert perfect["border_share"] == pytest.approx(100 * 8 / 64)
    oracle.answer = torch.zeros_like(labels)
    blind = oracle.summarize(oracle.evaluate(batch))
    assert blind["pixels"] == pytest.approx(75)
    assert blind["miou"] == pytest.approx(37.5)
    assert blind["border_pixels"] == pytest.approx(50)


def test_ignored_pixels_count_nowhere(task: Task) -> None:
    batch = task.dummy_batch(2)
    half = {**batch, "labels": batch["labels"].clone()}
    half["labels"][:, :16] = 255
    other = {**half, "labels": half["labels"].clone()}
    assert int(task.evaluate(half)["confusion"].sum()) == 2 * 16 * 32
    logits = task.logits(batch["images"]).detach()
    expected = nn.functional.cross_entropy(logits[..., 16:, :], batch["labels"][:, 16:])
    assert float(task.loss(half).total.detach()) == pytest.approx(float(expected), rel=1e-5)
    other["labels"][:] = 255
    with pytest.raises(ValueError, match=r"batch\['labels'\]: expected at least one pixel"):
        task.loss(other)
    assert math.isnan(task.summarize(task.evaluate(other))["miou"])


@pytest.mark.parametrize("shift", [(0, 0), (2, 3), (-1, 4), (0, -5)])
def test_overlap_is_the_same_place_of_the_image(shift: tuple[int, int]) -> None:
    image = torch.arange(30 * 40).reshape(30, 40)
    first = image[8:20, 8:28]
    second = image[8 + shift[0] : 20 + shift[0], 8 + shift[1] : 28 + shift[1]]
    one, two = overlap(first, second, shift)
    assert torch.equal(one, two)
    assert one.shape == (12 - abs(shift[0]), 20 - abs(shift[1]))
    with pytest.raises(ValueError, match="shift: expected less than the sides"):
        overlap(first, second, (12, 0))


def half_plane(angle: float, offset: float, side: int = 64) -> Tensor:
    middle = torch.arange(side) + 0.5 - side / 2
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return (middle[None] * cos + middle[:, None] * sin > offset).long()[None]


@pytest.mark.parametrize("angle", [0, 20, 45, 70, 90, 135])
@pytest.mark.parametrize("distance", [5.0, 10.0])
def test_border_shift_is_the_distance_of_parallel_lines(angle: float, distance: float) -> None:
    first, second = half_plane(angle, 0.25), half_plane(angle, 0.25 + distance)
    assert border_shift(first, second).item() == pytest.approx(distance, rel=0.12)


@pytest.mark.parametrize("angle", [0, 90])
def test_border_shift_of_one_pixel_is_one(angle: float) -> None:
    moved = border_shift(half_plane(angle, 0.25), half_plane(angle, 1.25))
    assert moved.item() == pytest.approx(1, rel=0.02)


def test_border_shift_edge_cases() -> None:
    line, empty = half_plane(0, 0.0), torch.zeros(1, 64, 64).long()
    assert border_length(line).item() == 63
    assert border_shift(line, line).item() == 0
    assert border_shift(empty, empty).item() == 0
    assert border_shift(empty, empty + 1).isnan()


def test_compare_of_answers_that_move_with_the_image(task: Task) -> None:
    image = torch.randint(CLASSES, (2, 40, 40), generator=torch.Generator().manual_seed(0))
    first, second = {"classes": image[:, 4:36, 4:36]}, {"classes": image[:, 6:38, 1:33]}
    exact = task.compare(first, second, (2, -3))
    assert exact["kept"].tolist() == [100, 100]
    assert exact["border_shift"].tolist() == [0, 0]
    wrong = task.compare(first, second, (2, 3))
    assert wrong["kept"].max() < 60
    assert wrong["border_shift"].min() > 0.3


def test_composites_as_a_source_are_the_same_draws() -> None:
    source = create_source("composites", "test", 48, 8)
    batch = source.sample(6, torch.Generator().manual_seed(3))
    same = composites(Scenes("test", 48, 8), 6, torch.Generator().manual_seed(3))
    assert torch.equal(batch["images"], same.images)
    assert torch.equal(batch["labels"], same.labels)
    moved = source.crop(batch, (3, -2))
    assert torch.equal(moved["labels"], batch["labels"][:, 11:59, 6:54])
    assert torch.equal(moved["images"], batch["images"][..., 11:59, 6:54])
    assert source.num_classes == 18


def test_bad_batches_are_refused(task: Task) -> None:
    batch = task.dummy_batch(2)
    with pytest.raises(ValueError, match=r"batch\['labels'\]: expected shape \(2, 32, 32\)"):
        task.loss({**batch, "labels": batch["labels"][:, :16]})
    with pytest.raises(ValueError, match=r"classes from 0 to 2, or 255 for none"):
        task.loss({**batch, "labels": batch["labels"] + 1})
    with pytest.raises(ValueError, match="a tensor of integers"):
        task.loss({**batch, "labels": batch["labels"].float()})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_classes": 0}, "num_classes: expected an integer of at least 1"),
        ({"num_classes": 300}, "ignore: expected no class: below 0 or at least 300"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        create_task("segmentation", "test_vit", options)


def test_circular_head_needs_whole_cells() -> None:
    options = {"circular": True}
    task = create_task("segmentation", "test_haar_pyramid", options, num_classes=2, in_chans=1)
    with pytest.raises(ValueError, match="images: expected sides that are multiples"):
        task.predict({"images": torch.randn(1, 1, 37, 48)})


@pytest.mark.parametrize("kind", ["segmentation", "detection"])
def test_every_weight_is_used_without_a_pooled_norm(kind: str) -> None:
    """A norm of pooled features would have no gradient, which data-parallel training refuses."""
    changes = {"num_classes": 2, "img_size": 32, "pool": "avg", "fc_norm": True}
    made = create_task(kind, "test_vit", **changes)
    made.loss(made.dummy_batch(2)).total.backward()
    assert [name for name, p in made.trainable() if p.grad is None] == []


def test_results_of_batches_add_up(task: Task) -> None:
    batch = task.dummy_batch(4)
    whole = task.summarize(task.evaluate(batch))
    parts = [task.evaluate({k: v[i : i + 2] for k, v in batch.items()}) for i in (0, 2)]
    assert task.summarize(joined(parts)) == whole


@pytest.mark.parametrize("circular", [False, True])
def test_maps_keep_their_places_where_strides_do_not_divide_the_sides(circular: bool) -> None:
    """An image of 50 x 38 pixels is read as one of 64 x 48 that repeats its border."""
    torch.manual_seed(0)
    options = {"circular": circular}
    task = create_task("segmentation", "test_vit", options, num_classes=3, img_size=64).eval()
    assert isinstance(task, Segmentation)
    images = torch.randn(2, 3, 50, 38)
    padded = nn.functional.pad(images, (0, 10, 0, 14), mode="replicate")
    if circular:
        with pytest.raises(ValueError, match="images: expected sides that are multiples"):
            task.logits(images)
        return
    with torch.no_grad():
        found, whole = task.logits(images), task.logits(padded)
    assert found.shape == (2, 3, 50, 38)
    assert torch.equal(found, whole[..., :50, :38])


@pytest.mark.parametrize("side", [32, 36, 44])
def test_coarse_cells_are_added_where_they_are(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps that hold the places of their cells: the sum holds the places of pixels."""
    task = create_task("segmentation", "test_haar_pyramid", num_classes=2, img_size=32).eval()
    assert isinstance(task, Segmentation)
    assert len(task.strides) > 1
    images = torch.zeros(1, 3, side, side)
    shapes = [item.shape for item in task.maps(images)]

    def places(stride: int, cells: int) -> Tensor:
        return ((torch.arange(cells) + 0.5) * stride - 0.5).expand(1, 1, cells, cells)

    for stride, shape in zip(task.strides, shapes, strict=True):
        assert shape[-1] == -(-side // stride)
        maps = [
            places(one, own[-1]) if one == stride else torch.zeros(1, 1, *own[-2:])
            for one, own in zip(task.strides, shapes, strict=True)
        ]
        monkeypatch.setattr(task, "maps", lambda _, maps=maps: maps)
        for name in ("norm", "classify"):
            monkeypatch.setitem(task._modules, name, nn.Identity())
        monkeypatch.setitem(task._modules, "project", nn.ModuleList(nn.Identity() for _ in maps))
        monkeypatch.setattr(nn.functional, "gelu", lambda x: x)
        found = task.logits(images)[0, 0]
        # Beyond the middle of the first and the last cell the map is constant.
        inner = slice(stride, side - stride)
        wanted = torch.arange(side).float()[inner].expand(side, -1)
        assert torch.allclose(found[:, inner], wanted, atol=1e-3), (stride, side)


def test_rank_whose_pixels_are_all_ignored_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses and gradients of two ranks average to those of the whole batch."""
    torch.manual_seed(0)
    options = {"label_smoothing": 0.1}
    task = create_task("segmentation", "test_vit", options, num_classes=3, img_size=32).double()
    batch = task.dummy_batch(2)
    batch["labels"][1] = 255
    total = task.loss(batch).total
    total.backward()
    whole = {name: p.grad.clone() for name, p in task.trainable() if p.grad is not None}
    known = (batch["labels"] != 255).sum()
    monkeypatch.setattr("wavevit.tasks.segmentation.sum_over_ranks", lambda own: known)
    monkeypatch.setattr("wavevit.tasks.segmentation.rank_and_world", lambda: (0, 2))
    task.zero_grad()
    losses = [
        task.loss({name: value[rank : rank + 1] for name, value in batch.items()})
        for rank in (0, 1)
    ]
    mean = torch.stack([one.total for one in losses]).mean()
    mean.backward()
    assert float(losses[1].total.detach()) == 0
    assert torch.allclose(mean, total, rtol=1e-12)
    for name, parameter in task.trainable():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, whole[name], rtol=1e-9, atol=1e-12), name
    monkeypatch.setattr("wavevit.tasks.segmentation.sum_over_ranks", lambda own: own * 0)
    with pytest.raises(ValueError, match="at least one pixel with a class, got none"):
        task.loss(batch)


@pytest.mark.parametrize("kind", ["segmentation", "classification"])
def test_answers_of_nan_are_no_class(kind: str) -> None:
    task = create_task(kind, "test_vit", num_classes=3, img_size=32).eval()
    batch = task.dummy_batch(2)
    with torch.no_grad():
        next(iter(task.backbone.parameters())).fill_(torch.nan)
    with pytest.raises(ValueError, match="model: expected outputs without NaN, got NaN for 2 of 2"):
        task.evaluate(batch)
