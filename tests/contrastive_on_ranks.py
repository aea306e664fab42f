"""Tasks on a part of a batch: what the tests of several ranks run in each process."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from wavevit.tasks import Task, create_task, sliced

__all__ = ["OTHERS", "contrastive", "examples", "gradients", "other", "pairs", "shared_gradients"]

COUNT = 8
# Further tasks whose loss is over the examples of all ranks, with their options.
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "retrieval": ("retrieval", {"width": 8}),
    "normalized_softmax": (
        "retrieval",
        {"width": 8, "loss": "normalized_softmax", "num_classes": COUNT},
    ),
    "detection": ("detection", {"num_classes": 3, "strides": (8, 16), "width": 8}),
}


def contrastive(loss: str, **options: Any) -> Task:
    torch.manual_seed(0)
    task = create_task("contrastive", "test_vit", {"loss": loss, **options}, img_size=32)
    return task.double()


def pairs(task: Task, count: int = COUNT) -> dict[str, Any]:
    batch = task.dummy_batch(count, torch.Generator().manual_seed(1))
    batch["images"] = batch["images"].double()
    return batch


def other(name: str) -> Task:
    torch.manual_seed(0)
    task, options = OTHERS[name]
    return create_task(task, "test_vit", options, img_size=32).double()


def examples(name: str, task: Task) -> dict[str, Any]:
    """A batch; of two images that belong together, each half has one. Boxes are uneven."""
    batch = pairs(task)
    if name == "detection":
        batch["boxes"] = [boxes.double() for boxes in batch["boxes"]]
        batch["boxes"][0], batch["labels"][0] = batch["boxes"][0][:0], batch["labels"][0][:0]
    else:
        batch["labels"] = torch.arange(COUNT) % (COUNT // 2)
    return batch


def gradients(task: Task, model: torch.nn.Module, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The loss and the gradient of every parameter."""
    total = model(batch).total
    total.backward()
    found = {name: p.grad.clone() for name, p in task.named_parameters() if p.grad is not None}
    return {"loss": total.detach(), **found}


def shared_gradients(rank: int, losses: list[str]) -> dict[str, Any]:
    """On one of two ranks: `gradients` of its half of the batch, and an error for uneven halves."""
    found: dict[str, Any] = {}
    for loss in losses:
        task = contrastive(loss)
        half = sliced(pairs(task), rank * COUNT // 2, (rank + 1) * COUNT // 2)
        found[loss] = gradients(task, DistributedDataParallel(task), half)
    for name in OTHERS:
        one = other(name)
        half = sliced(examples(name, one), rank * COUNT // 2, (rank + 1) * COUNT // 2)
        found[name] = gradients(one, DistributedDataParallel(one), half)
    try:
        task.loss(pairs(task, 3 + rank))
    except ValueError as error:
        found["uneven"] = str(error)
    return found
