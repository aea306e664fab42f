"""The training loop of `wavevit.grafting.distil`: steps, time, evaluations, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.grafting.distillation_loss import Judged, Objective, Target
from wavevit.grafting.distillation_report import DistillationError
from wavevit.grafting.distillation_state import State, save_state
from wavevit.grafting.trained_parts import Chosen
from wavevit.progress import Progress

__all__ = ["Run", "copies", "restore", "take_steps"]

_WARM_UP = 20  # one step in so many warms up
_TIMED = 4  # steps that are timed, and not taken, where only minutes are given
_SHARE_OF_TIME = 0.95  # of the budget is planned: a busy moment shall not cut the last steps
_CLIP = 1.0
_TRAINED_SEEDS, _SHIFT_SEEDS = 1_000_003, 2**39


def _rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine to zero, as a share of the peak."""
    warm = max(steps // _WARM_UP, 1)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(steps - warm, 1)))


def copies(parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Copies of parameters, by name."""
    return {name: parameter.detach().clone() for name, parameter in parameters.items()}


def restore(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    """Gives parameters the values that `copies` took."""
    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value)


@dataclass
class Run:
    """A distillation on its way."""

    model: nn.Module
    objective: Objective
    source: Callable[[int, int], Tensor]
    chosen: Chosen
    optimizer: torch.optim.Optimizer
    device: torch.device
    seed: int
    batch_size: int
    batches: int | None
    targets: dict[int, Target] = field(default_factory=dict)  # by batch

    def gradient(self, step: int) -> None:
        """Sets the gradients of a step; what is drawn follows from the seed and the step alone."""
        first = (self.seed + 1) * _TRAINED_SEEDS
        batch = step if self.batches is None else step % self.batches
        windows = self.source(self.batch_size, first + batch).to(self.device)
        target = self.targets.get(batch)
        if target is None:
            generator = torch.Generator().manual_seed(first + batch)
            target = self.objective.target(windows, generator)
            if self.batches is not None:
                self.targets[batch] = target
        generator = torch.Generator().manual_seed(_SHIFT_SEEDS + first + step)
        loss = self.objective.loss(self.model, windows, target, generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(self.chosen.parameters.values(), _CLIP))
        value = float(loss.detach())
        if not (math.isfinite(value) and math.isfinite(norm)):
            rates = ", ".join(f"{group['lr']:.3g}" for group in self.optimizer.param_groups)
            found = f"loss {value}, gradient norm {norm} at step {step}, learning rate {rates}"
            raise DistillationError(f"{found}; try a smaller lr and own_lr")

    def step(self, step: int, steps: int) -> None:
        """One step of the schedule."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * _rate(step, steps)
        self.gradient(step)
        self.optimizer.step()

    def steps_within(self, minutes: float, every: int, judge: Callable[[], object]) -> int:
        """How many steps fit into the minutes, by the time of a few that are not taken."""
        self.gradient(0)  # the first one also loads and plans
        first = self._time_of(_TIMED)
        each = self._time_of(_TIMED) if self.batches is not None else first  # with their targets
        start = time.monotonic()
        judge()
        each += (time.monotonic() - start) / every
        left = 60 * _SHARE_OF_TIME * minutes
        if self.batches is not None and (once := self.batches * (first - each)) > 0:
            left -= once
        return max(int(left / each), 1)

    def _time_of(self, count: int) -> float:
        """Seconds of one of the steps 1 … count, which are not taken."""
        start = time.monotonic()
        for step in range(1, count + 1):
            self.gradient(step)
        return (time.monotonic() - start) / count


def take_steps(
    run: Run,
    measured: Judged,
    state: State,
    minutes: float | None,
    every: int,
    patience: int | None,
    progress: bool,
    checkpoint: Path | None,
    settings: Mapping[str, Any],
) -> str:
    """Steps until they are done, the held-out loss falls no more, or the time is over.

    Returns:
        Why it stopped.
    """
    parameters = run.chosen.parameters
    deadline = time.monotonic() + (math.inf if minutes is None else 60 * minutes)
    ends = [*range((state.done // every + 1) * every, state.steps, every), state.steps]
    parts = [float(end - first) for first, end in zip([state.done, *ends], ends, strict=False)]

    def keep_progress(start: float) -> None:
        state.seconds += time.monotonic() - start
        if checkpoint is not None:
            save_state(checkpoint, state, parameters, run.optimizer, settings)

    with Progress(parts, shown=progress) as shown:
        for end in ends:
            worse = sum(step > state.best_step for step, _ in state.history)
            if patience is not None and worse >= patience:
                return "early"
            start = time.monotonic()
            shown.begin(f"step {state.done} of {state.steps}, loss {state.history[-1][1]:.4f}")
            try:
                while state.done < end:
                    if time.monotonic() >= deadline:
                        keep_progress(start)
                        return "time"
                    run.step(state.done, state.steps)
                    state.done += 1
                loss = measured.loss(run.model)
                if not math.isfinite(loss):
                    raise DistillationError(f"held-out loss {loss} after step {state.done}")
            except DistillationError:
                restore(parameters, state.best)
                raise
            state.history.append((state.done, loss))
            if patience is None or loss < min(value for _, value in state.history[:-1]):
                state.best_step, state.best = state.done, copies(parameters)
            shown.end()
            keep_progress(start)
    return "steps"
