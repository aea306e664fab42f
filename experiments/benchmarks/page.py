"""Pages of the docs whose tables are written by a benchmark."""

from __future__ import annotations

__all__ = ["with_generated"]


def with_generated(page: str, begin: str, end: str, generated: str) -> str:
    """The page with what stands between the two marks replaced."""
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{generated}\n{end}{after}"
