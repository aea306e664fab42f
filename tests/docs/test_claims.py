"""The claims ledger shows its records, and no page has a number that no record holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from experiments.claims import page as pages
from experiments.claims.claim import Claim
from experiments.claims.ledger import CLAIMS
from experiments.claims.page import claim_figure, claim_page, page_of
from experiments.claims.records import finding_of, records_of
from experiments.claims.verdict import common_rule
from experiments.core.records import RECORDS
from experiments.core.style import figure_style
from experiments.reporting.regenerate import Generated, generated
from tests.docs.prose import prose_of

DOCS = Path(__file__).parents[2] / "docs"
RECORDED = [claim for claim in CLAIMS if claim.records and records_of(claim) is not None]


def name_of(file: Generated) -> str:
    return file.path.relative_to(DOCS.parent).as_posix()


def test_no_page_is_stale() -> None:
    """`python -m experiments report` would write what is there."""
    stale = [name_of(file) for file in generated() if file.path.read_text() != file.wanted()]
    assert not stale, "run `python -m experiments report`"


def numbers_in_prose(page: str) -> list[str]:
    """Numbers outside generated parts, code and addresses, but for what the page declares."""
    prose = re.sub(r"\bC\d+\b", "", prose_of(page))  # other claims
    return re.findall(r"\S*[\d½¼¾]\S*", prose)


def test_prose_has_no_number_of_its_own() -> None:
    """Numbers are in generated parts, which come from records, or are declared and no result."""
    pages_of_claims = [DOCS / "claims.md", *map(page_of, CLAIMS)]
    found = {page.name: numbers_in_prose(page.read_text()) for page in pages_of_claims}
    assert not {name: numbers for name, numbers in found.items() if numbers}


def test_negative_control_number_in_prose_is_detected() -> None:
    """Negative control of the rule above."""
    page = "<!-- without a record: 224, v2 -->\n<!-- begin: a -->\n99.5 %\n<!-- end: a -->\n"
    page += "At 224 px PVT v2 gains 7.2 points ([C17](c17.md), `x[3]`), not 2241."
    assert numbers_in_prose(page) == ["7.2", "2241."]


def test_other_records_make_every_page_stale(
    monkeypatch: pytest.MonkeyPatch, other_records: Callable[[Iterable[str]], Path]
) -> None:
    """Negative control: what a page shows does follow from the record."""
    pages_of_claims = {claim: page_of(claim).read_text() for claim in RECORDED}
    folder = other_records({name for claim in RECORDED for name in claim.records})
    monkeypatch.setattr("experiments.core.records.RECORDS", folder)
    assert not [c.id for c, page in pages_of_claims.items() if claim_page(c, page) == page]


def drawing(claim: Claim) -> bytes:
    """The figure's pixels, small."""
    with figure_style():
        figure = claim_figure(claim)
    assert figure is not None
    figure.set_dpi(30)
    figure.canvas.draw()
    pixels = bytes(figure.canvas.buffer_rgba())
    plt.close(figure)
    return pixels


@pytest.mark.parametrize("claim", [RECORDED[0], RECORDED[4]], ids=lambda claim: claim.id)
def test_figures_follow_from_the_records(
    claim: Claim,
    monkeypatch: pytest.MonkeyPatch,
    other_records: Callable[[Iterable[str]], Path],
) -> None:
    """Drawn twice they are equal; other records give other figures. Own drawing and forest."""
    first = drawing(claim)
    assert drawing(claim) == first
    monkeypatch.setattr("experiments.core.records.RECORDS", other_records(claim.records))
    assert drawing(claim) != first


def test_pages_show_their_figures() -> None:
    for claim in RECORDED:
        assert f"figures/claims/{claim.name}.png" in page_of(claim).read_text(), claim.id


def test_claims_have_distinct_names_and_pages() -> None:
    numbers = [int(claim.id.removeprefix("C")) for claim in CLAIMS]
    assert numbers == sorted(set(numbers))
    for claim in CLAIMS:
        text = page_of(claim).read_text()
        assert re.search(rf"^# {claim.id}: ", text, re.M)
        parts = ("Verdict", "Hypothesis", "Test", "Rule", "Question", "Options", "Measured")
        for part in (*parts, "Choice", "Where in the code", "Open"):
            assert text.count(f"**{part}.**") == 1, (claim.id, part)
        assert claim.alt
        assert claim.command.startswith("python -m experiments ")
    assert {path.name for path in pages.DOCS.glob("claims/*.md")} == {
        page_of(claim).name for claim in CLAIMS
    }


def test_common_rule_names_the_predicted_sign() -> None:
    """The rule is written in the claim's template, the prediction in its code."""
    found = set()
    for claim in RECORDED:
        signs = {e.predicted for e in finding_of(claim, records_of(claim)).effects if e.predicted}
        for sign, predicted in (("above", "higher"), ("below", "lower")):
            if common_rule(sign) in page_of(claim).read_text():
                assert signs == {predicted}, claim.id
                found.add(sign)
    assert found == {"above", "below"}


def test_record_of_larger_models_is_shown_beside_the_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same rule on the record of the larger scale, beside the first verdict and not over it."""
    (claim,) = (claim for claim in CLAIMS if claim.id == "C9")
    (name,) = claim.records
    for folder in ("tokenizers", "tokenizers_large"):
        data = json.loads((RECORDS / name).read_text()) | {"study": folder}
        path = tmp_path / folder / "summary.json"
        path.parent.mkdir()
        path.write_text(json.dumps(data))
    page = page_of(claim).read_text()
    monkeypatch.setattr("experiments.core.records.RECORDS", tmp_path)
    both = claim_page(claim, page)
    assert ". Larger models: **" in both
    assert "`experiments/records/tokenizers_large/summary.json`" in both
    assert "`python -m experiments run tokenizers --scale large`" in both
    (tmp_path / "tokenizers_large" / "summary.json").unlink()
    assert "Larger" not in claim_page(claim, page).split("**Choice.**")[0]
