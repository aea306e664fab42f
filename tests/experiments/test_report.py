"""The report: whole, self-contained, and its sentences follow the numbers."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from experiments.core.folder import StudyFolder, slug
from experiments.core.job import plan, run_jobs
from experiments.core.latency import measure_latency
from experiments.core.markdown import markdown_curves, markdown_table
from experiments.core.study import Study
from experiments.core.summarize import summarize
from experiments.core.summary import METRICS, Statistic, StudySummary, metric_named
from experiments.reporting.page import render_page
from experiments.reporting.sentences import _change, headline, points
from experiments.reporting.study_report import write_report
from experiments.studies import STUDIES
from experiments.studies.smoke import SMOKE
from tests.html_page import Page
from wavevit.auditing.style import line_styles

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished smoke study."""
    path = tmp_path_factory.mktemp("smoke") / "runs"
    folder = StudyFolder(path, SMOKE.name)
    assert run_jobs(plan(SMOKE, folder, SMOKE.seeds), CPU, workers=1, threads=1) == []
    measure_latency(SMOKE, folder, CPU)
    return path


@pytest.fixture(scope="module")
def page(runs: Path) -> Path:
    """Its report, with the record beside the runs."""
    return write_report(SMOKE, runs, record=runs.parent / "record")


def test_report_is_whole_and_self_contained(page: Path, runs: Path) -> None:
    text = page.read_text()
    parser = Page()
    parser.feed(text)
    assert parser.open == []
    assert [place for place in parser.loaded if not place.startswith(("#", "data:"))] == []
    assert "<script" not in text
    names = {"tokens_circular", "tokens_crop", "sensitivity", "consistency", "cost"}
    names |= {"sensitivity_applied", "trade_off"}
    for suffix in ("svg", "png"):
        assert {p.stem for p in page.parent.glob(f"*.{suffix}")} == names
    kept = {path.name for path in (runs.parent / "record").iterdir()}
    tables = {"table.md", "sensitivity_circular.md", "sensitivity_crop.md"}
    assert kept == tables | {"summary.json", "pictures.json"}
    assert text.count("<figcaption>") == len(names)
    assert all(len(caption) > 60 for caption in re.findall(r"<figcaption>(.*?)</figcaption>", text))


def test_the_table_is_the_summary(runs: Path, page: Path) -> None:
    summary = summarize(SMOKE, StudyFolder(runs, SMOKE.name))
    text = page.read_text()
    stored = json.loads((page.parent / "summary.json").read_text())
    for name in summary.variants:
        assert f"<td>{summary.metrics[name]['top1'].text(1)}</td>" in text
        assert stored["metrics"][name]["top1"] == list(summary.metrics[name]["top1"].values)
        results = [
            json.loads((runs / slug(name) / f"seed{seed}" / "result.json").read_text())
            for seed in SMOKE.seeds
        ]
        expected = sum(result["top1"] for result in results) / len(results)
        assert summary.metrics[name]["top1"].mean == pytest.approx(expected)
    assert summary.metrics["vit + phase_lock"]["circular"].mean == 100
    assert summary.latency["vit"] == 1.0


def test_a_record_gives_the_summary_back(runs: Path) -> None:
    summary = summarize(SMOKE, StudyFolder(runs, SMOKE.name))
    stored = json.loads(json.dumps(summary.to_dict()))
    assert StudySummary.from_dict(stored).to_dict() == summary.to_dict()
    for name in ("rates", "budgets"):  # records of before they came
        del stored[name]
    older = StudySummary.from_dict(stored)
    assert (older.rates, older.budgets) == ({}, {})


