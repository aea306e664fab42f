"""Retrieval: an embedding of each image, close for images of one label."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_at_least, check_choice, check_generator, check_number, fail
from wavevit.models import Backbone
from wavevit.tasks.base import Batch, Losses, Results, Task, TaskOptions, check_entries, entry
from wavevit.tasks.draws import seeded
from wavevit.tasks.gathering import gathered
from wavevit.tasks.labels import check_labels
from wavevit.tasks.products import products
from wavevit.tasks.ranking_metrics import chance_of_ranking, neighbours, rank_metrics
from wavevit.tasks.registry import register_task

__all__ = ["Retrieval"]

_AT = (1, 5)  # neighbours of the recall
_LOSSES = ("contrastive", "normalized_softmax")


@register_task("retrieval")
class Retrieval(Task):
    """Pooled features of a backbone, centred, projected and scaled to unit length.

    A batch norm without weights takes the common mean out of the features. Without it, features
    that differ little from their mean (of magnitudes, for example) soon have the same embedding for
    all images. In eval mode its running statistics are used: an embedding depends on its image
    alone.

    With a process group of several ranks the loss compares the examples of all ranks; call it on
    all of them, with as many examples on each.

    A batch has ``"labels"``, (B,) integers: images with the same label belong together. A label is
    a class, or an instance such as a place that two crops show. The backbone's own head is removed.

    Raises:
        ValueError: a backbone without pooling, or the loss ``"normalized_softmax"`` without a
            number of classes.

    Guarantees:
        Loss and gradients on 2 ranks, with DistributedDataParallel, equal those on 1
        (tests/properties/test_contrastive_laws.py).

    Source:
        Khosla et al. 2020, "Supervised Contrastive Learning" (their L_out; with pairs it is the
        NT-Xent loss of Chen et al. 2020, "SimCLR"); Zhai and Wu 2019, "Classification is a Strong
        Baseline for Deep Metric Learning" (normalised softmax); Luo et al. 2019, "Bag of Tricks and
        a Strong Baseline for Deep Person Re-identification" (batch norm before the cosine).
    """

    @dataclasses.dataclass(frozen=True)
    class Options(TaskOptions):
        """Options of `Retrieval`.

        Attributes:
            loss: ``"contrastive"``, which compares the images of a batch, or
                ``"normalized_softmax"``, which learns one direction for each class.
            temperature: the cosines are divided by it.
            width: of the embeddings; 0 for the pooled features without a projection.
            num_classes: of ``"normalized_softmax"``; None for the backbone's ``num_classes``.
            neighbours: length of the lists that `Retrieval.compare` compares.
        """

        loss: str = "contrastive"
        temperature: float = 0.1
        width: int = 64
        num_classes: int | None = None
        neighbours: int = 5

        def __post_init__(self) -> None:
            check_choice("loss", self.loss, _LOSSES)
            check_number("temperature", self.temperature, above=0)
            check_at_least("width", self.width, 0)
            check_at_least("neighbours", self.neighbours, 1)
            if self.num_classes is not None:
                check_at_least("num_classes", self.num_classes, 1)

    keys = ("labels",)
    source = "places"
    reduction = "ranks"
    score, title = "R@1", "R@1, %"
    columns = (
        *("R@1", "R@5", "mAP", "chance R@1", "gallery"),
        *("neighbours at 1 px", "neighbours at 8 px", "same_nearest at 1 px"),
    )

    def __init__(self, backbone: Backbone, options: Options) -> None:
        super().__init__(backbone, options)
        if not backbone.global_pool:
            fail("backbone.global_pool", "a pooling, which makes one vector of an image", "''")
        classes = options.num_classes or backbone.num_classes
        backbone.reset_classifier(0)
        features = backbone.head_hidden_size
        self.center = nn.BatchNorm1d(features, affine=False)
        self.project: nn.Module = nn.Identity()
        if options.width:
            self.project = nn.Linear(features, options.width, bias=False)
        self.proxies: nn.Parameter | None = None
        if options.loss == "normalized_softmax":
            if classes < 1:
                fail("num_classes", "at least 1 in the options or the backbone", classes)
            width = options.width or features
            self.proxies = nn.Parameter(F.normalize(torch.randn(classes, width), dim=1))

    def embed(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to embeddings (B, D) of unit length."""
        return self._embedded(self.backbone(images))

    def _embedded(self, features: Tensor) -> Tensor:
        wide = torch.promote_types(features.dtype, torch.float32)
        # Autocast's features are widened; a task in half precision centres in its own dtype.
        mean = self.center.running_mean
        assert mean is not None
        embeddings = self.project(self.center(features.to(mean.dtype)))
        return F.normalize(embeddings.to(wide), dim=1)

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Losses:
        """The loss that the options name; reports the share of right nearest neighbours.

        With a process group the loss is that of the examples of all ranks, the same on each.

        In eval mode a batch without a pair has the contrastive loss 0: its cost can be measured.
        """
        check_generator("generator", generator)
        self.check(batch)
        labels = gathered(batch["labels"])
        same = labels[:, None] == labels
        same.fill_diagonal_(False)
        if self.training and self.proxies is None and not same.any():
            fail("batch['labels']", "at least two images with the same label", "none")
        if self.training and len(labels) < 2:
            fail("batch['images']", "at least two images to train on (batch norm)", len(labels))
        # Of all ranks before the batch norm, whose statistics are then those of all examples.
        embeddings = self._embedded(gathered(self.backbone(batch["images"])))
        cosines = products(embeddings, embeddings)
        logits = cosines / self.options.temperature
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        # Finite: a batch of one image would otherwise have no number left.
        logits = logits.masked_fill(itself, torch.finfo(logits.dtype).min)
        report = {}
        if same.any():
            nearest = same.gather(1, logits.detach().argmax(1, keepdim=True))
            report["right_nearest"] = nearest[same.any(1)].float().mean()
        if self.proxies is not None:
            directions = F.normalize(self.proxies.to(embeddings), dim=1)
            scores = products(embeddings, directions) / self.options.temperature
            return Losses({"normalized_softmax": F.cross_entropy(scores, labels.long())}, report)
        chances = logits.log_softmax(dim=1).masked_fill(~same, 0.0)
        asked = same.any(1)
        loss = -(chances.sum(1)[asked] / same.sum(1)[asked]).sum() / asked.sum().clamp(min=1)
        return Losses({"contrastive": loss}, report)

    def predict(self, batch: Batch) -> Results:
        """``embeddings`` (B, D), of unit length."""
        return {"embeddings": self.embed(entry(batch, "images"))}

    def evaluate(self, batch: Batch, generator: torch.Generator | None = None) -> Results:
        """``embeddings`` (B, D) and ``labels`` (B,)."""
        check_generator("generator", generator)
        self.check(batch)
        return {**self.predict(batch), "labels": batch["labels"]}

    def summarize(self, results: Results) -> dict[str, float]:
        """Recall and mAP over a data set; each image is a query for the others of its label.

        Returns:
            ``R@1``, ``R@5`` and ``mAP`` in % (`rank_metrics`), the same with ``chance `` before
            the name for random rankings, and ``gallery``, the number of images that are searched.
        """
        check_entries("results", results, "embeddings", "labels")
        labels = results["labels"]
        chance = chance_of_ranking(labels, _AT)
        return {
            **rank_metrics(results["embeddings"].detach(), labels, _AT),
            **{f"chance {name}": value for name, value in chance.items()},
            "gallery": float(len(labels) - 1),
        }

    def compare(self, first: Results, second: Results, shift: tuple[int, int]) -> dict[str, Tensor]:
        """How the list of neighbours changes when the query moves and the gallery does not.

        The gallery of an image is the other images of `first`.

        Returns:
            ``neighbours`` (B,): members of the list of the nearest `Options.neighbours` (at most
            all others) that both queries share, in %. ``same_nearest`` (B,): 100 where the nearest
            is the same, else 0. Both NaN for a batch of one image. ``cosine`` (B,) of the two
            embeddings.
        """
        check_entries("first", first, "embeddings")
        check_entries("second", second, "embeddings")
        one, two = first["embeddings"].detach(), second["embeddings"].detach()
        cosine = (one * two).sum(1).double()
        count = min(self.options.neighbours, len(one) - 1)
        if count < 1:
            unknown = torch.full_like(cosine, torch.nan)
            return {"neighbours": unknown, "same_nearest": unknown.clone(), "cosine": cosine}
        own, moved = neighbours(one, one, count), neighbours(two, one, count)
        shared = (own[:, :, None] == moved[:, None]).flatten(1).sum(1)
        return {
            "neighbours": 100 * shared.double() / count,
            "same_nearest": 100 * (own[:, 0] == moved[:, 0]).double(),
            "cosine": cosine,
        }

    def dummy_batch(self, count: int, generator: torch.Generator | None = None) -> dict[str, Any]:
        """See `Task.dummy_batch`; neighbouring examples have one label."""
        generator = seeded(generator)
        images = self.dummy_images(count, generator)
        labels = torch.arange(count) // 2
        if self.proxies is not None:
            labels = labels % len(self.proxies)
        return {"images": images, "labels": labels.to(images.device)}

    def check(self, batch: Batch) -> None:
        """See `Task.check`; labels are integers (B,), not negative; classes with the softmax."""
        super().check(batch)
        highest = 2**63 if self.proxies is None else len(self.proxies)
        check_labels(batch["labels"], (len(batch["images"]),), highest)
