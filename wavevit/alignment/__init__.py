"""Ways to make a model's output follow the image instead of the frame."""

from wavevit.alignment.base import Alignment, Views
from wavevit.alignment.blur import LowPass, blur_strides
from wavevit.alignment.frames import GroupAverage, WeightedFrame
from wavevit.alignment.phase_lock import SHIFTS, Phase, PhaseLock, phase_of
from wavevit.alignment.polyphase import PhaseTree, Polyphase
from wavevit.alignment.probe import kept_period
from wavevit.alignment.shifts import fourier_shift, place_map, roll_images
from wavevit.alignment.statistics import BOUNDARIES
from wavevit.alignment.wrap import METHODS, AlignedModel, align, make_alignment

__all__ = [
    "BOUNDARIES",
    "METHODS",
    "SHIFTS",
    "AlignedModel",
    "Alignment",
    "GroupAverage",
    "LowPass",
    "Phase",
    "PhaseLock",
    "PhaseTree",
    "Polyphase",
    "Views",
    "WeightedFrame",
    "align",
    "blur_strides",
    "fourier_shift",
    "kept_period",
    "make_alignment",
    "phase_of",
    "place_map",
    "roll_images",
]
