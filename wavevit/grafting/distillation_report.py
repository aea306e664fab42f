"""What a distillation gives back: its report, or the error that ended it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Distillation", "DistillationError"]


class DistillationError(RuntimeError):
    """A loss or a gradient that is NaN or infinite; the model has its best parameters so far."""


@dataclass(frozen=True)
class Distillation:
    """Report of a distillation; all figures are of held-out photographs.

    Attributes:
        steps: optimiser steps, over all calls that resumed it.
        planned: steps of the schedule.
        seconds: time of the steps, over all calls.
        stopped: ``"steps"`` (all are done), ``"early"`` (the held-out loss stopped falling), or
            ``"time"`` (the budget is over: the same call with its checkpoint continues).
        best_step: step whose parameters the model has now: that of the lowest held-out loss, or the
            last one that was evaluated where `distil` had no patience.
        parameters: number of trained values.
        loss: held-out loss before and after; 1 is the spread of the teacher's features.
        sensitivity: R for a crop shift by 1 px (`wavevit.measure.shift_sensitivity`), before and
            after.
        cosine: mean cosine between the model's features and the teacher's features averaged over
            shifts, before and after.
        history: step and held-out loss, for each evaluation.
    """

    steps: int
    planned: int
    seconds: float
    stopped: str
    best_step: int
    parameters: int
    loss: tuple[float, float]
    sensitivity: tuple[float, float]
    cosine: tuple[float, float]
    history: tuple[tuple[int, float], ...]

    @property
    def complete(self) -> bool:
        """False where the time was over before the steps were."""
        return self.stopped != "time"

    def __str__(self) -> str:
        """Three lines for people, and one more where the training changed nothing."""
        lines = [
            f"{name:38} {before:8.4f} → {after:.4f}"
            for name, (before, after) in (
                ("held-out loss", self.loss),
                ("R, crop shift by 1 px", self.sensitivity),
                ("cosine to the teacher's shift average", self.cosine),
            )
        ]
        if self.steps and not self.best_step:
            lines.append(
                "The model has the parameters that it came with: no later held-out loss was lower. "
                "Try patience=None, more steps, or still=1."
            )
        return "\n".join(lines)
