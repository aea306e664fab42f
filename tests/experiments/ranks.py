"""What the tests of several ranks run in each process; it imports without pytest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from experiments.core.batches import rank_slice
from experiments.core.distributed import PARALLEL, shared, whole
from experiments.core.folder import RunFolder
from experiments.core.step import gradients
from experiments.core.training import AbandonedError, train
from tests.experiments.noise_source import noise_run
from wavevit.tasks import Task, create_task
from wavevit.tasks.gathering import alone, rank_and_world

__all__ = ["COUNT", "SHARDED", "TASKS", "checks_on_a_rank", "step_of", "train_until"]

COUNT = 4
SHARDED = ("classification", "contrastive", "masked")
SNAPSHOTS = (0, 3, 9)  # steps; between and at the changes of ranks
TASKS = ("captioning", "classification", "contrastive", "detection", "masked", "segmentation")
_CPU = torch.device("cpu")


def _task(name: str) -> Task:
    torch.manual_seed(0)
    task = create_task(name, "test_vit", num_classes=4, img_size=32)
    return task.double()


def _batch(task: Task, name: str) -> dict[str, Any]:
    batch = task.dummy_batch(COUNT, torch.Generator().manual_seed(1))
    if name == "segmentation":  # the ranks know the classes of different numbers of pixels
        batch["labels"][0, :20] = task.options.ignore
    return batch


def step_of(name: str, parallel: str = "ddp", accumulate: int = 1) -> dict[str, Tensor]:
    """Loss and gradients of one step of a task, in float64, on all ranks or on this process."""
    task = _task(name)
    batch = rank_slice(_batch(task, name), *rank_and_world())
    losses = gradients(shared(task, parallel), batch, seed=5, accumulate=accumulate)
    found = {"loss": torch.tensor(losses.total, dtype=torch.float64)}
    for parameter, p in task.named_parameters():
        if p.grad is not None:
            found[parameter] = whole(p.grad)
    return found


def train_until(
    folder: RunFolder, stop: int, parallel: str = "ddp", snapshots: tuple[int, ...] = ()
) -> None:
    """Trains a claimed run and stops it before a step."""
    left = iter(range(10**6))
    start = int(folder.checkpoint.exists()) and int(_step(folder))
    try:
        config = folder.load_config()
        wanted = lambda: next(left) < stop - start  # noqa: E731
        train(
            config,
            folder,
            _CPU,
            still_wanted=wanted,
            parallel=parallel,
            snapshots=snapshots,
        )
    except AbandonedError:
        return


def _step(folder: RunFolder) -> str:
    import safetensors

    with safetensors.safe_open(folder.checkpoint, "pt") as file:
        step: str = file.metadata()["step"]
    return step


def checks_on_a_rank(rank: int, path: str) -> dict[str, Any]:
    """Steps of all tasks, and a run that changes ranks and sharding at each checkpoint."""
    found: dict[str, Any] = {"ddp": {name: step_of(name, "ddp") for name in TASKS}}
    found["fsdp"] = {name: step_of(name, "fsdp") for name in SHARDED}
    found["accumulated"] = {name: step_of("masked", name, accumulate=2) for name in PARALLEL}
    folder = RunFolder(Path(path))
    if rank == 0:
        folder.claim(noise_run(ema=0.5))
    dist.barrier()
    train_until(folder, 4, "fsdp", SNAPSHOTS)
    dist.barrier()
    if rank == 0:
        with alone():
            assert rank_and_world() == (0, 1)
            train_until(folder, 6, snapshots=SNAPSHOTS)
    dist.barrier()
    train_until(folder, 10, "ddp", SNAPSHOTS)
    dist.barrier()
    train_until(folder, 100, "fsdp", SNAPSHOTS)
    return found
