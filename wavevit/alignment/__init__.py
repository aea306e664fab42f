"""Ways to make a model's output follow the image instead of the frame."""

from wavevit.alignment.phase_lock import BOUNDARIES, Phase, PhaseLock, phase_of, roll_images
from wavevit.alignment.wrap import METHODS, AlignedModel, align, make_alignment

__all__ = [
    "BOUNDARIES",
    "METHODS",
    "AlignedModel",
    "Phase",
    "PhaseLock",
    "align",
    "make_alignment",
    "phase_of",
    "roll_images",
]
