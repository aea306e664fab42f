"""Tables: rows below a head, as Markdown or as plain text."""

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
        >>> print(table.text())
        model  time
          vit   1.0
         swin  1.24
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

    def text(self, least: int = 0, header: bool = True) -> str:
        """Lines of plain text, columns aligned at their right.

        Args:
            least: width of a column, at least.
            header: whether the head is among them.
        """
        lines = [self.head, *self.rows]
        widths = [max(least, *map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in (lines if header else lines[1:])
        )
