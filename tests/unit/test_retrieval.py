"""Retrieval: losses and metrics by hand, chance by simulation, and batches that are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from wavevit import create_model
from wavevit.tasks import Retrieval, create_task
from wavevit.tasks.ranking_metrics import chance_of_ranking, neighbours, rank_metrics
from wavevit.testing import network_tolerance


def task(**options: Any) -> Retrieval:
    torch.manual_seed(0)
    made = create_task(
        "retrieval", "test_haar_pyramid", options, num_classes=4, img_size=32, in_chans=1
    )
    assert isinstance(made, Retrieval)
    return made.double().eval()


def double(batch: dict[str, Any]) -> dict[str, Any]:
    return {**batch, "images": batch["images"].double()}


@pytest.mark.parametrize("width", [0, 16])
def test_embeddings_have_unit_length(width: int) -> None:
    made = task(width=width)
    embeddings = made.embed(double(made.dummy_batch(3))["images"])
    assert embeddings.shape == (3, width or made.backbone.head_hidden_size)
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    made = task()
    batch = double(made.dummy_batch(4))
    expected = made.embed(batch["images"])
    found = made.to(dtype).embed(batch["images"].to(dtype))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, atol=network_tolerance(dtype), rtol=0)


def test_contrastive_loss_of_pairs_is_ntxent() -> None:
    made = task(temperature=0.2)
    batch = double(made.dummy_batch(6))
    cosines = (z := made.embed(batch["images"])) @ z.T / 0.2
    terms = []
    for i in range(6):
        partner = i ^ 1
        others = [cosines[i, j] for j in range(6) if j != i]
        terms.append(torch.stack(others).logsumexp(0) - cosines[i, partner])
    found = made.loss(batch).total
    assert found.item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-10)


def test_order_of_the_batch_does_not_change_the_loss() -> None:
    made = task()
    batch = double(made.dummy_batch(6))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    same = {name: value[order] for name, value in batch.items()}
    wrong = {"images": same["images"], "labels": batch["labels"]}
    losses = [float(made.loss(item).total.detach()) for item in (batch, same, wrong)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-10)
    assert losses[2] != pytest.approx(losses[0], rel=1e-3), "negative control: other labels"


def test_normalized_softmax_by_hand() -> None:
    made = task(loss="normalized_softmax", num_classes=3, temperature=0.5)
    batch = double(made.dummy_batch(4))
    assert made.proxies is not None
    directions = F.normalize(made.proxies, dim=1)
    scores = made.embed(batch["images"]) @ directions.T / 0.5
    expected = F.cross_entropy(scores, batch["labels"])
    found = float(made.loss(batch).total.detach())
    assert found == pytest.approx(float(expected.detach()), rel=1e-10)
    with pytest.raises(ValueError, match=r"batch\['labels'\]: expected classes from 0 to 2"):
        made.loss({**batch, "labels": batch["labels"] + 2})
    one = {name: value[:1] for name, value in batch.items()}
    assert made.loss(one).total.isfinite()


def test_metrics_by_hand() -> None:
    """Points on a circle: 0 and 10 degrees are of one label, 4, 7 and 90 of another."""
    angles = torch.tensor([0.0, 4.0, 7.0, 11.0, 90.0]) * math.pi / 180
    points = torch.stack([angles.cos(), angles.sin()], dim=1).double()
    labels = torch.tensor([0, 1, 1, 0, 1])
    found = rank_metrics(points, labels, (1, 2, 5))
    # Places of the right ones: [3], [1, 4], [1, 4], [3], [2, 3].
    assert found["R@1"] == pytest.approx(100 * 2 / 5)
    assert found["R@2"] == pytest.approx(100 * 3 / 5)
    assert found["R@5"] == 100
    precisions = [1 / 3, (1 + 2 / 4) / 2, (1 + 2 / 4) / 2, 1 / 3, (1 / 2 + 2 / 3) / 2]
    assert found["mAP"] == pytest.approx(100 * sum(precisions) / 5)


def test_examples_without_partner_are_not_asked() -> None:
    points = F.normalize(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    assert rank_metrics(points, torch.tensor([0, 0, 1, 2]), (3,))["R@3"] == 100
    assert math.isnan(rank_metrics(points, torch.arange(4), (1,))["R@1"])
    assert math.isnan(chance_of_ranking(torch.arange(4), (1,))["mAP"])


def test_ranking_of_one_image_is_undefined_and_of_nan_refused() -> None:
    made = task()
    summary = made.summarize(made.evaluate(double(made.dummy_batch(1))))
    assert all(math.isnan(value) for name, value in summary.items() if name != "gallery")
    assert summary["gallery"] == 0
    with pytest.raises(ValueError, match="embeddings: expected finite numbers, got NaN"):
        rank_metrics(torch.full((4, 3), torch.nan), torch.tensor([0, 0, 1, 1]), (1,))


@pytest.mark.parametrize("kind", ["contrastive", "normalized_softmax"])
def test_cosines_keep_their_precision_under_autocast(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Embeddings that differ by less than a step of bfloat16."""
    made = create_task("retrieval", "test_vit", {"loss": kind}, num_classes=3, img_size=32)
    assert isinstance(made, Retrieval)
    generator = torch.Generator().manual_seed(0)
    around = torch.ones(4, 64) + 0.01 * torch.randn(4, 64, generator=generator)
    monkeypatch.setattr(made, "_embedded", lambda features: F.normalize(around, dim=1))
    batch = made.dummy_batch(4)
    wanted = made.loss(batch).total
    with torch.autocast("cpu", torch.bfloat16):
        found = made.loss(batch).total
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)