def test_alignments_added_after_training_are_marked(runs: Path, page: Path) -> None:
    """Its weights are the trained one's, its answers to rolls are the lock's."""
    summary = summarize(SMOKE, StudyFolder(runs, SMOKE.name))
    name = "vit then phase_lock"
    for seed in SMOKE.seeds:
        own, source = (runs / slug(n) / f"seed{seed}" for n in (name, "vit"))
        weights = [(path / "weights.safetensors").read_bytes() for path in (own, source)]
        assert weights[0] == weights[1]
        assert json.loads((own / "origin.json").read_text())["weights_of"] == str(source)
        assert not (own / "metrics.jsonl").exists()
    assert summary.trained == ("vit", "vit + phase_lock")
    assert summary.metrics[name]["circular"].mean == 100
    assert summary.latency[name] == summary.latency["vit + phase_lock"]
    assert f"| `{name}`, after training |" in markdown_table(summary)
    job = f'<td>{name}<small class="below">after training</small></td>'
    assert job in page.read_text()


def test_the_worst_case_is_shown_where_it_was_measured(runs: Path) -> None:
    summary = summarize(SMOKE, StudyFolder(runs, SMOKE.name))
    assert "worst of ±8 px, %" in markdown_table(summary).splitlines()[0]
    for own in summary.metrics.values():
        assert own["worst"].mean <= 100
    standard = dataclasses.replace(SMOKE, measures=())
    head = markdown_table(summarize(standard, StudyFolder(runs, SMOKE.name))).splitlines()[0]
    assert head == (
        "| variant | top-1, % | C-Cons, % | S-Cons, % | HP-Cons, % | R(1 px) circular "
        "| R(1 px) crop | condition number | MMAC | time |"
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((64.0, 64.0, 64.0), "64"),
        ((64,), "64"),
        ((33.370138, 33.370138), "33.4"),
        ((63.9875, 63.9875), "64.0"),  # not all pictures have as many
        ((64.0, 65.0), "64.5 ± 0.7"),
    ],
)
def test_a_count_that_all_seeds_share_has_no_spread(values: tuple[float, ...], text: str) -> None:
    assert METRICS["tokens"].text(Statistic.of(values)) == text
    assert ("±" in METRICS["top1"].text(Statistic.of(values))) == (len(values) > 1)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((2.3154,), "2.315"),  # one seed has no spread
        ((1.7, 2.315, 2.93), "2.3 ± 0.6"),
        ((8.72, 8.8, 8.88), "8.80 ± 0.08"),
        ((0.135, 0.136, 0.137), "0.136 ± 0.001"),
        ((0.5, 0.50001), "0.500 ± 0.000"),
        ((15.0, 30.0), "22.5 ± 10.6"),
    ],
)
def test_decimals_of_a_tasks_figures_follow_their_spread(
    values: tuple[float, ...], text: str
) -> None:
    metric = metric_named("detection", "box shift")
    assert metric.digits is None
    assert metric.text(Statistic.of(values)) == text


def test_curves_have_every_shift(runs: Path) -> None:
    summary = summarize(SMOKE, StudyFolder(runs, SMOKE.name))
    head, _, *rows = markdown_curves(summary, "crop").splitlines()
    assert head == "| variant | ½ px | 1 px | 2 px | 4 px | 8 px |"
    assert summary.sensitivity["vit"]["crop"][8].text(3) in rows[0]


@pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)
def test_styles_of_variants_differ(study: Study) -> None:
    styles = [tuple(style.items()) for style in line_styles(list(study.configs())).values()]
    assert len(set(styles)) == len(styles)


def test_paired_differences(runs: Path) -> None:
    summary = summarize(SMOKE, StudyFolder(runs, SMOKE.name))
    own, base = (summary.metrics[n]["crop"].values for n in ("vit + phase_lock", "vit"))
    difference = summary.paired_difference("vit + phase_lock", "vit", "crop")
    assert difference is not None
    assert difference.values == pytest.approx([a - b for a, b in zip(own, base, strict=True)])


def test_sentences_follow_the_numbers(runs: Path) -> None:
    summary = summarize(SMOKE, StudyFolder(runs, SMOKE.name))
    text = headline(summary)
    share = 100 * summary.sensitivity["vit"]["circular"][1].mean
    assert f"by {share:.0f} % of the mean distance between images" in text
    assert "Exactly invariant to circular shifts (C-Cons 100 %): <b>vit + phase_lock</b>" in text


