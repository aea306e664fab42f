"""The ledger and its pages: generated parts, every number out of a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments.claims.claim import Claim, Finding
from experiments.claims.data import data_words
from experiments.claims.effect import Effect
from experiments.claims.figures import forest
from experiments.claims.ledger import CLAIMS
from experiments.claims.records import finding_of, larger_records_of, records_of
from experiments.claims.verdict import Judged, common_rule, headline_effect, judged
from experiments.core.experiment import DOCS
from experiments.core.marked import marked
from experiments.core.page_templates import render
from experiments.core.statistic import number
from experiments.core.summary import StudySummary
from experiments.core.table import Table


def page_of(claim: Claim) -> Path:
    """The claim's page."""
    return DOCS / "claims" / f"{claim.name}.md"


def _p(one: Judged) -> str:
    """The adjusted p-value; an exact difference has none."""
    if one.effect.exact:
        return "exact"
    return "< 0.001" if one.p_value < 0.001 else f"{one.p_value:.3f}"


def _effects(effects: Sequence[Effect]) -> str:
    """A table of effects: those that decide the verdict first judged, then those only shown."""
    if not effects:
        return ""
    tested = {id(one.effect): one for one in judged(effects)}
    head = ["comparison", "metric", "effect [interval]", "adjusted p", "d"]
    head += ["minimum detectable effect", "pairs", "predicted", "found"]
    rows = []
    for effect in effects:
        one, size = tested.get(id(effect)), effect.difference.effect_size()
        least = effect.difference.detectable() if one is None else one.detectable()
        cells = [
            effect.label,
            effect.metric,
            effect.amount() if one is None else one.amount(),
            "–" if one is None else _p(one),
            "–" if size is None else number(size, 1, signed=True),
            "–" if least is None else number(least, effect.digits),
            effect.count,
            effect.predicted or "–",
            "–" if one is None else one.outcome,
        ]
        rows.append(cells)
    looks = (
        " Where pairs were added after a first test, p is multiplied by the number of looks, and "
        "the interval is wider to match."
    )
    note = (
        "Rows with a prediction decide the verdict. They are tested together (Holm, 5 %), and each "
        "interval has the level of its test: it leaves out 0, or the threshold, exactly when the "
        "adjusted p is at most 0.05. The other rows have 95 % intervals of their own. The minimum "
        "detectable effect is the true difference that the test finds with 80 % power."
    )
    if any(effect.looks > 1 for effect in effects):
        note += looks
    return f"{Table(head, rows).markdown()}\n\n{note}"


def _provenance(records: Mapping[str, Any], command: str) -> str:
    parts = []
    for name, record in records.items():
        held = record.environment if isinstance(record, StudySummary) else record
        where = held.get("device_name") or held.get("environment", {}).get("device_name", "")
        path = f"{record.study}/summary.json" if isinstance(record, StudySummary) else name
        parts.append(f"`experiments/records/{path}`" + (f" ({where})" if where else ""))
    plural = "s" if len(parts) > 1 else ""
    return f"Record{plural}: {'; '.join(parts)}. Command: `{command}`."


def _claim_part(claim: Claim, finding: Finding, records: Mapping[str, Any] | None) -> str:
    words = render(f"claims/{claim.name}.md.j2", common_rule=common_rule)
    verdict = f"**Verdict.** {claim.id} is {_verdicts(claim, finding, records)}."
    return f"> {claim.sentence}\n\n{verdict}\n\n{words}"


def _measured_part(claim: Claim, finding: Finding, records: Mapping[str, Any] | None) -> str:
    if records is None or not claim.records:
        return f"Not measured: {finding.verdict.detail}."
    parts = [_provenance(records, claim.command), *finding.body, _effects(finding.effects)]
    if _has_figure(claim, finding):
        parts.append(f"![{claim.alt}](../_generated/figures/claims/{claim.name}.png)")
    larger = larger_records_of(claim)
    if larger is not None:
        found = claim.find(larger)
        parts += [
            f"**At a larger scale** {claim.id} is {_verdict(claim, found, larger)}.",
            _provenance(larger, f"{claim.command} --scale large"),
            *found.body,
            _effects(found.effects),
        ]
    return "\n\n".join(part for part in parts if part)


def _verdict(claim: Claim, finding: Finding, records: Mapping[str, Any] | None) -> str:
    """The verdict with the data that it holds for."""
    return finding.verdict.text(data_words(claim, finding, records))


def _verdicts(claim: Claim, finding: Finding, records: Mapping[str, Any] | None) -> str:
    """The verdict, and the larger scale's where there is one."""
    text, larger = _verdict(claim, finding, records), larger_records_of(claim)
    if larger is not None:
        text += f". Larger models: {_verdict(claim, claim.find(larger), larger)}"
    return text


def _has_figure(claim: Claim, finding: Finding) -> bool:
    return claim.draw is not None or bool(finding.effects)


def claim_page(claim: Claim, page: str) -> str:
    """A claim's page with its generated parts replaced."""
    records = records_of(claim)
    finding = finding_of(claim, records)
    page = marked(page, "claim", _claim_part(claim, finding, records))
    return marked(page, "measured", _measured_part(claim, finding, records))


def _headline(finding: Finding) -> str:
    """The effect of the ledger's row, with interval, adjusted p and pairs."""
    one = headline_effect(finding.effects)
    if one is None or finding.verdict.word in ("not measured", "inconclusive"):
        return "–"  # the verdict has it
    effect = one.effect
    test = "" if effect.exact else f", p {_p(one)}".replace("p 0", "p = 0")
    return f"{effect.metric}, {effect.label}: {one.amount()}{test}, {effect.count}"


def ledger_table() -> str:
    """The ledger: claim, verdict, effect size, small figure, command."""
    rows = []
    for claim in CLAIMS:
        records = records_of(claim)
        finding = finding_of(claim, records)
        picture = "–"
        if _has_figure(claim, finding) and finding.verdict.word != "not measured":
            path = f"_generated/figures/claims/{claim.name}.png"
            picture = f"![{claim.alt}]({path}){{width=160px .ledger-figure}}"
        rows.append([*_row(claim, finding, records), picture, f"`{claim.command}`"])
    return Table(("claim", "verdict", "effect [interval]", "figure", "command"), rows).markdown()


def _row(claim: Claim, finding: Finding, records: Mapping[str, Any] | None) -> list[str]:
    """Claim, verdict and effect."""
    name = f"[{claim.id}](claims/{claim.name}.md) {claim.sentence}"
    return [name, _verdicts(claim, finding, records), _headline(finding)]


def claim_figure(claim: Claim) -> Figure | None:
    """A claim's figure; None where there is no record or nothing to draw."""
    records = records_of(claim)
    finding = finding_of(claim, records)
    if records is None or not _has_figure(claim, finding):
        return None
    return forest(finding) if claim.draw is None else claim.draw(records, finding)
