"""`align`: a shift-robust model around any `nn.Module`."""

from __future__ import annotations

from torch import Tensor, nn

from wavevit.alignment.phase_lock import PhaseLock
from wavevit.checks import check_choice

__all__ = ["METHODS", "AlignedModel", "align", "make_alignment"]

METHODS = ("none", "phase_lock")


def make_alignment(method: str, period: int | None, boundary: str = "circular") -> nn.Module | None:
    """The module that aligns images before a model of the given period; None for ``"none"``."""
    check_choice("alignment", method, METHODS)
    return None if method == "none" else PhaseLock(period, boundary)


class AlignedModel(nn.Module):
    """`model` behind an alignment; attributes that it lacks itself are the model's."""

    def __init__(self, model: nn.Module, alignment: nn.Module) -> None:
        super().__init__()
        self.alignment = alignment
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(self.alignment(x))


def align(
    model: nn.Module,
    method: str = "phase_lock",
    period: int | None = None,
    boundary: str = "circular",
) -> AlignedModel:
    """Wraps a model so that its pooled output follows the image and not the frame.

    Args:
        model: anything that maps (B, C, H, W) to (B, …).
        method: ``"phase_lock"``.
        period: the shift in pixels that `model` keeps. By default what the model declares in
            ``model.symmetry``; a model that declares nothing is taken to keep no shift, and the
            phase is that of the whole image, which is exact for any model.
        boundary: ``"circular"`` or ``"window"``, see `PhaseLock`.

    Returns:
        A module of the same signature.

    Raises:
        ValueError: an unknown method or boundary, a period below 1, or ``"none"``.

    Guarantees:
        Those of `PhaseLock` (tests/properties/test_phase_lock_laws.py), if `period` is true: a
        period that the model does not keep makes the promise empty, so state it only if you
        know it.
    """
    check_choice("method", method, [name for name in METHODS if name != "none"])
    if period is None:
        symmetry = getattr(model, "symmetry", None)
        period = symmetry.lockable_period if symmetry is not None else None
    alignment = make_alignment(method, period, boundary)
    assert alignment is not None
    return AlignedModel(model, alignment)
