"""Exponential moving average of a task's weights, on one or several ranks."""

from __future__ import annotations

from typing import cast

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from experiments.core.distributed import shared
from wavevit.tasks import Task
from wavevit.tasks.gathering import rank_and_world

__all__ = ["WeightAverage"]


class WeightAverage(nn.Module):
    """torch's `AveragedModel` of a task; with ``"fsdp"`` spread over the ranks as the task is.

    Statistics that layers keep, such as those of a batch norm, are averaged as the weights are:
    they are of what the weights of their time computed. (`AveragedModel` takes the last ones, or
    averages constants too, which makes NaN of the infinities in a mask and lowers indices by one:
    findings/torch_ema_of_buffers_moves_indices.sh.)

    Args:
        task: before ranks share it: `fully_shard` modules cannot be copied.
        decay: of the average; after n steps from weights w the oldest has the share ``decay**n``.
        parallel: see `experiments.core.distributed.shared`.
    """

    def __init__(self, task: Task, decay: float, parallel: str) -> None:
        super().__init__()
        self.averaged = AveragedModel(task, multi_avg_fn=get_ema_multi_avg_fn(decay))
        self.averaged.requires_grad_(False)
        self.decay, kept = decay, self.task.state_dict()
        self.statistics = tuple(
            name
            for name, buffer in self.task.named_buffers()
            if name in kept and buffer.is_floating_point()  # what is no part of it is constant
        )
        if parallel == "fsdp" and rank_and_world()[1] > 1:
            shared(self.task, parallel)

    @property
    def task(self) -> Task:
        """The task with the averaged weights."""
        return cast("Task", self.averaged.module)

    def update(self, task: Task) -> None:
        """Takes the weights of a step into the average."""
        first = not bool(self.averaged.n_averaged)
        before = [self.task.get_buffer(name).clone() for name in self.statistics]
        self.averaged.update_parameters(task)  # the buffers are the task's now
        if first:
            return
        for name, old in zip(self.statistics, before, strict=True):
            self.task.get_buffer(name).lerp_(old, self.decay)
