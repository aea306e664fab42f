"""No page of the docs has a figure in its prose that no record holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from experiments.reporting.citations import PAGES, citations, page_with
from experiments.reporting.regenerate import Generated
from tests.docs.prose import uncited, unnamed_passages

CITING = [page for page in PAGES if citations(page.read_text())]
A = "vit, R(1 px) crop"


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Study `crop_shift` with figures of its own."""

    def over_seeds(*values: float) -> list[float]:
        return list(values)

    metrics = {
        "vit": {"top1": over_seeds(60, 62, 64), "crop": over_seeds(70, 71, 72)},
        "dtcwt tokens": {"top1": over_seeds(70, 72, 74), "crop": over_seeds(83, 84, 85.5)},
    }
    for name, macs in (("vit", 14e6), ("dtcwt tokens", 15e6)):
        metrics[name]["macs"] = over_seeds(macs, macs, macs)
    empty: dict[str, dict[str, object]] = {
        key: {} for key in ("applied", "latency", "configs", "environment", "failed", "turnover")
    }
    summary = {
        "study": "crop_shift",
        "question": "?",
        "baseline": "vit",
        "contrasts": [],
        "seeds": {name: [0, 1, 2] for name in metrics},
        "metrics": metrics,
        "sensitivity": {name: {"crop": {"1": over_seeds(0.14, 0.147, 0.154)}} for name in metrics},
        "missing": [],
        "pictured": [],
        "timed_batch": 1,
        "core_minutes": 1.0,
        **empty,
    }
    (tmp_path / "crop_shift").mkdir()
    (tmp_path / "crop_shift" / "summary.json").write_text(json.dumps(summary))
    monkeypatch.setattr("experiments.core.records.RECORDS", tmp_path)


def page_of(prose: str, *lines: str) -> str:
    return "\n".join([prose, "", "<!-- cited", "crop_shift", *(f"  {x}" for x in lines), "-->", ""])


def test_every_figure_in_prose_has_a_record() -> None:
    """That they are the records' figures is `test_no_page_is_stale`."""
    for page in PAGES:
        text = page.read_text()
        assert uncited(text) == [], page.name
        assert unnamed_passages(text) == [], page.name


def test_other_records_make_every_page_stale(
    monkeypatch: pytest.MonkeyPatch, other_records: Callable[[Iterable[str]], Path]
) -> None:
    """Negative control: what the prose says does follow from the records."""
    texts = {page.name: page.read_text() for page in CITING}
    names = {one.record for text in texts.values() for one in citations(text)}
    folder = other_records(n if n.endswith(".json") else f"{n}/summary.json" for n in names)
    monkeypatch.setattr("experiments.core.records.RECORDS", folder)
    assert not [name for name, text in texts.items() if page_with(text) == text]


def test_negative_control_figure_without_a_record_is_detected() -> None:
    prose = "At 64 px the `3.5` of 18 gain\n+7.2 points (−1.0 to +3), 12 % and 0.147; torch 2.13."
    assert uncited(prose) == ["+7.2", "−1.0", "+3", "12", "0.147", "2.13"]
    assert uncited(f"{prose}\n<!-- without a record: 2.13, 12 -->") == [
        *("+7.2", "−1.0", "+3", "0.147")
    ]
    assert "0.147" not in uncited(page_of(prose, f"0.147 = {A}"))
    assert uncited("18 photographs of 64 px took 13 ms,\n2 times as long; 4942 images/s") == [
        *("13", "2", "4942")
    ]


def test_passage_without_a_record_tells_the_reader() -> None:
    passage = "<!-- begin: looks -->It took 1.4 ms{}.<!-- end: looks -->"
    assert uncited(passage) == []
    assert unnamed_passages(passage.format("")) == ["It took 1.4 ms."]
    assert unnamed_passages(passage.format(" in a single look")) == []


@pytest.mark.usefixtures("record")
def test_figures_are_written_from_the_record() -> None:
    """Signs, decimals, percent, ratios, an interval across a line's end, the same number twice."""
    lines = (
        f"0.9 = {A}",
        "9 = vit, R(1 px) crop in %",
        "9 points (9 to 9) = dtcwt tokens − vit, S-Cons",
        "−9.0 ± 9.0 = vit, top-1",
        "9.00 = dtcwt tokens ÷ vit, MMAC",
        "−9 = vit − dtcwt tokens, S-Cons",
    )
    prose = "R 0.9 or 9 %; +9\npoints (9 to 9); −9.0 ± 9.0 and 9.00 of MACs, −9."
    assert page_with(page_of(prose.replace("+9", "9"), *lines)) == page_of(
        "R 0.1 or 15 %; 13\npoints (12 to 14); +62.0 ± 2.0 and 1.07 of MACs, −13.",
        f"0.1 = {A}",
        "15 = vit, R(1 px) crop in %",
        "13 points (12 to 14) = dtcwt tokens − vit, S-Cons",
        "+62.0 ± 2.0 = vit, top-1",
        "1.07 = dtcwt tokens ÷ vit, MMAC",
        "−13 = vit − dtcwt tokens, S-Cons",
    )


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize(
    ("prose", "line", "message"),
    [
        ("It is 0.147.", f"0.148 = {A}", "0.148"),
        ("It is 0.1478.", f"0.147 = {A}", "0.147"),
        ("It is 0.147.", "0.147 = vat, R(1 px) crop", "variants of crop_shift"),
        ("It is 0.147.", "0.147 = vit, R(1 px) rolls", "a measure of"),
        ("It is 0.147.", f"0.147: {A}", "figure = where it stands"),
        ("It is 0.147 (0.1 to 0.2, 5).", f"0.147 (0.1 to 0.2, 5) = {A}", "its interval"),
    ],
)
def test_citation_without_a_record_value_is_refused(prose: str, line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        page_with(page_of(prose, line))


def test_figures_are_cited_in_the_order_of_the_page() -> None:
    with pytest.raises(ValueError, match="in the order of the list"):
        page_with(page_of("First 0.147, then 65.3.", "65.3 = vit, top-1", f"0.147 = {A}"))


def test_an_error_of_a_page_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("No figure.\n\n<!-- cited\nfew_phases\n  1.5 = a\n-->\n")
    with pytest.raises(ValueError, match=r"page\.md: page: expected '1\.5' in the prose"):
        Generated(path, page_with).wanted()
