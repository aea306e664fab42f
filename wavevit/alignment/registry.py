"""Registry of alignments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from wavevit.alignment.base import Alignment
from wavevit.layers.registry import Registry

__all__ = ["ALIGNMENTS", "register_alignment"]

Registered = TypeVar("Registered", bound=type)

# "blur" chooses no phase: it is no module but low-passes inside the model (`blur_strides`).
ALIGNMENTS: Registry[Alignment] = Registry(
    "alignment",
    Alignment,  # type: ignore[type-abstract]
    without=("none", "blur"),
)


def register_alignment(name: str) -> Callable[[Registered], Registered]:
    """Decorator: an `Alignment`, which chooses the views of images; see `Registry.register`."""
    return ALIGNMENTS.register(name)
