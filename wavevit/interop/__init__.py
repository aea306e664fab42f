"""Interfaces to other packages (timm, Hugging Face Hub); each needs its extra."""

from wavevit.lazy import lazy_submodules

__getattr__, __dir__ = lazy_submodules(__name__, __path__)
