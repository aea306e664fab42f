"""wavevit: is cutting an image into fixed patches a bad idea, and do wavelets fix it?

``import wavevit`` imports torch and nothing heavier. Its packages (``wavevit.measure``,
``wavevit.testing``, …) are imported when they are first used.
"""

from typing import TYPE_CHECKING, Any

from wavevit.alignment import align
from wavevit.lazy import lazy_submodules
from wavevit.models import (
    Backbone,
    BackboneConfig,
    StageConfig,
    adapt_state_dict,
    create_model,
    fold,
    list_models,
    make_stages,
    model_config,
    register_model,
    unfold,
)

if TYPE_CHECKING:
    from wavevit import auditing, data, interop, measure, pictures, testing  # noqa: F401
    from wavevit.auditing import audit

__version__ = "0.1.0"

__all__ = [
    "Backbone",
    "BackboneConfig",
    "StageConfig",
    "adapt_state_dict",
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


_submodule, __dir__ = lazy_submodules(__name__, __path__, ["audit"])


def __getattr__(name: str) -> Any:
    """`audit` brings the upper layers along, so it is imported when it is asked for."""
    if name == "audit":
        from wavevit.auditing import audit

        return audit
    return _submodule(name)