def test_verdicts() -> None:
    assert Statistic.of([2.0, 2.1, 1.9]).direction() == "higher"
    assert Statistic.of([-2.0, -2.1, -1.9]).direction() == "lower"
    assert Statistic.of([2.0, -2.1, 0.3]).direction() == "inconclusive"
    assert Statistic.of([2.0]).direction() == "one seed: no statement"


def test_differences_without_spread_have_no_interval() -> None:
    chance = Statistic.paired([31.9, 33.3], [33.3, 34.7], "points")
    assert points(chance) == "−1.4 points (the same in 2 pairs: no test possible)"
    assert chance.change(1) == "−1.4 (the same in 2 pairs: no test possible)"
    fixed = Statistic.paired([2.0] * 3, [0.5] * 3, unit="")
    assert fixed.change(1) == "+1.5 (exact)"
    assert fixed.direction() == "higher"
    for unit in ("%", "points"):
        saturated = Statistic.paired([100.0] * 3, [98.6] * 3, unit)
        assert points(saturated) == "+1.4 points (the same in 3 pairs: no test possible)"
        assert saturated.direction() == "inconclusive"
    assert points(Statistic.of([-1.4])) == "−1.4 points (one seed: no statement)"
    assert points(Statistic.of([-1.5, -1.4])) == "−1.4 [−2.1, −0.8] points (lower, 2 seeds)"


def test_page_says_where_times_were_not_measured(runs: Path) -> None:
    summary = summarize(SMOKE, StudyFolder(runs, SMOKE.name))
    timed = f"forward pass of a batch of {summary.timed_batch}, timed"
    assert timed in render_page(summary, [], "make")
    untimed = dataclasses.replace(summary, timed_batch=0, latency={})
    assert "forward pass of a batch" not in render_page(untimed, [], "make")
    assert "Times were not measured" in render_page(untimed, [], "make")


def test_names_are_escaped(runs: Path) -> None:
    summary = summarize(SMOKE, StudyFolder(runs, SMOKE.name))
    hostile = dataclasses.replace(summary, question="is 1 < 2 & <b>so</b>?")
    assert "is 1 &lt; 2 &amp; &lt;b&gt;so&lt;/b&gt;?" in render_page(hostile, [], "make")


def test_missing_runs_are_listed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="out: expected a study's folder"):
        summarize(SMOKE, StudyFolder(tmp_path / "none", "smoke"))
    folder = StudyFolder(tmp_path / "empty", "smoke")
    plan(SMOKE, folder, (0,))
    with pytest.raises(ValueError, match="out: expected at least one complete run"):
        summarize(SMOKE, folder)


def test_without_weights_there_are_no_pictures(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = tmp_path / "runs"
    shutil.copytree(runs, away, ignore=shutil.ignore_patterns("*.safetensors", "report"))
    page = write_report(SMOKE, away)
    assert "No pictures" in capsys.readouterr().out
    assert "sensitivity" in {path.stem for path in page.parent.glob("*.png")}
    assert not list(page.parent.glob("tokens_*"))


def test_differences_that_are_equal_but_for_rounding_have_no_spread() -> None:
    """Of two seeds in percent of 72 crops: the last digits of float64 differ."""
    differences = [9.722222222222223 - 11.11111111111111, 11.11111111111111 - 12.5]
    assert differences[0] != differences[1]
    found = Statistic.of(differences)
    assert found.std == 0
    assert found.p_value() is None
    assert Statistic.of([-1.3888, -1.3889]).std > 0


def test_models_that_change_less_or_more_make_whole_sentences() -> None:
    assert _change([], "more. ") == ""
    assert _change(["a (1 %)"], "more. ") == "a (1 %) changes more. "
    assert _change(["a (1 %)", "b (2 %)"], "more. ") == "a (1 %), b (2 %) change more. "
