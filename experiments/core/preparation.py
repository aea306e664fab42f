"""Changes of a task before it is trained: recomputed activations and compiled blocks."""

from __future__ import annotations

from experiments.core.config import ExecutionConfig
from wavevit.tasks import Task

__all__ = ["prepare"]


def prepare(task: Task, execution: ExecutionConfig) -> None:
    """Applies what the configuration asks for, in place, before ranks share the task.

    Blocks are compiled one by one: equal blocks share one compilation, the names of the weights
    stay, and `fully_shard` gathers each block around its compiled code.
    """
    if execution.checkpoint_blocks:
        task.backbone.set_grad_checkpointing(True)
    if execution.compile:
        for unit in task.fsdp_units():
            unit.compile()
