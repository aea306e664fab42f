"""Figures in the prose of a page that no record holds (`experiments.reporting.citations`)."""

from __future__ import annotations

import re

from experiments.reporting.citations import masked, places

_DECLARED = re.compile(r"<!-- without a record: (.*?) -->", re.S)
_PASSAGE = re.compile(r"<!-- begin: (looks|sourced) -->(.*?)<!-- end: \1 -->", re.S)
# A result has decimals, a sign or the unit of one; an integer without is a size or a count.
_UNIT = r"\s?%|\s+(?:[µnm]?s|minutes|points|times|images/s|[MG]MAC|GB/s|GiB)\b"
_RESULT = re.compile(
    rf"(?<![\w.,/^-])(?:[+−±]?\d[\d,]*\.\d+|[+−]\d+(?!\.?\d)|\d[\d,]*(?={_UNIT}))(?!\w|\.\d)"
)


def prose_of(page: str) -> str:
    """What a page says in sentences and tables by hand, but for its cited figures and for words
    that it declares to be no results."""
    prose = list(masked(page))
    for _, place in places(page):
        prose[place.start() : place.end()] = "\0" * (place.end() - place.start())
    text = "".join(prose).replace("\0", " ")
    for word in (word.strip() for words in _DECLARED.findall(page) for word in words.split(",")):
        text = re.sub(rf"(?<![\w.,]){re.escape(word)}(?![\w]|[.,]\d)", "", text)
    return text


def uncited(page: str) -> list[str]:
    """Results in the prose that no citation and no declared word accounts for."""
    return _RESULT.findall(prose_of(page))


def unnamed_passages(page: str) -> list[str]:
    """Passages without a record whose reader is not told so; their first lines."""
    words = {
        "looks": r"\blooks?\b|prototype|single\s+measurement",
        "sourced": r"\b(19|20)\d\d\b|arxiv",
    }
    return [
        passage.strip().splitlines()[0]
        for kind, passage in _PASSAGE.findall(page)
        if not re.search(words[kind], passage, re.I)
    ]
