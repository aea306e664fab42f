"""Classification with shares of classes and with the binary cross-entropy."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from wavevit.tasks import Task, create_task


def made(**options: object) -> Task:
    torch.manual_seed(0)
    return create_task("classification", "test_vit", options, num_classes=3, img_size=16)


@torch.no_grad()
def test_shares_of_one_class_are_that_class() -> None:
    task = made()
    labels = torch.tensor([2, 0])
    batch = {"images": torch.randn(2, 3, 16, 16), "labels": labels}
    soft = {**batch, "labels": F.one_hot(labels, 3).float()}
    one, two = task.loss(batch), task.loss(soft)
    torch.testing.assert_close(one.total, two.total)
    assert one.report["accuracy"] == two.report["accuracy"]
    assert torch.equal(task.evaluate(batch)["top1"], task.evaluate(soft)["top1"])
    half = {**batch, "labels": torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])}
    assert float(task.loss(half).total) != float(one.total)


@torch.no_grad()
def test_binary_cross_entropy_counts_every_class_with_a_share_as_right() -> None:
    task = made(loss="bce", label_smoothing=0.0)
    images = torch.randn(1, 3, 16, 16)
    found = task.loss({"images": images, "labels": torch.tensor([[0.7, 0.3, 0.0]])}).total
    logits = task.logits(images)
    wanted = -(F.logsigmoid(logits[0, :2]).sum() + F.logsigmoid(-logits[0, 2])) / 3
    torch.testing.assert_close(found, wanted)
    hard = task.loss({"images": images, "labels": torch.tensor([1])}).total
    assert float(hard) != float(found)


def test_bad_shares_and_options_are_refused() -> None:
    task = made()
    images = torch.randn(1, 3, 16, 16)
    for labels, message in (
        (torch.ones(1, 2) / 2, r"shape \(1, 3\)"),
        (torch.tensor([[1.5, -0.5, 0.0]]), "shares of at least 0"),
        (torch.tensor([[0.5, 0.0, 0.0]]), "shares that sum to 1"),
        (torch.tensor([0.5]), "a tensor of integers"),
    ):
        with pytest.raises(ValueError, match=message):
            task.loss({"images": images, "labels": labels})
    with pytest.raises(ValueError, match="label_smoothing: expected 0 for the loss 'bce'"):
        made(loss="bce")


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_labels_of_every_integer_dtype_give_one_loss(loss: str, dtype: torch.dtype) -> None:
    """numpy and pandas give 32 bits, pictures 8; torch's cross-entropy takes 8 and 64 only."""
    task = made(loss=loss, label_smoothing=0.0)
    images, labels = torch.randn(2, 3, 16, 16), torch.tensor([2, 0])
    losses = [
        task.eval().loss({"images": images, "labels": given}).total
        for given in (labels, labels.to(dtype))
    ]
    assert torch.equal(*losses)
