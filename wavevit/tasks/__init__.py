"""Tasks: what a backbone is trained for, one file each.

Importing this package registers all tasks of wavevit. Register your own with `register_task`.
"""

from wavevit.lazy import lazy_submodules
from wavevit.tasks.autoregressive import Autoregressive
from wavevit.tasks.base import Batch, Losses, NoTaskOptions, Results, Task, TaskOptions
from wavevit.tasks.classification import Classification
from wavevit.tasks.diffusion import Diffusion
from wavevit.tasks.inpainting import harmonic_inpainting
from wavevit.tasks.masked import Masked
from wavevit.tasks.memorisation import nearest_distances
from wavevit.tasks.registry import TASKS, create_task, list_tasks, register_task
from wavevit.tasks.results import joined, sliced

__all__ = [
    "TASKS",
    "Autoregressive",
    "Batch",
    "Classification",
    "Diffusion",
    "Losses",
    "Masked",
    "NoTaskOptions",
    "Results",
    "Task",
    "TaskOptions",
    "create_task",
    "harmonic_inpainting",
    "joined",
    "list_tasks",
    "nearest_distances",
    "register_task",
    "sliced",
]

__getattr__, __dir__ = lazy_submodules(__name__, __path__)
