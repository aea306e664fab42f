"""The training loop of all tasks.

The task has the loss, the data source the batches. Every random choice of a step follows from
(seed, step) alone and not from what ran before, so a run that is killed and continued draws the
same crops and ends in the same bits on the same machine.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import nn
from tqdm import tqdm

from experiments.core.batches import training_batches
from experiments.core.checkpoint import load_checkpoint, load_weights, save_checkpoint, save_weights
from experiments.core.config import OptimizerConfig, RunConfig
from experiments.core.folder import RunFolder
from wavevit.tasks import Task, create_task

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


def make_optimizer(model: Task, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW; no decay on vectors (biases, norms, gains) and on what the task exempts."""
    exempt = model.no_weight_decay()
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.trainable():
        groups[parameter.squeeze().ndim > 1 and name not in exempt].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": groups[True], "weight_decay": config.weight_decay},
            {"params": groups[False], "weight_decay": 0.0},
        ],
        lr=config.lr,
        betas=config.betas,
        fused=True,
    )


def _step_seed(seed: int, step: int) -> int:
    return (seed + 1) * 1_000_003 + step


def _precision(device: torch.device) -> torch.autocast | nullcontext[None]:
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def train(
    config: RunConfig,
    folder: RunFolder,
    device: torch.device,
    *,
    label: str = "",
    position: int = 0,
    still_wanted: Callable[[], bool] = lambda: True,
) -> Task:
    """Trains to the end, from the folder's checkpoint where there is one.

    Args:
        config: the run.
        folder: where it is kept; complete weights there are loaded, not trained again.
        device: where to compute.
        label: shown at the progress bar.
        position: line of the progress bar, for several runs side by side.
        still_wanted: asked at every step; a False stops the run at its last checkpoint.

    Raises:
        NonFiniteLossError: with step and learning rate in the message; weights stay unwritten.
        AbandonedError: `still_wanted` said no.
    """
    task = make_task(config).to(device)
    if folder.weights.exists():
        load_weights(folder.weights, task.network())
        return task
    schedule = config.optimizer
    batches = training_batches(config, device)
    optimizer = make_optimizer(task, schedule)
    start = 0
    if folder.checkpoint.exists():
        start = load_checkpoint(folder.checkpoint, task, optimizer)
    folder.keep_metrics_until(start)
    batches.resume(folder.path, start)
    # Without a fixed workspace cuBLAS is not deterministic, and torch refuses to call it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    task.train()
    bar = tqdm(
        total=schedule.steps,
        initial=start,
        desc=label,
        position=position,
        leave=False,
        unit="step",
        mininterval=0.5,
        disable=None,
        dynamic_ncols=True,
    )
    with bar:
        for step in range(start, schedule.steps):
            if not still_wanted():
                raise AbandonedError(f"stopped before step {step}")
            seed = _step_seed(config.seed, step)
            batch = batches(schedule.batch_size, seed, step)
            rate = learning_rate(schedule, step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with _precision(device):
                losses = task(batch, torch.Generator().manual_seed(_LOSS_SEEDS + seed))
                loss = losses.total
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = float(nn.utils.clip_grad_norm_(task.parameters(), schedule.clip))
            value = loss.item()
            if not (math.isfinite(value) and math.isfinite(norm)):
                raise NonFiniteLossError(
                    f"loss {value}, gradient norm {norm} at step {step} of {schedule.steps}, "
                    f"learning rate {rate:.3g}"
                )
            optimizer.step()
            done = step + 1
            if done % _LOG_EVERY == 0 or done == schedule.steps:
                report = {name: float(item) for name, item in losses.report.items()}
                if len(losses.parts) > 1:
                    report |= {name: float(item.detach()) for name, item in losses.parts.items()}
                folder.log(step=done, loss=value, **report, grad_norm=norm, lr=rate)
                bar.set_postfix(
                    {"loss": f"{value:.3f}"}
                    | {name: f"{item:.3g}" for name, item in report.items()},
                    refresh=False,
                )
            bar.update()
            if done % config.checkpoint_every == 0 and done < schedule.steps:
                batches.save(folder.path, done)
                save_checkpoint(folder.checkpoint, task, optimizer, done)
    batches.report(folder.path)
    save_weights(folder.weights, task.network())
    folder.checkpoint.unlink(missing_ok=True)
    batches.finish(folder.path)
    return task
