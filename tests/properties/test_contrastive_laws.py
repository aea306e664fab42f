"""Contrastive model (ranks: retrieval and detection too): permutations, limits, recall."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tests.contrastive_on_ranks import (
    COUNT,
    OTHERS,
    contrastive,
    examples,
    gradients,
    other,
    pairs,
    shared_gradients,
)
from tests.two_ranks import on_two_ranks
from wavevit.tasks import Contrastive, create_task, recalls, sliced, zero_shot

LOSSES = ["infonce", "siglip"]
EXACT = 1e-10


def distance(one: torch.Tensor, two: torch.Tensor) -> float:
    one, two = one.detach(), two.detach()
    return float((one - two).abs().max()) / (float(two.abs().max()) or 1.0)


def test_loss_and_gradients_on_two_ranks_equal_those_on_one(tmp_path: Path) -> None:
    """With DistributedDataParallel; batches of different size are refused on every rank."""
    ranks = on_two_ranks(tmp_path, shared_gradients, LOSSES)
    for loss in (*LOSSES, *OTHERS):
        task = other(loss) if loss in OTHERS else contrastive(loss)
        batch = examples(loss, task) if loss in OTHERS else pairs(task)
        expected = gradients(task, task, batch)
        assert len(expected) == 1 + len(list(task.named_parameters()))
        for found in ranks:
            assert set(found[loss]) == set(expected)
            # Gradients that are 0 but for rounding, as of keys' biases, need a common scale.
            largest = max(float(value.abs().max()) for value in expected.values())
            for name, value in expected.items():
                assert float((found[loss][name] - value).abs().max()) < EXACT * largest, name
    for found in ranks:
        assert "as many examples on every rank, got [3, 4]" in found["uneven"]


@pytest.mark.parametrize("loss", LOSSES)
def test_negative_control_ranks_that_do_not_gather_have_another_loss(loss: str) -> None:
    task = contrastive(loss)
    whole = task.loss(pairs(task)).total
    halves = [sliced(pairs(task), start, start + COUNT // 2) for start in (0, COUNT // 2)]
    apart = torch.stack([task.loss(half).total for half in halves]).mean()
    assert distance(apart, whole) > 1e-6


def test_negative_control_detection_on_ranks_alone_has_another_loss() -> None:
    task = other("detection")
    batch = examples("detection", task)
    halves = [sliced(batch, start, start + COUNT // 2) for start in (0, COUNT // 2)]
    apart = torch.stack([task.loss(half).total for half in halves]).mean()
    assert distance(apart, task.loss(batch).total) > 1e-6


@pytest.mark.parametrize("loss", LOSSES)
def test_permuted_batch_permutes_the_logits(loss: str) -> None:
    task = contrastive(loss)
    batch = pairs(task)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(2))
    moved = {
        "images": batch["images"][order],
        "texts": [batch["texts"][index] for index in order],
    }

    def logits(batch: dict[str, object]) -> torch.Tensor:
        found = task.predict(batch)
        return task.similarities(found["image_embeddings"], found["text_embeddings"])

    assert distance(logits(moved), logits(batch)[order][:, order]) < EXACT
    assert distance(task.loss(moved).total, task.loss(batch).total) < EXACT
    # Negative control: texts that stay behind.
    wrong = {**moved, "texts": batch["texts"]}
    assert distance(logits(wrong), logits(batch)[order][:, order]) > 1e-3
    assert distance(task.loss(wrong).total, task.loss(batch).total) > 1e-6


@pytest.mark.parametrize("loss", LOSSES)
def test_loss_by_its_formula(loss: str) -> None:
    task = contrastive(loss)
    batch = pairs(task)
    found = task.predict(batch)
    cosines = found["image_embeddings"] @ found["text_embeddings"].T
    factor = float(task.log_scale.detach().exp())
    if loss == "infonce":
        table = factor * cosines
        rows, columns = table.log_softmax(1).diagonal(), table.log_softmax(0).diagonal()
        expected = -(rows.mean() + columns.mean()) / 2
    else:
        table = factor * cosines + float(task.bias.detach())
        signs = 2 * torch.eye(COUNT) - 1
        expected = torch.log1p(torch.exp(-signs * table)).sum() / COUNT
    assert distance(task.loss(batch).total, expected) < EXACT


def test_similarities_are_scaled_by_100_at_most() -> None:
    task = contrastive("infonce")
    with torch.no_grad():
        task.log_scale.fill_(9.0)
    scale = task.scale()
    assert float(scale.detach()) == pytest.approx(100)
    scale.sum().backward()  # minimised: back to the limit
    assert float(task.log_scale.grad) > 0
    task.log_scale.grad = None
    (-task.scale()).sum().backward()  # and not away from it
    assert float(task.log_scale.grad) == 0
    with torch.no_grad():
        task.log_scale.fill_(1.0)
    task.log_scale.grad = None
    (-task.scale()).sum().backward()
    assert float(task.log_scale.grad) == pytest.approx(-math.e)


@pytest.mark.parametrize("causal", [True, False])
def test_padding_does_not_change_an_embedding(causal: bool) -> None:
    task = contrastive("infonce", causal=causal)
    alone = task.embed_texts(["a cat"])
    together = task.embed_texts(["a cat", "a large motorcycle below a small clock"])
    assert distance(together[:1], alone) < EXACT
    assert distance(together[1:], alone) > 1e-2  # negative control


def test_zero_shot_classification_averages_the_prompts_of_a_class() -> None:
    task = contrastive("infonce")
    images = pairs(task)["images"]
    logits = zero_shot(task, images, ["a cat", ["a coin", "coins"]])
    one, two, three = task.embed_texts(["a cat", "a coin", "coins"])
    mean = (two + three) / (two + three).norm()
    expected = task.scale() * task.embed_images(images) @ torch.stack([one, mean]).T
    assert distance(logits, expected) < EXACT
    with pytest.raises(ValueError, match=r"prompts\[1\]: expected at least one text"):
        zero_shot(task, images, ["a cat", []])


def test_recall_by_hand() -> None:
    """Two images share a caption; one image is nearest to a wrong one."""
    texts = torch.eye(3).double()
    images = torch.tensor([[1.0, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0, 0.6, 0.5]]).double()
    found = recalls(images, texts[[0, 0, 1, 2]], ["a", "a", "b", "c"], ks=(1, 2))
    assert found["image_to_text_r1"] == 75.0
    assert found["image_to_text_r2"] == 100.0
    assert found["image_to_text_r1_chance"] == pytest.approx(100 / 3)
    # "c" is nearest to its own image, "b" too, "a" to either of two.
    assert found["text_to_image_r1"] == 100.0
    assert found["text_to_image_r1_chance"] == pytest.approx(100 * (2 / 4 + 1 / 4 + 1 / 4) / 3)
    assert found["text_to_image_r2_chance"] == pytest.approx(100 * (5 / 6 + 1 / 2 + 1 / 2) / 3)
    assert (found["gallery_images"], found["gallery_texts"]) == (4.0, 3.0)


def test_captions_of_one_picture_are_all_right() -> None:
    """Two images of picture p, of one text each; each image is nearest to the other one's text."""
    texts = torch.eye(4).double()[:3]
    images = texts[[1, 0, 2]]
    captions = ["a", "b", "c"]
    alone = recalls(images, texts, captions, ks=(1, 2))
    assert alone["image_to_text_r1"] == alone["text_to_image_r1"] == pytest.approx(100 / 3)
    assert alone["image_to_text_r1_chance"] == pytest.approx(100 / 3)
    found = recalls(images, texts, captions, ks=(1, 2), pictures=["p", "p", "q"])
    assert found["image_to_text_r1"] == found["text_to_image_r1"] == 100
    for way in ("image_to_text", "text_to_image"):
        assert found[f"{way}_r1_chance"] == pytest.approx(100 * (2 / 3 + 2 / 3 + 1 / 3) / 3)
        assert found[f"{way}_r2_chance"] == pytest.approx(100 * (1 + 1 + 2 / 3) / 3)
    apart = recalls(images, texts, captions, ks=(1, 2), pictures=["p", "q", "r"])
    assert apart == alone
    # A text of two pictures: all images of both are right for it.
    shared = recalls(texts[[2, 1, 0]], texts, ["a", "b", "a"], ks=(1,), pictures=["p", "p", "q"])
    assert shared["text_to_image_r1"] == 100
    with pytest.raises(ValueError, match="pictures: expected 3 names, or None"):
        recalls(images, texts, captions, pictures=["p"])


