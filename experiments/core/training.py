"""The training loop of all tasks.

The task has the loss, the data source the batches. Every random choice of a step follows from
(seed, step) alone and not from what ran before, so a run that is killed and continued draws the
same crops and ends in the same bits on the same machine.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from experiments.core.batches import training_batches
from experiments.core.checkpoint import load_checkpoint, load_weights, save_checkpoint, save_weights
from experiments.core.config import OptimizerConfig, RunConfig
from experiments.core.distributed import shared, whole
from experiments.core.folder import RunFolder
from experiments.core.mixing import mixer
from experiments.core.preparation import prepare
from experiments.core.step import check_share, gradients
from experiments.core.weight_average import WeightAverage
from wavevit.interop.timm_import import import_timm
from wavevit.tasks import Task, create_task
from wavevit.tasks.gathering import rank_and_world

__all__ = [
    "AbandonedError",
    "NonFiniteLossError",
    "learning_rate",
    "make_model",
    "make_optimizer",
    "make_task",
    "train",
]

_LOG_EVERY = 10
# What the loss draws (noise, masks) is another stream than the crops that the same step draws.
_LOSS_SEEDS = 2**40
_RANK_SEEDS = 2**48


def make_task(config: RunConfig) -> Task:
    """The task of a run on its backbone, with the weights of its seed."""
    torch.manual_seed(config.seed)
    return create_task(config.task, config.model, config.task_options)


def make_model(config: RunConfig) -> nn.Module:
    """The network of a run's task, with the weights of its seed."""
    return make_task(config).network()


class NonFiniteLossError(RuntimeError):
    """The loss or its gradient became NaN or infinite; the run cannot go on."""


class AbandonedError(RuntimeError):
    """Nobody waits for the run any more; its last checkpoint stays."""


def learning_rate(config: OptimizerConfig, step: int) -> float:
    """Linear warm-up, then a cosine that reaches zero after the last step (`step` from 0)."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1)
    return config.lr * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(model: Task, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimiser; no decay on vectors (biases, norms, gains) and on what the task exempts.

    Raises:
        ImportError: LAMB without timm.
    """
    exempt = model.no_weight_decay()
    decayed: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.trainable():
        matrix = sum(side != 1 for side in parameter.shape) > 1
        decayed[matrix and name not in exempt].append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": decayed[True], "weight_decay": config.weight_decay},
        {"params": decayed[False], "weight_decay": 0.0},
    ]
    if config.name == "lamb":
        import_timm()
        from timm.optim import Lamb

        # Gradients are clipped by the loop, as for AdamW.
        lamb: torch.optim.Optimizer = Lamb(
            groups, lr=config.lr, betas=config.betas, max_grad_norm=None
        )
        return lamb
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)


def _step_seed(seed: int, step: int) -> int:
    return (seed + 1) * 1_000_003 + step


def train(
    config: RunConfig,
    folder: RunFolder,
    device: torch.device,
    *,
    label: str = "",
    position: int = 0,
    still_wanted: Callable[[], bool] = lambda: True,
    parallel: str = "ddp",
    snapshots: Collection[int] = (),
) -> Task:
    """Trains to the end, from the folder's checkpoint where there is one.

    With a process group of several ranks (`experiments.core.distributed`) all of them call it; they
    share each batch, and rank 0 writes.

    Args:
        config: the run.
        folder: where it is kept; complete weights there are loaded, not trained again.
        device: where to compute.
        label: shown at the progress bar.
        position: line of the progress bar, for several runs side by side.
        still_wanted: asked at every step; a False stops the run at its last checkpoint.
        parallel: how several ranks share the model (`experiments.core.distributed.shared`).
        snapshots: numbers of steps after which the weights are kept as well
            (`RunFolder.snapshot`), as they would be kept if training ended there.

    Raises:
        NonFiniteLossError: with step and learning rate in the message; weights stay unwritten.
        AbandonedError: `still_wanted` said no.
        ValueError: a batch or a task that the ranks cannot share.
    """
    task = make_task(config).to(device)
    if folder.weights.exists():
        load_weights(folder.weights, task.network())
        return task
    schedule, execution = config.optimizer, config.execution
    check_share(schedule.batch_size, execution.accumulate, task.reduction)
    rank, world = rank_and_world()
    batches, mix = training_batches(config, device, rank, world), mixer(config)
    average = WeightAverage(task, execution.ema, parallel) if execution.ema else None
    prepare(task, execution)
    model = shared(task, parallel)
    optimizer = make_optimizer(task, schedule)
    start = 0
    if folder.checkpoint.exists():
        start = load_checkpoint(folder.checkpoint, task, optimizer, average)
    if rank == 0:
        folder.keep_metrics_until(start)
    batches.resume(folder.path, start)
    # Without a fixed workspace cuBLAS is not deterministic, and torch refuses to call it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Else torch fills every new tensor with NaN before it is written: a twentieth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    task.train()
    in_place = average is not None and execution.ema_use == "in place"
    kept = average.task if average is not None and in_place else task
    if start == 0 and 0 in snapshots:
        save_weights(folder.snapshot(0), kept.network())
    bar = tqdm(
        total=schedule.steps,
        initial=start,
        desc=label,
        position=position,
        leave=False,
        unit="step",
        mininterval=0.5,
        disable=None if rank == 0 else True,
        dynamic_ncols=True,
    )
    with bar:
        for step in range(start, schedule.steps):
            if not still_wanted():
                raise AbandonedError(f"stopped before step {step}")
            seed = _step_seed(config.seed, step)
            batch = batches(schedule.batch_size, seed, step)
            if mix is not None:
                batch = mix(batch, seed)
            if rank:  # dropout of other examples draws other numbers
                torch.manual_seed(seed + rank * _RANK_SEEDS)
            rate = learning_rate(schedule, step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            losses = gradients(
                model, batch, _LOSS_SEEDS + seed, execution.accumulate, execution.precision
            )
            value = losses.total
            norm = float(whole(nn.utils.clip_grad_norm_(task.parameters(), schedule.clip)))
            if not (math.isfinite(value) and math.isfinite(norm)):
                raise NonFiniteLossError(
                    f"loss {value}, gradient norm {norm} at step {step} of {schedule.steps}, "
                    f"learning rate {rate:.3g}"
                )
            optimizer.step()
            if average is not None:
                average.update(task)
            done = step + 1
            if rank == 0 and (done % _LOG_EVERY == 0 or done == schedule.steps):
                folder.log(step=done, loss=value, **losses.others, grad_norm=norm, lr=rate)
                bar.set_postfix(
                    {"loss": f"{value:.3f}"}
                    | {name: f"{item:.3g}" for name, item in losses.others.items()},
                    refresh=False,
                )
            bar.update()
            # Before the checkpoint: a run that resumes there has all snapshots of before.
            if done in snapshots and done < schedule.steps:
                save_weights(folder.snapshot(done), kept.network())
            if done % config.checkpoint_every == 0 and done < schedule.steps:
                batches.save(folder.path, done)
                save_checkpoint(folder.checkpoint, task, optimizer, done, average)
    batches.report(folder.path)
    if average is not None and not in_place:
        save_weights(folder.ema, average.task.network())
    save_weights(folder.weights, kept.network())
    if rank == 0:
        folder.checkpoint.unlink(missing_ok=True)
    batches.finish(folder.path)
    if world == 1 and kept is task and not execution.compile:
        return task
    # The file has the weights; these modules are spread over ranks, compiled, or not the average.
    finished = make_task(config).to(device)
    if rank == 0:
        load_weights(folder.weights, finished.network())
    return finished
