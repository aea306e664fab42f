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
    from wavevit import auditing, data, grafting, interop, measure, pictures, testing  # noqa: F401
    from wavevit.auditing import audit
    from wavevit.grafting import graft, ungraft

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
    "graft",
    "list_models",
    "make_stages",
    "model_config",
    "register_model",
    "unfold",
    "ungraft",
]


_submodule, __dir__ = lazy_submodules(__name__, __path__, ["audit", "graft", "ungraft"])


def __getattr__(name: str) -> Any:
    """`audit`, `graft` and `ungraft` are of upper layers: imported when they are asked for."""
    if name == "audit":
        from wavevit.auditing import audit

        return audit
    if name in ("graft", "ungraft"):
        from wavevit import grafting

        return getattr(grafting, name)
    return _submodule(name)
