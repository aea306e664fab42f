"""wavevit: is cutting an image into fixed patches a bad idea, and do wavelets fix it?

Importing this imports torch and nothing heavier.
"""

from wavevit.alignment import align
from wavevit.models import (
    Backbone,
    BackboneConfig,
    StageConfig,
    create_model,
    fold,
    list_models,
    make_stages,
    model_config,
    register_model,
    unfold,
)

__version__ = "0.1.0"

__all__ = [
    "Backbone",
    "BackboneConfig",
    "StageConfig",
    "align",
    "create_model",
    "fold",
    "list_models",
    "make_stages",
    "model_config",
    "register_model",
    "unfold",
]
