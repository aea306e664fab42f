"""What a run learns, by the name of its task, and the training loop.

The loss is the cross-entropy of every task: over images (B, classes), or pixels (B, classes, H, W).
Every random choice of a step follows from (seed, step) alone and not from what ran before, so a
run that is killed and continued draws the same crops and ends in the same bits on the same
machine.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from experiments.core import evaluation
from experiments.core.augmentation import TrainingCrops
from experiments.core.checkpoint import load_checkpoint, load_weights, save_checkpoint, save_weights
from experiments.core.config import DataConfig, OptimizerConfig, RunConfig
from experiments.core.folder import RunFolder
from experiments.core.segmentation import measures
from experiments.core.segmentation.composites import TrainingComposites
from experiments.core.segmentation.segmenter import Segmenter
from wavevit.models import Backbone, BackboneConfig

__all__ = [
    "TASKS",
    "AbandonedError",
    "Batches",
    "Model",
    "NonFiniteLossError",
    "Task",
    "learning_rate",
    "make_model",
    "make_optimizer",
    "train",
]

_LOG_EVERY = 10

Model = Backbone | Segmenter


class Batches(Protocol):
    """Training data whose every batch follows from a seed."""

    def batch(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Images and labels on the device."""
        ...


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        model: from the backbone's configuration.
        batches: from the crops' configuration and a device.
        evaluate: from a trained model, the crops' configuration, a device and names of further
            measures: plain data.
        further: the same of the further measures alone.
        score: the key of `evaluate`'s result that is told when a run ends, in %.
        title: of it, for people.
    """

    model: Callable[[BackboneConfig], Model]
    batches: Callable[[DataConfig, torch.device], Batches]
    evaluate: Callable[[Any, DataConfig, torch.device, Sequence[str]], dict[str, Any]]
    further: Callable[[Any, DataConfig, torch.device, Sequence[str]], dict[str, Any]]
    score: str
    title: str


TASKS: dict[str, Task] = {
    "classification": Task(
        Backbone, TrainingCrops, evaluation.evaluate, evaluation.further, "top1", "top-1"
    ),
    "segmentation": Task(
        Segmenter, TrainingComposites, measures.evaluate_segmenter, measures.further, "miou", "mIoU"
    ),
}


def make_model(config: RunConfig) -> Model:
    """The model of a run's task, with the weights of its seed."""
    torch.manual_seed(config.seed)
    return TASKS[config.task].model(config.model)


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


def make_optimizer(model: Model, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW; no decay on vectors (biases, norms, gains) and on what the model exempts."""
    exempt = model.no_weight_decay()
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
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
) -> Model:
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
    model = make_model(config).to(device)
    if folder.weights.exists():
        load_weights(folder.weights, model)
        return model
    schedule, data = config.optimizer, config.data
    crops = TASKS[config.task].batches(data, device)
    optimizer = make_optimizer(model, schedule)
    start = 0
    if folder.checkpoint.exists():
        start = load_checkpoint(folder.checkpoint, model, optimizer)
    folder.keep_metrics_until(start)
    # Without a fixed workspace cuBLAS is not deterministic, and torch refuses to call it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    model.train()
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
            images, labels = crops.batch(schedule.batch_size, _step_seed(config.seed, step))
            rate = learning_rate(schedule, step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with _precision(device):
                logits = model(images)
                loss = F.cross_entropy(
                    logits.float(), labels, label_smoothing=schedule.label_smoothing
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = float(nn.utils.clip_grad_norm_(model.parameters(), schedule.clip))
            value = loss.item()
            if not (math.isfinite(value) and math.isfinite(norm)):
                raise NonFiniteLossError(
                    f"loss {value}, gradient norm {norm} at step {step} of {schedule.steps}, "
                    f"learning rate {rate:.3g}"
                )
            optimizer.step()
            done = step + 1
            if done % _LOG_EVERY == 0 or done == schedule.steps:
                accuracy = float((logits.argmax(1) == labels).float().mean())
                folder.log(step=done, loss=value, accuracy=accuracy, grad_norm=norm, lr=rate)
                bar.set_postfix(loss=f"{value:.3f}", accuracy=f"{accuracy:.0%}", refresh=False)
            bar.update()
            if done % config.checkpoint_every == 0 and done < schedule.steps:
                save_checkpoint(folder.checkpoint, model, optimizer, done)
    save_weights(folder.weights, model)
    folder.checkpoint.unlink(missing_ok=True)
    return model
