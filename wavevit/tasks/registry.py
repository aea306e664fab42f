"""Registry of tasks by name: `create_task`, `list_tasks`, `register_task`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import nn

from wavevit.checks import fail
from wavevit.layers.registry import Registry
from wavevit.models import Backbone, BackboneConfig, create_model
from wavevit.tasks.base import Task, TaskOptions

__all__ = ["TASKS", "create_task", "list_tasks", "register_task"]

Registered = TypeVar("Registered", bound=type[Task])

TASKS: Registry[Task] = Registry("task", Task)


def register_task(name: str) -> Callable[[Registered], Registered]:
    """Decorator: registers a `Task` under a name for `create_task` and for studies.

    Raises:
        ValueError: a name that is taken, a class that is no task, or bad `Options`.
    """
    return TASKS.register(name)


def list_tasks() -> list[str]:
    """Names of all tasks, sorted.

    Example:
        >>> "classification" in list_tasks()
        True
    """
    return list(TASKS.names())


def create_task(
    name: str,
    backbone: str | BackboneConfig | Backbone,
    options: TaskOptions | Mapping[str, Any] | None = None,
    **changes: Any,
) -> Task:
    """Builds a task on a backbone.

    Args:
        name: one of `list_tasks`.
        backbone: the name of a model, a configuration, or a `Backbone`, which is used itself and
            not copied.
        options: the task's `Options`, as an instance or a mapping; None for the defaults.
        **changes: fields of `BackboneConfig` to change (``num_classes``, ``in_chans``,
            ``img_size``, …), with a name or a configuration.

    Raises:
        ValueError: an unknown task, model, option or field, or a backbone on which the task
            cannot run; the message says why.

    Example:
        >>> import torch
        >>> task = create_task("classification", "test_haar_vit", num_classes=5, img_size=64)
        >>> batch = task.dummy_batch(2)
        >>> task.predict(batch)["classes"].shape
        torch.Size([2])
    """
    kind = TASKS.get(name)
    settled = TASKS.options("options", name, options)
    if isinstance(backbone, str):
        made: nn.Module = create_model(backbone, **changes)
    elif isinstance(backbone, BackboneConfig):
        made = Backbone(dataclasses.replace(backbone, **changes))
    elif changes:
        fail("changes", "none with a ready backbone", sorted(changes))
    else:
        made = backbone
    if not isinstance(made, Backbone):
        fail("backbone", "the name of a model, a BackboneConfig or a Backbone", type(made).__name__)
    return kind.build(made, settled)