def test_chance_is_that_of_random_embeddings() -> None:
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2, 3])
    generator = torch.Generator().manual_seed(0)
    sums = dict.fromkeys(("R@1", "R@5", "mAP"), 0.0)
    rounds = 300
    for _ in range(rounds):
        points = F.normalize(torch.randn(10, 6, generator=generator), dim=1)
        for name, value in rank_metrics(points, labels, (1, 5)).items():
            sums[name] += value / rounds
    expected = chance_of_ranking(labels, (1, 5))
    assert sums == {name: pytest.approx(value, abs=3) for name, value in expected.items()}


def test_summary_has_gallery_and_chance() -> None:
    made = task()
    summary = made.summarize(made.evaluate(double(made.dummy_batch(6))))
    assert summary["gallery"] == 5
    assert summary["chance R@1"] == pytest.approx(20)
    assert set(summary) >= {"R@1", "R@5", "mAP", "chance R@5", "chance mAP"}


def test_neighbours_of_queries_that_move() -> None:
    made = task(neighbours=2)
    angles = torch.tensor([0.0, 10.0, 25.0, 80.0]) * math.pi / 180
    first = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert neighbours(first, first, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    moved = first.clone()
    moved[0] = first[3]  # its neighbours are now 2 (first) and 1
    found = made.compare({"embeddings": first}, {"embeddings": moved}, (0, 1))
    assert found["neighbours"].tolist() == [50, 100, 100, 100]
    assert found["same_nearest"].tolist() == [0, 100, 100, 100]
    assert found["cosine"][0] == pytest.approx(math.cos(math.radians(80)))
    alone = made.compare({"embeddings": first[:1]}, {"embeddings": moved[:1]}, (0, 1))
    assert alone["neighbours"].isnan().all()


def test_embeddings_are_around_the_mean_of_the_features() -> None:
    """The learned common part of features does not make all embeddings alike."""
    made = task(width=0).train()
    images = double(made.dummy_batch(6))["images"]
    shared = torch.full((made.backbone.head_hidden_size,), 5.0, dtype=torch.float64)
    plain = made.embed(images)
    made.backbone.head = Shifted(shared)
    assert torch.allclose(made.embed(images), plain, atol=1e-6)
    with torch.no_grad():
        alike = F.normalize(made.backbone(images), dim=1)
    assert (alike @ alike.T).min() > 0.9, "negative control: without the norm they are alike"
    made.center.momentum = 0.5  # so that few batches settle the running statistics
    for _ in range(40):
        made.embed(images)
    assert (made.eval().embed(images) @ plain.T).diagonal().min() > 0.99
    one = {"images": images[:1], "labels": torch.zeros(1).long()}
    softmax = task(loss="normalized_softmax").train()
    with pytest.raises(ValueError, match=r"batch\['images'\]: expected at least two images"):
        softmax.loss(one)


class Shifted(torch.nn.Module):
    """A head that adds one vector to the features of every image."""

    def __init__(self, shared: torch.Tensor) -> None:
        super().__init__()
        self.shared = shared

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.shared


def test_batches_without_a_pair_are_refused_in_training() -> None:
    one = {name: value[:1] for name, value in double(task().dummy_batch(2)).items()}
    assert task().loss(one).total == 0, "the cost of one image can be measured"
    made = task().train()
    batch = double(made.dummy_batch(4))
    with pytest.raises(ValueError, match=r"batch\['labels'\]: expected at least two images"):
        made.loss({**batch, "labels": torch.arange(4)})
    with pytest.raises(ValueError, match=r"batch\['labels'\]: expected shape \(4,\)"):
        made.loss({**batch, "labels": torch.zeros(4, 1).long()})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "triplet"}, "loss: expected one of 'contrastive'"),
        ({"temperature": 0.0}, "temperature: expected a positive number"),
        ({"width": -1}, "width: expected"),
        ({"neighbours": 0}, "neighbours: expected"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        task(**options)


def test_softmax_needs_classes_and_every_loss_a_pooling() -> None:
    with pytest.raises(ValueError, match="num_classes: expected at least 1"):
        create_task("retrieval", "test_vit", {"loss": "normalized_softmax"}, num_classes=0)
    backbone = create_model("test_vit", num_classes=0)
    backbone.reset_classifier(0, "")
    with pytest.raises(ValueError, match=r"backbone.global_pool: expected a pooling"):
        create_task("retrieval", backbone)
