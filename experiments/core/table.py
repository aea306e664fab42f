"""Tables: rows below a head, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of texts below a head.

    Example:
        >>> table = Table(["model", "time"], [["vit", "1.0"], ["swin", "1.24"]])
        >>> print(table.markdown())
        | model | time |
        |---|---|
        | vit | 1.0 |
        | swin | 1.24 |
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(f"rows: expected {len(self.head)} cells in each, got {list(row)}")

    def markdown(self) -> str:
        """Lines of Markdown, without a line end behind the last."""

        def line(cells: Sequence[str]) -> str:
            return f"| {' | '.join(cells)} |"

        rule = "|" + "---|" * len(self.head)
        return "\n".join([line(self.head), rule, *map(line, self.rows)])
