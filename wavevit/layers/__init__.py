"""The parts of a backbone; each declares the shifts it keeps."""

from wavevit.lazy import lazy_submodules

__getattr__, __dir__ = lazy_submodules(__name__, __path__)
