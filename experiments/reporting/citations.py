"""Figures in the prose of the docs, each tied to the record that holds it.

A page ends with a comment that lists its figures in their order on the page, under the record that
each is from::

    <!-- cited
    crop_shift
      +13.0 (+10.7 to +15.2) = dtcwt tokens − vit, S-Cons
      61.4 = dtcwt tokens, worst of ±8 px
    latency/cuda.json
      1.11 = throughput > model=haar_vit_small & side=512 > times_reference
    -->

A study's figures are "A, measure", "A − B, measure" (paired differences) and "A ÷ B, measure" (of
means); other records' stand behind keys, "key=value & key=value" picking from a list; " in %" at
the end is a hundred times as much. `page_with` writes the figures anew, to as many decimals as they
have, so a page is stale where a figure is. `tests.docs.prose` finds figures without a line. What
has no record is named as such: words that are no results (sizes, versions, targets) by ``<!--
without a record: 0.5, 2.13 -->``, passages by ``<!-- begin: looks -->`` and ``<!-- begin: sourced
-->``, to the matching end. The reader must be told too: by "single measurement" or "prototype", or
by the source's year.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from experiments.core.experiment import DOCS
from experiments.core.records import load_record
from experiments.core.statistic import Statistic
from experiments.core.summary import METRICS, StudySummary
from wavevit.checks import fail

# Pages with a rule of their own: the ledger's have no figure outside generated parts at all
# (tests/docs/test_claims.py), the comparison's are of other projects, each with its source, the
# lab log's are of its dates, and the reproduction page is generated.
OTHERWISE = ("claims.md", "comparison.md", "lab-log.md", "reproduce.md")
PAGES = tuple(
    page
    for page in (DOCS.parent / "README.md", *sorted([*DOCS.glob("*.md"), *DOCS.glob("axes/*.md")]))
    if page.name not in OTHERWISE
)

_LIST = re.compile(r"<!-- cited\n(.*?)-->", re.S)
# What is no prose: generated and marked passages, comments, code, addresses, formulas.
_ASIDE = re.compile(
    r"<!-- begin: ([^>]+?) -->.*?<!-- end: \1 -->"
    r"|<!--.*?-->|^```.*?^```|`[^`]*`|\]\([^)]*\)|\$[^$]*\$",
    re.S | re.M,
)
_NUMBER = re.compile(r"(?<![\w-])[+−]?\d[\d,]*(?:\.\d+)?")  # but for that of "top-1"


@dataclass(frozen=True)
class Citation:
    """A figure as the page writes it, the record that it is from, and where it stands there."""

    text: str
    record: str
    reference: str


def citations(page: str) -> list[Citation]:
    """The list of a page, in its order; empty without one.

    Raises:
        ValueError: a line that is neither a record nor "figure = where it stands".
    """
    found: list[Citation] = []
    record = ""
    for line in "\n".join(_LIST.findall(page)).splitlines():
        if line and not line.startswith(" "):
            record = line.strip()
        elif line.strip():
            text, equals, reference = line.strip().partition(" = ")
            if not equals or not record:
                fail("page", "lines 'figure = where it stands' below a record's name", repr(line))
            found.append(Citation(text, record, reference))
    return found


def masked(page: str) -> str:
    """The page with everything but prose blanked, every letter in its place."""
    return _ASIDE.sub(lambda aside: re.sub(r"[^\n]", "\0", aside[0]), page)


def places(page: str) -> Iterator[tuple[Citation, re.Match[str]]]:
    """Every citation with its place in the prose, the next one behind the last."""
    prose, cursor = masked(page), 0
    for citation in citations(page):
        words = r"\s+".join(re.escape(word) for word in citation.text.split())
        pattern = re.compile(rf"(?<![\w.,]){words}(?![\w]|[.,]\d)")
        place = pattern.search(prose, cursor)
        if place is None:
            fail("page", f"{citation.text!r} in the prose, in the order of the list", "none left")
        yield citation, place
        cursor = place.end()


def page_with(page: str) -> str:
    """The page with its cited figures as the records have them, in the prose and in the list."""
    prose, listed, end = [], [], 0
    for citation, place in places(page):
        figure = _figure(citation)
        prose += [page[end : place.start()], _written(place[0], figure)]
        listed.append(replace(citation, text=_written(citation.text, figure)))
        end = place.end()
    return _LIST.sub(lambda _: _list(listed), "".join([*prose, page[end:]]))


def _list(listed: Sequence[Citation]) -> str:
    lines = []
    for record, group in groupby(listed, lambda citation: citation.record):
        lines += [record, *(f"  {one.text} = {one.reference}" for one in group)]
    return "\n".join(["<!-- cited", *lines, "-->"])


def _written(text: str, found: Statistic) -> str:
    """The text with its numbers replaced: one is the mean, two behind one another mean and
    deviation or an interval's ends, three mean and interval."""
    count = len(_NUMBER.findall(text))
    values = [found.mean]
    if len(found.values) > 1 and count == 2 and "±" in text:
        values = [found.mean, found.std]
    elif interval := found.interval():
        values = [found.mean, *interval][{2: slice(1, 3), 3: slice(3)}.get(count, slice(1))]
    if len(values) != count:
        fail("page", "a figure, one with its deviation or one with its interval", repr(text))
    left = iter(values)
    return _NUMBER.sub(lambda old: _number(old[0], next(left)), text)


