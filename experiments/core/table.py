"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wavevit.checks import fail

__all__ = ["Table"]


@dataclass(frozen=True)
class Table:
    """Rows of cells below a head.

    Attributes:
        head: titles of the columns.
        rows: as many cells each; a sequence of texts.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.head):
                fail("rows", f"{len(self.head)} cells in each row", f"{len(row)}: {row}")

    def markdown(self) -> str:
        """Lines of text, without a line end behind the last."""
        lines = [f"| {' | '.join(self.head)} |", "|" + "---|" * len(self.head)]
        return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in self.rows)])
