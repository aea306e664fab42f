"""Image classification: one class for each image."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import fail
from wavevit.models import Backbone
from wavevit.tasks.base import Batch, Losses, Results, Task, TaskOptions
from wavevit.tasks.labels import check_labels
from wavevit.tasks.registry import register_task

__all__ = ["Classification"]


@register_task("classification")
class Classification(Task):
    """The backbone's own head, trained with the cross-entropy.

    A batch has ``"labels"``, (B,) integers below the backbone's ``num_classes``.

    Raises:
        ValueError: a backbone without a head.
    """

    @dataclasses.dataclass(frozen=True)
    class Options(TaskOptions):
        """Options of `Classification`.

        Attributes:
            label_smoothing: share of the target that all classes get in equal parts. The default is
            that of timm's training script.
        """

        label_smoothing: float = 0.1

        def __post_init__(self) -> None:
            if not 0 <= self.label_smoothing < 1:
                fail("label_smoothing", "a number from 0 to below 1", self.label_smoothing)

    keys = ("labels",)
    score, title = "top1", "top-1, %"

    def __init__(self, backbone: Backbone, options: Options) -> None:
        super().__init__(backbone, options)
        if backbone.num_classes < 1:
            fail("backbone.num_classes", "at least 1 for classification", backbone.num_classes)

    def network(self) -> Backbone:
        """The backbone itself: its own head classifies, and any tool that knows it can load it."""
        return self.backbone

    def logits(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, num_classes)."""
        logits: Tensor = self.backbone(images)
        return logits

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Losses:
        """Cross-entropy; reports the accuracy on the batch."""
        self.check(batch)
        logits, labels = self.logits(batch["images"]).float(), batch["labels"]
        smoothing = self.options.label_smoothing
        loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
        right = (logits.detach().argmax(1) == labels).float().mean()
        return Losses({"cross_entropy": loss}, {"accuracy": right})

    def predict(self, batch: Batch) -> Results:
        """``logits`` (B, num_classes) and ``classes`` (B,)."""
        logits = self.logits(batch["images"])
        return {"logits": logits, "classes": logits.argmax(1)}

    def evaluate(self, batch: Batch, generator: torch.Generator | None = None) -> Results:
        """``top1`` (B,): 100 where the class is right, else 0."""
        self.check(batch)
        return {"top1": 100.0 * (self.predict(batch)["classes"] == batch["labels"]).float()}

    def compare(self, first: Results, second: Results, shift: tuple[int, int]) -> dict[str, Tensor]:
        """``same_class`` (B,): 100 where both crops have the same class, else 0."""
        return {"same_class": 100.0 * (first["classes"] == second["classes"]).float()}

    def dummy_batch(self, count: int, generator: torch.Generator | None = None) -> dict[str, Any]:
        generator = generator or torch.Generator().manual_seed(0)
        images = self.dummy_images(count, generator)
        labels = torch.randint(self.backbone.num_classes, (count,), generator=generator)
        return {"images": images, "labels": labels.to(images.device)}

    def check(self, batch: Batch) -> None:
        """See `Task.check`; labels are integers of shape (B,) in range."""
        super().check(batch)
        check_labels(batch["labels"], (len(batch["images"]),), self.backbone.num_classes)
