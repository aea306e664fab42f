"""Backbones: configuration, the `Backbone` class, and models by name."""

from wavevit.models import zoo as _zoo  # registers the names
from wavevit.models.adaptive import make_adaptive, token_counts
from wavevit.models.backbone import Backbone
from wavevit.models.checkpoints import adapt_state_dict
from wavevit.models.config import BackboneConfig, StageConfig, make_stages
from wavevit.models.features import FeatureBackbone
from wavevit.models.fold import fold, unfold
from wavevit.models.registry import create_model, list_models, model_config, register_model

del _zoo

__all__ = [
    "Backbone",
    "BackboneConfig",
    "FeatureBackbone",
    "StageConfig",
    "adapt_state_dict",
    "create_model",
    "fold",
    "list_models",
    "make_adaptive",
    "make_stages",
    "model_config",
    "register_model",
    "token_counts",
    "unfold",
]
