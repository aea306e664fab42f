"""Alignments: make a model invariant or equivariant to circular shifts."""

from typing import Any

from wavevit.alignment.base import Alignment, Views
from wavevit.alignment.blur import LowPass, blur_strides
from wavevit.alignment.frames import WeightedFrame, WeightedFrameOptions
from wavevit.alignment.group_average import GroupAverage, GroupAverageOptions
from wavevit.alignment.lattice import allowed_phases, phase_lattice
from wavevit.alignment.phase_lock import SHIFTS, Phase, PhaseLock, PhaseLockOptions, phase_of
from wavevit.alignment.polyphase import PhaseTree, Polyphase
from wavevit.alignment.probe import kept_period
from wavevit.alignment.registry import ALIGNMENTS, register_alignment
from wavevit.alignment.shifts import fourier_shift, place_map, roll_images
from wavevit.alignment.statistics import BOUNDARIES
from wavevit.alignment.wrap import AlignedModel, align, make_alignment

__all__ = [
    "ALIGNMENTS",
    "BOUNDARIES",
    "METHODS",
    "SHIFTS",
    "AlignedModel",
    "Alignment",
    "GroupAverage",
    "GroupAverageOptions",
    "LowPass",
    "Phase",
    "PhaseLock",
    "PhaseLockOptions",
    "PhaseTree",
    "Polyphase",
    "Views",
    "WeightedFrame",
    "WeightedFrameOptions",
    "align",
    "allowed_phases",
    "blur_strides",
    "fourier_shift",
    "kept_period",
    "make_alignment",
    "phase_lattice",
    "phase_of",
    "place_map",
    "register_alignment",
    "roll_images",
]


def __getattr__(name: str) -> Any:
    """`METHODS`: the names of all methods, also of those that you register."""
    if name == "METHODS":
        return ALIGNMENTS.values()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
