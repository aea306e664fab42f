"""wavevit: is cutting an image into fixed patches a bad idea, and do wavelets fix it?

Importing this imports torch and nothing heavier.
"""

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from wavevit.auditing import audit

__version__ = "0.1.0"

__all__ = [
    "Backbone",
    "BackboneConfig",
    "StageConfig",
    "align",
    "audit",
    "create_model",
    "fold",
    "list_models",
    "make_stages",
    "model_config",
    "register_model",
    "unfold",
]


def __getattr__(name: str) -> Any:
    """`audit` brings the upper layers along, so it is imported when it is asked for."""
    if name == "audit":
        from wavevit.auditing import audit

        return audit
    raise AttributeError(f"module 'wavevit' has no attribute {name!r}")
