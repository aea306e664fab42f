"""Import timm, even with a torchvision that was built for another torch."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType

import torch

from wavevit.checks import require_extra

__all__ = ["declare_operators", "import_timm"]

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []


def import_timm() -> ModuleType:
    """Imports timm, even if torchvision, which timm imports, does not fit torch.

    PyPI's torchvision is built for CUDA and needs operators that a CPU build of torch does not
    have. Their schemas are enough to import torchvision and timm; no model of timm calls them. A
    `RuntimeWarning` says this, and how to install a torchvision that fits.

    Raises:
        ImportError: timm is not installed; the message names the extra.
    """
    try:
        return require_extra("timm", "timm")
    except RuntimeError as error:
        declare_operators(error)
    warnings.warn(
        f"torchvision was built for another torch than {torch.__version__}: its operators nms and "
        "qnms are declared, without code, so that timm can be imported. A torchvision from the "
        "index that torch came from fits.",
        RuntimeWarning,
        stacklevel=2,
    )
    return require_extra("timm", "timm")


def declare_operators(error: RuntimeError) -> None:
    """Declares the operators that torchvision misses, so that its next import succeeds.

    Args:
        error: of its import. One that has another reason is raised again.
    """
    if "operator torchvision::nms does not exist" not in str(error):
        raise error
    # What was half imported would be found again.
    for name in [n for n in sys.modules if n.partition(".")[0] in ("timm", "torchvision")]:
        del sys.modules[name]
    if not _declared:
        _declared.append(torch.library.Library("torchvision", "FRAGMENT"))
        for schema in _SCHEMAS:
            _declared[0].define(schema)