@pytest.mark.parametrize("name", ["images", "texts"])
def test_embeddings_of_nan_have_no_recall(name: str) -> None:
    """Nothing is closer than NaN: each right answer would be the nearest one."""
    given = {"images": torch.eye(4), "texts": torch.eye(4)} | {name: torch.full((4, 4), torch.nan)}
    with pytest.raises(ValueError, match=f"{name}: expected finite embeddings, got NaN"):
        recalls(**given, captions=["a", "b", "c", "d"])


@pytest.mark.parametrize("loss", ["infonce", "siglip"])
def test_similarities_keep_their_precision_under_autocast(loss: str) -> None:
    task = create_task("contrastive", "test_vit", {"loss": loss}, img_size=32)
    assert isinstance(task, Contrastive)
    with torch.no_grad():
        task.log_scale.fill_(4.6)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.nn.functional.normalize(torch.randn(2, 5, 64, generator=generator), dim=-1)
    wanted = task.similarities(x, y)
    with torch.autocast("cpu", torch.bfloat16):
        found = task.similarities(x, y)
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)


def test_equal_embeddings_have_no_recall_and_random_ones_that_of_chance() -> None:
    captions = [str(index) for index in range(40)]
    same = torch.ones(40, 4) / 2
    assert recalls(same, same, captions)["image_to_text_r5"] == 0.0
    generator = torch.Generator().manual_seed(0)
    rates = []
    for _ in range(50):
        x, y = torch.nn.functional.normalize(torch.randn(2, 40, 8, generator=generator), dim=-1)
        found = recalls(x, y, captions)
        rates.append(found["image_to_text_r5"])
    assert sum(rates) / 50 == pytest.approx(found["image_to_text_r5_chance"], abs=2.5)
