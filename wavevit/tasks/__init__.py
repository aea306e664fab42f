"""Tasks: what a backbone is trained for, one file each.

Importing this package registers all tasks of wavevit. Register your own with `register_task`.
"""

from wavevit.lazy import lazy_submodules
from wavevit.tasks.autoregressive import Autoregressive
from wavevit.tasks.base import Batch, Losses, NoTaskOptions, Results, Task, TaskOptions
from wavevit.tasks.captioning import Captioning
from wavevit.tasks.classification import Classification
from wavevit.tasks.contrastive import Contrastive, zero_shot
from wavevit.tasks.detection import Detection
from wavevit.tasks.diffusion import Diffusion
from wavevit.tasks.draws import PartGenerator, draw_examples
from wavevit.tasks.feature_pyramid import FeaturePyramid
from wavevit.tasks.inpainting import harmonic_inpainting
from wavevit.tasks.masked import Masked
from wavevit.tasks.memorisation import nearest_distances
from wavevit.tasks.recall import recalls
from wavevit.tasks.registry import TASKS, create_task, list_tasks, register_task
from wavevit.tasks.results import joined, sliced
from wavevit.tasks.retrieval import Retrieval
from wavevit.tasks.segmentation import Segmentation

__all__ = [
    "TASKS",
    "Autoregressive",
    "Batch",
    "Captioning",
    "Classification",
    "Contrastive",
    "Detection",
    "Diffusion",
    "FeaturePyramid",
    "Losses",
    "Masked",
    "NoTaskOptions",
    "PartGenerator",
    "Results",
    "Retrieval",
    "Segmentation",
    "Task",
    "TaskOptions",
    "create_task",
    "draw_examples",
    "harmonic_inpainting",
    "joined",
    "list_tasks",
    "nearest_distances",
    "recalls",
    "register_task",
    "sliced",
    "zero_shot",
]

__getattr__, __dir__ = lazy_submodules(__name__, __path__)
