"""Dense heads: true strides, local answers, and maps that follow the image exactly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import wavevit
from wavevit.tasks import Detection, FeaturePyramid, Segmentation, create_task
from wavevit.tasks.detection_head import DetectionHead, centers
from wavevit.tasks.detection_targets import assign
from wavevit.tasks.feature_pyramid import maps_of

BACKBONES = (
    *("test_vit", "test_haar_vit", "test_dtcwt_vit"),
    *("test_haar_pyramid", "test_dtcwt_pyramid", "test_swin"),
)
# Backbones that follow circular shifts by 16 pixels; the first two without their positions.
FOLLOWING = {
    "test_vit": {"position": "none", "pool": "avg"},
    "test_haar_vit": {"position": "none", "pool": "avg"},
    "test_haar_pyramid": {},
    "test_dtcwt_pyramid": {},
}


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def drawn_weights(module: nn.Module) -> None:
    """Random weights and biases everywhere, so that no symmetry comes from the start."""
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)


@pytest.mark.parametrize("size", [(32, 32), (37, 51)])
@pytest.mark.parametrize("name", BACKBONES)
def test_maps_have_true_strides(name: str, size: tuple[int, int]) -> None:
    backbone = wavevit.create_model(name, img_size=32, in_chans=1, num_classes=0)
    pyramid = FeaturePyramid(backbone, (2, 4, 8, 16, 32), width=8)
    levels = pyramid(maps_of(backbone, images(1, 1, *size), pyramid.indices), size)
    expected = [(-(-size[0] // s), -(-size[1] // s)) for s in pyramid.strides]
    assert [tuple(level.shape[-2:]) for level in levels] == expected


@pytest.mark.parametrize("name", ["test_vit", "test_haar_pyramid"])
def test_cells_are_at_their_places(name: str) -> None:
    """A cell depends on the backbone's cell that covers its pixels; not on those far away."""
    backbone = wavevit.create_model(name, img_size=32, in_chans=1, num_classes=0)
    pyramid = FeaturePyramid(backbone, (4, 8, 16, 32), width=8).double()
    drawn_weights(pyramid)
    side, coarsest = 160, len(pyramid.indices) - 1
    maps = [
        item.double().requires_grad_()
        for item in (
            images(1, entry["num_chs"], side // entry["reduction"], side // entry["reduction"])
            for entry in (backbone.feature_info[i] for i in pyramid.indices)
        )
    ]
    for level, stride in zip(pyramid(maps, (side, side)), pyramid.strides, strict=True):
        row, column = level.shape[-2] // 2, level.shape[-1] // 3
        level[0, :, row, column].sum().backward(retain_graph=True)
        found, maps[coarsest].grad = maps[coarsest].grad, None
        seen = found[0].abs().amax(0) > 0
        own = (row * stride // 16, column * stride // 16)
        assert seen[own]
        reach = max(stride // 16, 1) * 2
        rows, columns = seen.nonzero(as_tuple=True)
        assert (rows - own[0]).abs().max() <= reach, stride
        assert (columns - own[1]).abs().max() <= reach, stride


def moved_apart(task: Detection | Segmentation, shift: int) -> float:
    """Largest difference between the maps of a shifted image and the shifted maps, relative."""
    x = images(1, 1, 64, 64).double()
    y = x.roll((shift, -shift), (-2, -1))
    if isinstance(task, Segmentation):
        pairs = [(task.logits(x), task.logits(y), 1)]
    else:
        first, second = (task.head.maps(task.levels(item)) for item in (x, y))
        pairs = [
            (a, b, stride)
            for ours, theirs, stride in zip(first, second, task.pyramid.strides, strict=True)
            for a, b in zip(ours, theirs, strict=True)
        ]
    errors = []
    for a, b, stride in pairs:
        steps = round(shift / stride)
        expected = a.roll((steps, -steps), (-2, -1))
        errors.append(float((b - expected).detach().abs().max() / a.detach().abs().max()))
    return max(errors)


@pytest.mark.parametrize("kind", ["detection", "segmentation"])
@pytest.mark.parametrize("name", FOLLOWING)
def test_maps_follow_shifts_by_the_period(name: str, kind: str) -> None:
    options = {"circular": True, **({"strides": (4, 8, 16)} if kind == "detection" else {})}
    changes = {"img_size": 64, "in_chans": 1, "num_classes": 3, **FOLLOWING[name]}
    task = create_task(kind, name, options, **changes).double().eval()
    for part in (task.head, task.pyramid) if isinstance(task, Detection) else (task.classify,):
        drawn_weights(part)
    assert isinstance(task, Detection | Segmentation)
    assert moved_apart(task, 16) < 1e-10
    assert moved_apart(task, 3) > 1e-3, "negative control: a shift that is not of the period"


@pytest.mark.parametrize("kind", ["detection", "segmentation"])
def test_negative_control_heads_that_do_not_continue_the_image(kind: str) -> None:
    options = {"strides": (4, 8, 16)} if kind == "detection" else {}
    changes = {"img_size": 64, "in_chans": 1, "num_classes": 3}
    task = create_task(kind, "test_haar_pyramid", options, **changes).double().eval()
    for part in (task.head, task.pyramid) if isinstance(task, Detection) else (task.classify,):
        drawn_weights(part)
    assert isinstance(task, Detection | Segmentation)
    assert moved_apart(task, 16) > 1e-4


def reach_of(head: DetectionHead) -> int:
    """Largest distance, in cells, from a cell to one that its answers depend on."""
    level = images(1, 8, 15, 15).double().requires_grad_()
    sum(item[0, :, 7, 7].sum() for item in head.maps([level])[0]).backward()
    rows, columns = (level.grad[0].abs().amax(0) > 0).nonzero(as_tuple=True)
    return int(torch.maximum((rows - 7).abs(), (columns - 7).abs()).max())


@pytest.mark.parametrize("depth", [0, 2])
def test_answers_are_local(depth: int) -> None:
    head = DetectionHead(8, 3, (4,), depth).double()
    drawn_weights(head)
    assert reach_of(head) == depth + 1


def test_negative_control_group_norm_is_not_local() -> None:
    head = DetectionHead(8, 3, (4,), 1).double()
    drawn_weights(head)
    head.class_branch[1] = nn.GroupNorm(2, 8).double()
    assert reach_of(head) == 7


def cells(side: int) -> tuple[Tensor, Tensor]:
    points = [centers(side // stride, side // stride, stride) for stride in (4, 8, 16)]
    strides = [torch.full((len(p),), s) for p, s in zip(points, (4.0, 8.0, 16.0), strict=True)]
    return torch.cat(points), torch.cat(strides)


def boxes_in(side: int, count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator) * (side - 12)
    size = 5 + torch.rand(count, 2, generator=generator) * (side - low - 5)
    return torch.cat([low, torch.minimum(low + size, torch.tensor(float(side)))], dim=1)


@pytest.mark.parametrize("seed", range(8))
def test_every_box_alone_is_learned_by_cells_inside_it(seed: int) -> None:
    points, strides = cells(64)
    for box in boxes_in(64, 12, seed):
        owner, quality = assign(box[None], points, strides)
        own = points[owner == 0]
        assert len(own), box
        assert ((own > box[:2]) & (own < box[2:])).all()
        assert ((quality > 0) == (owner == 0)).all()
        assert quality.max() <= 1


def test_cells_learn_the_smallest_box_and_larger_boxes_are_for_coarser_maps() -> None:
    points, strides = cells(64)
    small, large = torch.tensor([20.0, 20.0, 32.0, 32.0]), torch.tensor([2.0, 2.0, 62.0, 62.0])
    owner, quality = assign(torch.stack([large, small]), points, strides)
    assert set(strides[owner == 1].tolist()) == {4.0}
    assert set(strides[owner == 0].tolist()) == {16.0}
    middle = (points == torch.tensor([26.0, 26.0])).all(1)
    assert quality[middle].tolist() == [1.0]
    nothing = assign(torch.zeros(0, 4), points, strides)
    assert nothing.owner.unique().tolist() == [-1]


def test_assignment_follows_the_boxes_by_the_coarsest_stride() -> None:
    points, strides = cells(128)
    boxes = boxes_in(64, 6, 3)
    first, second = (assign(item, points, strides) for item in (boxes, boxes + 32))
    for (x, y), stride, owner, quality in zip(
        points.tolist(), strides.tolist(), *first, strict=True
    ):
        if x < 96 and y < 96:
            same = (points == torch.tensor([x + 32, y + 32])).all(1) & (strides == stride)
            assert second.owner[same] == owner
            assert torch.allclose(second.quality[same], quality)
