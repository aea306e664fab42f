"""Input of a section of an audit: the model and the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from wavevit.auditing.samples import Samples
from wavevit.auditing.targets import Target
from wavevit.measure import center_crop

__all__ = ["BATCH", "NotApplicable", "Scene", "fields_of"]

BATCH = 16


class NotApplicable(Exception):
    """Why a section has nothing to measure in this model."""


@dataclass(frozen=True)
class Scene:
    """Input of a section.

    Attributes:
        target: the model.
        windows: (N, C, W, W) pictures with a margin around the crop, see `Pictures.windows`.
        samples: numbers of pictures, pairs and steps.
        seed: seed of all random numbers.
    """

    target: Target
    windows: Tensor
    samples: Samples
    seed: int

    @property
    def crops(self) -> Tensor:
        """The middles of the windows, what the model sees when nothing moves."""
        return center_crop(self.windows, (self.target.size, self.target.size))

    def pictures(self, kind: str) -> Tensor:
        """What `wavevit.measure` wants as images for this shift model."""
        return self.windows if kind == "crop" else self.crops


def fields_of(result: Any) -> dict[str, Any]:
    """A dataclass as a dict, its values as they are."""
    return {name: getattr(result, name) for name in result.__dataclass_fields__}
