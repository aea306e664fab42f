"""Semantic segmentation: one class for each pixel."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_at_least, check_bool, check_generator, check_number, fail
from wavevit.layers.padding import pad_map
from wavevit.models import Backbone
from wavevit.tasks.base import Batch, Losses, Results, Task, TaskOptions, check_entries, entry
from wavevit.tasks.draws import seeded
from wavevit.tasks.feature_pyramid import deepest_maps, maps_of
from wavevit.tasks.gathering import rank_and_world, sum_over_ranks
from wavevit.tasks.labels import check_labels, check_scores
from wavevit.tasks.overlap import overlap
from wavevit.tasks.pixel_metrics import border_shift, confusion, edge_band, mean_iou
from wavevit.tasks.registry import register_task

__all__ = ["Segmentation"]

_WIDTH = 32  # channels of the fused map
_STRIDE = 4  # of the fused map


@register_task("segmentation")
class Segmentation(Task):
    """Maps of a backbone, brought to stride 4, added, and classified pixel by pixel.

    The deepest map of each stride is projected to 32 channels and enlarged bilinearly, as in
    SegFormer's head. The finest map of a backbone whose first stride is larger than 4 comes to
    stride 4 by a learned pixel shuffle: each token predicts the content of the cells of its patch,
    so the answer of a ViT can be finer than its grid. Cells stay at their places in the image, also
    where its sides are no multiples of the strides.

    A batch has ``"labels"``, (B, H, W) integers: the class of each pixel, or `Options.ignore`.
    The backbone's own head is removed.

    Raises:
        ValueError: no number of classes, in the options or in the backbone, or an `ignore` that is
            a class.

    Source:
        Xie et al. 2021, "SegFormer" (projections that are enlarged and fused);
        Shi et al. 2016 (pixel shuffle).
    """

    @dataclasses.dataclass(frozen=True)
    class Options(TaskOptions):
        """Options of `Segmentation`.

        Attributes:
            num_classes: classes of a pixel; None for the backbone's ``num_classes``.
            label_smoothing: share of the target that all classes get in equal parts.
            ignore: the label of pixels that have no class; they count in no loss and no metric.
            circular: enlarge maps as if the image continued on the opposite side. Answers then
                follow circular shifts that the backbone follows. Sides must be multiples of its
                strides.
        """

        num_classes: int | None = None
        label_smoothing: float = 0.0
        ignore: int = 255
        circular: bool = False

        def __post_init__(self) -> None:
            if self.num_classes is not None:
                check_at_least("num_classes", self.num_classes, 1)
            check_number("label_smoothing", self.label_smoothing, least=0, below=1)
            check_bool("circular", self.circular)
            if not isinstance(self.ignore, int) or isinstance(self.ignore, bool):
                fail("ignore", "an integer that is no class", repr(self.ignore))

    keys = ("labels",)
    source = "composites"
    reduction = "ranks"
    score, title = "miou", "mIoU, %"

    def __init__(self, backbone: Backbone, options: Options) -> None:
        super().__init__(backbone, options)
        self.num_classes = options.num_classes or backbone.num_classes
        if self.num_classes < 1:
            fail("num_classes", "at least 1 in the options or the backbone", self.num_classes)
        if 0 <= options.ignore < self.num_classes:
            expected = f"no class: below 0 or at least {self.num_classes}"
            fail("ignore", expected, options.ignore)
        backbone.reset_classifier(0)
        backbone.fc_norm = nn.Identity()  # of pooled features, which a pixel has not
        deepest = deepest_maps(backbone)
        self.strides, self.indices = list(deepest), list(deepest.values())
        self.fine = max(min(deepest) // _STRIDE, 1)
        channels = [int(backbone.feature_info[i]["num_chs"]) for i in self.indices]
        widths = [_WIDTH * self.fine**2, *([_WIDTH] * (len(channels) - 1))]
        self.project = nn.ModuleList(
            nn.Conv2d(own, width, 1) for own, width in zip(channels, widths, strict=True)
        )
        self.norm = nn.GroupNorm(1, _WIDTH)
        self.classify = nn.Conv2d(_WIDTH, self.num_classes, 1)

    def maps(self, images: Tensor) -> list[Tensor]:
        """The backbone's deepest map of each stride, finest first."""
        return maps_of(self.backbone, images, self.indices)

    def logits(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, classes, H, W)."""
        first, *others = (
            project(item) for project, item in zip(self.project, self.maps(images), strict=True)
        )
        fused = F.pixel_shuffle(first, self.fine)
        finest = self.strides[0]
        for item, stride in zip(others, self.strides[1:], strict=True):
            times = Fraction(stride * self.fine, finest)
            fused = fused + self._enlarged(item, times, fused.shape[-2:])
        classes = self.classify(F.gelu(self.norm(fused)))
        return self._enlarged(classes, Fraction(finest, self.fine), images.shape[-2:])

    def _enlarged(self, x: Tensor, ratio: Fraction, size: Sequence[int]) -> Tensor:
        """A map `ratio` times as large; its first `size` cells.

        The last cells of a map reach beyond an image whose sides its stride does not divide: what
        they say about the outside is left out, so that all cells stay where they are.
        """
        # By whole numbers: sides are symbols in a graph of torch.export.
        whole = [own * ratio.numerator // ratio.denominator for own in x.shape[-2:]]
        if not self.options.circular:
            large = F.interpolate(x, whole, mode="bilinear", align_corners=False)
            return large[..., : size[0], : size[1]]
        times = [target // own for target, own in zip(size, x.shape[-2:], strict=True)]
        if [n * own for n, own in zip(times, x.shape[-2:], strict=True)] != list(size):
            expected = "sides that are multiples of the backbone's strides, with circular=True"
            fail("images", expected, f"maps of {tuple(x.shape[-2:])} for {tuple(size)}")
        padded = pad_map(x, 1, "circular")
        sides = [n * own for n, own in zip(times, padded.shape[-2:], strict=True)]
        large = F.interpolate(padded, sides, mode="bilinear", align_corners=False)
        return large[..., times[0] : times[0] + size[0], times[1] : times[1] + size[1]]

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Losses:
        """Cross-entropy over the pixels that have a class; reports their accuracy."""
        check_generator("generator", generator)
        self.check(batch)
        labels, ignore = batch["labels"].long(), self.options.ignore
        known = labels != ignore
        own = known.sum()
        every = sum_over_ranks(own)
        if not every:  # of no rank: all of them raise it
            fail("batch['labels']", "at least one pixel with a class", "none")
        logits = self.logits(batch["images"])
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        smoothing = self.options.label_smoothing
        share = rank_and_world()[1] * own / every  # of a rank's mean in that over all pixels
        if own:
            loss = F.cross_entropy(logits, labels, ignore_index=ignore, label_smoothing=smoothing)
        else:  # this rank has no pixel with a class, others have: a mean over nothing is NaN
            loss = logits.sum() * 0
        right = ((logits.detach().argmax(1) == labels) & known).sum() / own.clamp(min=1)
        return Losses({"cross_entropy": loss * share}, {"accuracy": right * share})

    def predict(self, batch: Batch) -> Results:
        """``logits`` (B, classes, H, W) and ``classes`` (B, H, W)."""
        logits = self.logits(entry(batch, "images"))
        return {"logits": logits, "classes": logits.argmax(1)}

    def evaluate(self, batch: Batch, generator: torch.Generator | None = None) -> Results:
        """Counts of pixels for each image.

        Returns:
            ``confusion`` (B, classes, classes), true class first; ``border`` (B, 2): pixels within
            4 pixels of another label, those that are right and all.
        """
        check_generator("generator", generator)
        self.check(batch)
        labels = batch["labels"].long()
        found = self.predict(batch)
        check_scores(found)
        answers, known = found["classes"], labels != self.options.ignore
        near = edge_band(labels) & known
        right = (near & (answers == labels)).flatten(1).sum(1)
        return {
            "confusion": confusion(answers, labels, self.num_classes),
            "border": torch.stack([right, near.flatten(1).sum(1)], dim=1),
        }

    def summarize(self, results: Results) -> dict[str, float]:
        """Percentages over all pixels of all images together.

        Returns:
            ``miou``, the mean over the classes that occur in answers or labels; ``pixels`` that are
            right; ``border_pixels``, those within 4 pixels of another label that are right (NaN if
            there are none); ``border_share``, the share of such pixels.
        """
        check_entries("results", results, "confusion", "border")
        table = results["confusion"].sum(0).double()
        right, near = results["border"].sum(0).double().tolist()
        count = float(table.sum())
        return {
            "miou": 100 * mean_iou(table),
            "pixels": 100 * float(table.diagonal().sum()) / count if count else float("nan"),
            "border_pixels": 100 * right / near if near else float("nan"),
            "border_share": 100 * near / count if count else float("nan"),
        }

    def compare(self, first: Results, second: Results, shift: tuple[int, int]) -> dict[str, Tensor]:
        """How the classes of pixels change, on the pixels that are in both crops.

        Returns:
            ``kept`` (B,): pixels that keep their class, in %. ``border_shift`` (B,): mask jitter,
            how far borders between classes move, in pixels of the image (`border_shift`).
        """
        check_entries("first", first, "classes")
        check_entries("second", second, "classes")
        one, two = overlap(first["classes"], second["classes"], shift)
        kept = (one == two).flatten(1).double().mean(1)
        return {"kept": 100 * kept, "border_shift": border_shift(one, two)}

    def dummy_batch(self, count: int, generator: torch.Generator | None = None) -> dict[str, Any]:
        generator = seeded(generator)
        images = self.dummy_images(count, generator)
        shape = (count, *images.shape[-2:])
        labels = torch.randint(self.num_classes, shape, generator=generator)
        return {"images": images, "labels": labels.to(images.device)}

    def check(self, batch: Batch) -> None:
        """See `Task.check`; labels are integers of the images' size: classes or `ignore`."""
        super().check(batch)
        images = batch["images"]
        shape = (len(images), *images.shape[-2:])
        check_labels(batch["labels"], shape, self.num_classes, self.options.ignore)
