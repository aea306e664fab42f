"""Object detection: boxes with classes, without anchors."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.checks import (
    check_at_least,
    check_bool,
    check_generator,
    check_number,
    check_numbers,
    fail,
)
from wavevit.models import Backbone
from wavevit.tasks.average_precision import average_precision
from wavevit.tasks.base import Batch, Losses, Results, Task, TaskOptions, check_entries, entry
from wavevit.tasks.box_jitter import box_jitter
from wavevit.tasks.boxes import check_boxes
from wavevit.tasks.detection_boxes import best_boxes
from wavevit.tasks.detection_head import CellAnswers, DetectionHead
from wavevit.tasks.detection_loss import detection_losses
from wavevit.tasks.draws import seeded
from wavevit.tasks.feature_pyramid import FeaturePyramid, maps_of
from wavevit.tasks.labels import check_labels
from wavevit.tasks.registry import register_task

__all__ = ["Detection"]


@register_task("detection")
class Detection(Task):
    """The head of FCOS on a feature pyramid.

    Each cell of each map predicts its classes, the distances to the four sides of a box, and the
    centre-ness that ranks boxes. The loss is the focal loss of the classes, the GIoU loss of the
    boxes and the cross-entropy of the centre-ness.

    A batch has ``"boxes"``, a list of (n, 4) left, top, right, bottom in pixels, inside the image,
    and ``"labels"``, a list of (n,) classes; n may be 0. The backbone's own head is removed.

    Raises:
        ValueError: no number of classes, in the options or in the backbone, or strides that the
            backbone's maps cannot serve.

    Source:
        Tian et al. 2019, "FCOS"; Lin et al. 2017, "Focal Loss"; `FeaturePyramid`.
    """

    @dataclasses.dataclass(frozen=True)
    class Options(TaskOptions):
        """Options of `Detection`.

        Attributes:
            num_classes: classes of objects; None for the backbone's ``num_classes``.
            strides: of the maps, ascending.
            width: channels of the maps.
            depth: convolutions of each branch of the head.
            reach: distance in cells up to which a map serves the sides of a box.
            nms: intersection over union above which the weaker box of a class is dropped.
            most: boxes of an image.
            jitter_score: boxes below this score are not compared by `Detection.compare`.
            small: side in pixels; boxes of a smaller area than its square are "small".
            large: side in pixels; boxes from the area of its square are "large". (COCO: 32 and 96,
                for images ten times as large as the crops of the studies.)
            circular: convolutions see the opposite side of a map in place of zeros.
        """

        num_classes: int | None = None
        strides: tuple[int, ...] = (4, 8, 16, 32)
        width: int = 32
        depth: int = 1
        reach: float = 4.0
        nms: float = 0.6
        most: int = 100
        jitter_score: float = 0.3
        small: float = 16.0
        large: float = 32.0
        circular: bool = False

        def __post_init__(self) -> None:
            if self.num_classes is not None:
                check_at_least("num_classes", self.num_classes, 1)
            check_numbers("strides", self.strides, "at least one stride in pixels, a sequence")
            object.__setattr__(self, "strides", tuple(self.strides))
            check_at_least("width", self.width, 1)
            check_at_least("depth", self.depth, 0)
            check_at_least("most", self.most, 1)
            for name in ("nms", "jitter_score"):
                check_number(name, getattr(self, name), least=0, most=1)
            check_number("reach", self.reach, above=0)
            check_bool("circular", self.circular)
            for name in ("small", "large"):
                check_number(name, getattr(self, name), above=0)
            if not 0 < self.small <= self.large:
                fail("small", f"a side above 0 and at most large={self.large}", self.small)

    keys = ("boxes", "labels")
    source = "objects"
    reduction = "ranks"
    score, title = "AP", "AP, %"

    def __init__(self, backbone: Backbone, options: Options) -> None:
        super().__init__(backbone, options)
        self.num_classes = options.num_classes or backbone.num_classes
        if self.num_classes < 1:
            fail("num_classes", "at least 1 in the options or the backbone", self.num_classes)
        backbone.reset_classifier(0)
        backbone.fc_norm = nn.Identity()  # of pooled features, which a cell has not
        width, circular = options.width, options.circular
        self.pyramid = FeaturePyramid(backbone, options.strides, width, circular)
        self.head = DetectionHead(width, self.num_classes, options.strides, options.depth, circular)

    def levels(self, images: Tensor) -> list[Tensor]:
        """Maps of the pyramid for images (B, C, H, W), finest first."""
        maps = maps_of(self.backbone, images, self.pyramid.indices)
        levels: list[Tensor] = self.pyramid(maps, images.shape[-2:])
        return levels

    def answers(self, images: Tensor) -> CellAnswers:
        """Answers of all cells of images (B, C, H, W)."""
        found: CellAnswers = self.head(self.levels(images))
        return found

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Losses:
        """``classes``, ``boxes`` and ``centerness``; reports the cells that learn a box."""
        check_generator("generator", generator)
        self.check(batch)
        found = self.answers(batch["images"])
        parts, cells = detection_losses(found, batch["boxes"], batch["labels"], self.options.reach)
        return Losses(parts, {"cells": cells})

    def predict(self, batch: Batch) -> Results:
        """For each image, by falling score: ``boxes`` (n, 4), ``scores``, ``classes``, (n,) each.

        ``sizes`` (B, 2) has the height and width of the images.
        """
        images = entry(batch, "images")
        height, width = images.shape[-2:]
        rows = best_boxes(
            self.answers(images), (height, width), self.options.nms, self.options.most
        )
        boxes, scores, classes = ([row[k] for row in rows] for k in range(3))
        sizes = torch.tensor([[height, width]]).expand(len(images), 2)
        return {"boxes": boxes, "scores": scores, "classes": classes, "sizes": sizes}

    def evaluate(self, batch: Batch, generator: torch.Generator | None = None) -> Results:
        """What `predict` finds, beside ``true_boxes`` and ``true_classes``."""
        check_generator("generator", generator)
        self.check(batch)
        found = self.predict(batch)
        del found["sizes"]
        return {**found, "true_boxes": [*batch["boxes"]], "true_classes": [*batch["labels"]]}

    def summarize(self, results: Results) -> dict[str, float]:
        """COCO's ``AP``, ``AP50``, ``AP75`` and ``AP_small``, ``AP_medium``, ``AP_large``, in %.

        Raises:
            ImportError: pycocotools is not installed (the extra ``tasks``).
        """
        found = ("boxes", "scores", "classes")
        check_entries("results", results, *found, "true_boxes", "true_classes")
        sides = (self.options.small, self.options.large)
        return average_precision(results, self.num_classes, sides, self.options.most)

    def compare(self, first: Results, second: Results, shift: tuple[int, int]) -> dict[str, Tensor]:
        """Box jitter: how far boxes with a high score are from following the image (`box_jitter`).

        Returns:
            ``box_shift`` (B,): mean distance of corners in pixels, NaN for images without a pair.
            ``unmatched`` (B,): boxes without a partner in the other crop, in %, NaN for images
            without boxes.
        """
        check_entries("first", first, "boxes", "scores", "classes", "sizes")
        check_entries("second", second, "boxes", "scores", "classes")
        rows = [
            box_jitter(self._certain(first, i), self._certain(second, i), shift, (height, width))
            for i, (height, width) in enumerate(first["sizes"].tolist())
        ]
        moved, unmatched = torch.tensor(rows, dtype=torch.float64).reshape(-1, 2).unbind(1)
        return {"box_shift": moved, "unmatched": unmatched}

    def _certain(self, results: Results, index: int) -> tuple[Tensor, Tensor]:
        kept = results["scores"][index] >= self.options.jitter_score
        return results["boxes"][index][kept], results["classes"][index][kept]

    def dummy_batch(self, count: int, generator: torch.Generator | None = None) -> dict[str, Any]:
        generator = seeded(generator)
        images = self.dummy_images(count, generator)
        sides = torch.tensor(images.shape[-2:]).flip(0)
        boxes, labels = [], []
        for _ in range(count):
            few = int(torch.randint(1, 4, (1,), generator=generator))
            low = torch.rand(few, 2, generator=generator) / 2
            high = low + 0.25 + torch.rand(few, 2, generator=generator) / 4
            boxes.append((torch.cat([low * sides, high * sides], dim=1)).to(images))
            classes = torch.randint(self.num_classes, (few,), generator=generator)
            labels.append(classes.to(images.device))
        return {"images": images, "boxes": boxes, "labels": labels}

    def check(self, batch: Batch) -> None:
        """See `Task.check`; boxes inside the images, as many labels as boxes, in range."""
        super().check(batch)
        height, width = batch["images"].shape[-2:]
        check_boxes(batch["boxes"], (height, width))
        if not isinstance(batch["labels"], list | tuple):
            kind = type(batch["labels"]).__name__
            fail("batch['labels']", "a list of tensors (n,), one for each image", kind)
        for boxes, labels in zip(batch["boxes"], batch["labels"], strict=True):
            check_labels(labels, (len(boxes),), self.num_classes)

    def no_weight_decay(self) -> set[str]:
        """In addition, the scales of the distances."""
        own = {f"head.scales.{i}" for i in range(len(self.options.strides))}
        return super().no_weight_decay() | own
