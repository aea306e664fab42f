"""What a claim is: a sentence, a test that can refute it, and the rule for its verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from experiments.claims.effect import Effect
from experiments.claims.verdict import Verdict


@dataclass(frozen=True)
class Finding:
    """What a record gives for a claim.

    Attributes:
        verdict: by the claim's rule.
        effects: what it rests on, the one that the ledger shows first.
        body: tables and sentences for the page, each a piece of Markdown.
        data: what the verdict holds for, where it is not what all records were measured on.
    """

    verdict: Verdict
    effects: tuple[Effect, ...]
    body: tuple[str, ...] = ()
    data: str = ""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One line of the ledger.

    What could be found false, the test and the rule are told in words in the claim's template,
    ``experiments/templates/claims/cNN.md.j2``.

    Attributes:
        id: ``"C1"``.
        sentence: of the original intuition.
        records: files below ``experiments/records/``; a ``summary.json`` is given to `find` as a
            `StudySummary`, other JSON as plain data.
        command: that makes the record anew; by default it runs the study or measurement that the
            first record's folder is named after.
        find: applies the rule: records by name to a finding.
        draw: the page's figure; by default the effects with their intervals.
        alt: what the figure shows, for a screen reader.
        missing: why there is no record, where there is none.
        data: what records were measured on that do not say it (`experiments.claims.data`); every
            verdict names its data.
        optional: further records, which `find` is given where they are there.
        fetched: data that have to be fetched before the command; ``claims --run`` leaves the claim
            out.
    """

    id: str
    sentence: str
    records: tuple[str, ...]
    find: Callable[[Mapping[str, Any]], Finding]
    draw: Callable[[Mapping[str, Any], Finding], Figure] | None = None
    alt: str = "Each difference with its 95 % interval"
    missing: str = ""
    data: str = "crops of 18 photographs"
    command: str = ""
    optional: tuple[str, ...] = ()
    fetched: str = ""

    def __post_init__(self) -> None:
        if self.records and not self.command:
            command = f"python -m experiments run {self.records[0].partition('/')[0]}"
            object.__setattr__(self, "command", command)  # the class is frozen

    @property
    def name(self) -> str:
        """``"c01"``: of its page and its figure."""
        return f"c{int(self.id[1:]):02d}"
