"""Image classification: one class for each image."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_choice, check_generator, check_number, fail
from wavevit.models import Backbone
from wavevit.tasks.base import Batch, Losses, Results, Task, TaskOptions, check_entries, entry
from wavevit.tasks.draws import seeded
from wavevit.tasks.labels import check_labels, check_scores, check_shares
from wavevit.tasks.registry import register_task

__all__ = ["Classification"]


@register_task("classification")
class Classification(Task):
    """The backbone's own head, trained with a cross-entropy.

    A batch has ``"labels"``, (B,) integers below the backbone's ``num_classes``, or shares of the
    classes, (B, num_classes) floating point, as mixed images have them.

    Raises:
        ValueError: a backbone without a head.
    """

    @dataclasses.dataclass(frozen=True)
    class Options(TaskOptions):
        """Options of `Classification`.

        Attributes:
            label_smoothing: share of the target that all classes get in equal parts. The default is
                that of timm's training script.
            loss: ``"cross_entropy"`` of the classes, or ``"bce"``: the mean binary cross-entropy of
                each class, where every class with a share is right (Touvron et al. 2022, DeiT III);
                without label smoothing.
        """

        label_smoothing: float = 0.1
        loss: str = "cross_entropy"

        def __post_init__(self) -> None:
            check_choice("loss", self.loss, ("cross_entropy", "bce"))
            check_number("label_smoothing", self.label_smoothing, least=0, below=1)
            if self.loss == "bce" and self.label_smoothing:
                fail("label_smoothing", "0 for the loss 'bce'", self.label_smoothing)

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
        """The loss that the options name; reports the accuracy on the batch."""
        check_generator("generator", generator)
        self.check(batch)
        logits, labels = self.logits(batch["images"]), batch["labels"]
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        soft = labels.is_floating_point()
        if self.options.loss == "bce":
            hot = labels if soft else F.one_hot(labels.long(), logits.shape[1])
            loss = F.binary_cross_entropy_with_logits(logits, (hot > 0).to(logits))
        else:
            labels = labels.to(logits) if soft else labels.long()
            smoothing = self.options.label_smoothing
            loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
        classes = labels.argmax(1) if soft else labels
        right = (logits.detach().argmax(1) == classes).float().mean()
        return Losses({self.options.loss: loss}, {"accuracy": right})

    def predict(self, batch: Batch) -> Results:
        """``logits`` (B, num_classes) and ``classes`` (B,)."""
        logits = self.logits(entry(batch, "images"))
        return {"logits": logits, "classes": logits.argmax(1)}

    def evaluate(self, batch: Batch, generator: torch.Generator | None = None) -> Results:
        """``top1`` (B,): 100 where the class is right, else 0."""
        check_generator("generator", generator)
        self.check(batch)
        labels = batch["labels"]
        classes = labels.argmax(1) if labels.is_floating_point() else labels
        found = self.predict(batch)
        check_scores(found)
        return {"top1": 100.0 * (found["classes"] == classes).float()}

    def compare(self, first: Results, second: Results, shift: tuple[int, int]) -> dict[str, Tensor]:
        """``same_class`` (B,): 100 where both crops have the same class, else 0."""
        check_entries("first", first, "classes")
        check_entries("second", second, "classes")
        return {"same_class": 100.0 * (first["classes"] == second["classes"]).float()}

    def dummy_batch(self, count: int, generator: torch.Generator | None = None) -> dict[str, Any]:
        generator = seeded(generator)
        images = self.dummy_images(count, generator)
        labels = torch.randint(self.backbone.num_classes, (count,), generator=generator)
        return {"images": images, "labels": labels.to(images.device)}

    def check(self, batch: Batch) -> None:
        """See `Task.check`; labels are integers of shape (B,) in range, or shares of the classes,
        (B, num_classes)."""
        super().check(batch)
        labels, classes = batch["labels"], self.backbone.num_classes
        if isinstance(labels, Tensor) and labels.is_floating_point() and labels.ndim == 2:
            check_shares(labels, (len(batch["images"]), classes))
        else:
            check_labels(labels, (len(batch["images"]),), classes)
