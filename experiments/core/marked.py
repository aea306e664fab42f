"""Generated parts of pages, from ``<!-- begin: NAME -->`` to ``<!-- end: NAME -->``.

This is the only way in which generated text is marked.
"""

from __future__ import annotations

from wavevit.checks import fail


def marks(name: str) -> tuple[str, str]:
    """The two comments around a generated part."""
    return f"<!-- begin: {name} -->", f"<!-- end: {name} -->"


def marked(page: str, name: str, text: str) -> str:
    """The page with one generated part replaced, on lines of its own.

    Raises:
        ValueError: not exactly one part of that name on the page.
    """
    begin, end = marks(name)
    if page.count(begin) != 1 or page.count(end) != 1:
        found = f"{page.count(begin)} and {page.count(end)}"
        fail("page", f"one {begin!r} and one {end!r}", found)
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}\n{end}{after}"