def _number(old: str, value: float) -> str:
    decimals = len(old.partition(".")[2])
    sign = "+" if old[0] in "+−" else ""
    new = f"{value:{sign}{',' if ',' in old else ''}.{decimals}f}"
    return new.lstrip("+-") if float(new.replace(",", "")) == 0 else new.replace("-", "−")


def _figure(citation: Citation) -> Statistic:
    where, percent, _ = citation.reference.partition(" in %")
    name = citation.record
    record = load_record(name if name.endswith(".json") else f"{name}/summary.json")
    find = _in_study if isinstance(record, StudySummary) else _in_json
    found = find(record, replace(citation, reference=where))
    return Statistic.of([100 * value for value in found] if percent else found)


def _in_study(summary: StudySummary, citation: Citation) -> Sequence[float]:
    """Values over seeds, or one; measures by the titles of the table's columns."""
    subject, _, measure = citation.reference.rpartition(", ")
    first, operator, second = (re.split(r" ([−÷]) ", subject, maxsplit=1) + ["", ""])[:3]
    if not {first, second or first} <= set(summary.variants):
        fail("page", f"variants of {citation.record}", repr(citation.reference))
    own = _of(summary, first, measure, citation)
    if not operator:
        return own.values
    base = _of(summary, second, measure, citation)
    if operator == "÷":
        return [own.mean / base.mean]
    at, pairs = (
        dict(zip(summary.seeds[name], found.values, strict=True))
        for name, found in ((first, own), (second, base))
    )
    return [at[seed] - pairs[seed] for seed in at if seed in pairs]


def _of(summary: StudySummary, variant: str, measure: str, citation: Citation) -> Statistic:
    shift = re.fullmatch(r"R\((\S+) px\) (circular|crop|subpixel)", measure)
    if shift is not None:
        pixels = 0.5 if shift[1] == "½" else int(shift[1])
        return summary.sensitivity[variant][shift[2]][pixels]
    if measure == "time":
        return Statistic.of([summary.latency[variant]])
    if measure == "MMAC":
        return Statistic.of([value / 1e6 for value in summary.metrics[variant]["macs"].values])
    titles = {column.title: name for name, column in METRICS.items()}
    titles["condition number"] = "lipschitz"
    if measure not in titles:
        fail("page", f"a measure of {list(titles)}", repr(citation.reference))
    return summary.metrics[variant][titles[measure]]


def _in_json(data: Any, citation: Citation) -> Sequence[float]:
    """The one number there."""
    for step in citation.reference.split(" > "):
        wanted = dict(pair.split("=") for pair in step.split(" & ")) if "=" in step else None
        if wanted and isinstance(data, list):
            found = [
                item
                for item in data
                if all(str(item.get(key)) == value for key, value in wanted.items())
            ]
            if len(found) != 1:
                fail("page", f"one entry {step!r} in {citation.record}", len(found))
            data = found[0]
        elif isinstance(data, dict) and step in data:
            data = data[step]
        else:
            fail("page", f"{step!r} in {citation.record}", repr(citation.reference))
    return [float(data)]
