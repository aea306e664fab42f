"""Generated parts of a Markdown page, and what surrounds them."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.core.table import Table
from wavevit.checks import fail

__all__ = ["replaced_between", "replaced_part", "table"]


def replaced_part(page: str, name: str, text: str) -> str:
    """The page with the text between the two marks of a generated part replaced.

    Args:
        page: with ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->``, once each.
        name: of the part.
        text: on lines of its own.
    """
    return replaced_between(page, f"<!-- begin: {name} -->", f"<!-- end: {name} -->", text)


def replaced_between(page: str, begin: str, end: str, text: str) -> str:
    """The page with the text between two marks replaced by `text` on lines of its own."""
    if page.count(begin) != 1 or page.count(end) != 1:
        fail("page", f"one {begin} and one {end}", f"{page.count(begin)} and {page.count(end)}")
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}\n{end}{after}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A `Table` as Markdown, with a line end."""
    return Table(head, rows).markdown() + "\n"
