"""`Answers`: how the answers of a task are recorded and shown; the registry by task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from experiments.core.config import RunConfig
from experiments.reporting.figure import StudyFigure
from experiments.reporting.trained import TrainedRuns
from wavevit.checks import fail

Record = Mapping[str, Any]
Configs = Mapping[str, RunConfig]  # by variant
_ANSWERS: dict[str, Answers] = {}
Registered = TypeVar("Registered", bound="type[Answers]")


class Answers(ABC):
    """What trained models of one task answer, for a study's report.

    Models answer once, when the report is written; the record ``pictures.json`` keeps what they
    answered, and figures are drawn from there alone.
    """

    @abstractmethod
    def record(self, trained: TrainedRuns, config: RunConfig) -> dict[str, Any]:
        """What the models answer, as plain data: small, since it may be kept in git.

        Args:
            trained: the study's trained models.
            config: of the first of them; their data are the same.

        Returns:
            What `figures` reads. Under ``"tables"`` there may be tables that stand beside the
            study's own: by name, what `table` gives.
        """

    @abstractmethod
    def figures(self, record: Record, configs: Configs) -> list[StudyFigure]:
        """The figures of a record.

        Args:
            record: what `record` gave, through JSON or not.
            configs: of the variants, by name.
        """


def table(
    title: str, caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """A table of a record: plain data."""
    return {
        "title": title,
        "caption": caption,
        "head": list(head),
        "rows": [list(row) for row in rows],
    }


def register_answers(task: str) -> Callable[[Registered], Registered]:
    """Decorator: registers the `Answers` of a task under its name.

    Raises:
        ValueError: the name of a task that has another one.
    """

    def add(cls: Registered) -> Registered:
        known = _ANSWERS.get(task)
        if known is not None and type(known).__qualname__ != cls.__qualname__:
            fail("task", f"one without answers ({type(known).__qualname__})", repr(task))
        _ANSWERS[task] = cls()
        return cls

    return add


def answers_of(task: str) -> Answers | None:
    """How the answers of a task are shown; None for a task that registered nothing."""
    return _ANSWERS.get(task)
