"""Experiments: what makes a record, and what the docs show of it.

A study, a measurement and a benchmark are three kinds of one thing. Each is a value in a module of
`experiments.studies`, `experiments.measurements` or `experiments.benchmarks`, or in a user's file
(``--module FILE``), and `experiments.core.registry` finds it there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from experiments.core.marked import marked

DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True)
class View:
    """Text that follows from a record: a whole file, or a marked part of a page.

    Attributes:
        path: of the file.
        render: the record to the text.
        mark: name of the marked part (`experiments.core.marked`); empty for the whole file.
    """

    path: Path
    render: Callable[[Any], str]
    mark: str = ""

    def text(self, record: Any, held: str) -> str:
        """What the file should hold, from the record and from what it holds now."""
        text = self.render(record)
        return marked(held, self.mark, text) if self.mark else text


@dataclass(frozen=True, kw_only=True)
class Experiment(ABC):
    """A question, what answers it, and where the answer is recorded.

    Attributes:
        name: on the command line, and of its record's folder.
        question: one sentence.
        minutes: run time by record, for records that do not hold their own.
    """

    kind: ClassVar[str]
    verb: ClassVar[str]

    name: str
    question: str
    minutes: Mapping[str, str] = field(default_factory=dict)

    @property
    @abstractmethod
    def options(self) -> type:
        """The dataclass of its command line's options."""

    @abstractmethod
    def run(self, options: Any) -> int:
        """Does what the options say.

        Returns:
            How many of its jobs are not complete: 0 when all went well.
        """

    @abstractmethod
    def commands(self) -> Mapping[str, str]:
        """By record (its path below ``experiments/records``), the command that makes it."""

    def views(self, record: str, data: Any) -> tuple[View, ...]:
        """What of the docs follows from one of its records.

        Args:
            record: its path below ``experiments/records``.
            data: what `experiments.core.records.load_record` gives.
        """
        return ()

    def command(self, arguments: str = "") -> str:
        """The command that runs it."""
        return f"python -m experiments {self.verb} {self.name} {arguments}".rstrip()
