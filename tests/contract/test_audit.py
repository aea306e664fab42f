"""The audit: told apart what is invariant, whole when a part breaks, the same twice, one page."""

from __future__ import annotations

import html
import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wavevit
from tests.few_samples import FEW
from tests.html_page import Page
from wavevit.auditing import METRICS, AuditReport, Samples
from wavevit.auditing.sections import SECTIONS
from wavevit.auditing.verdicts import verdict_of


class Histogram(nn.Module):
    """Looks at each pixel alone and averages: no roll changes it, a crop hardly."""

    num_classes = 4

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mix = nn.Conv2d(3, 16, 1)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(4 * self.mix(x)).mean(dim=(2, 3)))


class Other(nn.Module):
    """A model that returns something else."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.inner, self.output = Histogram(), output

    def forward(self, x: Tensor) -> Any:
        return self.output(self.inner(x))


def audited(model: Any, **arguments: Any) -> AuditReport:
    return wavevit.audit(model, **{"size": 32, "samples": FEW} | arguments)


def statuses(report: AuditReport, model: str | None = None) -> dict[str, str]:
    return {name: entry["status"] for name, entry in report.sections(model).items()}


@pytest.fixture(scope="module")
def report() -> AuditReport:
    """A ViT beside a pyramid, plain and locked."""
    against = ["test_haar_pyramid", "test_haar_pyramid+phase_lock"]
    return audited("test_vit", against=against, size=64)


@pytest.fixture(scope="module")
def histogram() -> AuditReport:
    """Of the histogram model, which other models are compared with."""
    return audited(Histogram())


def test_every_section_of_ours_is_measured(report: AuditReport) -> None:
    for model in report.models:
        assert set(statuses(report, model).values()) == {"measured"}, model
    for entry in report.record["models"]:
        assert list(entry["metrics"]) == list(METRICS)
        assert None not in entry["metrics"].values()


def test_audit_distinguishes_a_phase_lock_from_a_vit(report: AuditReport) -> None:
    """The verdicts' control: exact where it is, and only there."""
    locked, plain = report.sections("test_haar_pyramid+phase_lock"), report.sections("test_vit")
    assert locked["sensitivity"]["verdict"].startswith("Exactly invariant to circular shifts")
    assert locked["consistency"]["figures"]["c_cons"]["percent"] == 100
    assert locked["tokens"]["figures"]["circular"]["percent"] < 50
    assert plain["sensitivity"]["verdict"].startswith("A circular shift by 1 px changes")
    assert plain["sensitivity"]["grade"] == "poor"
    assert plain["tokens"]["figures"]["circular"]["percent"] > 90


def test_jump_is_reported(report: AuditReport) -> None:
    """A lock that rounds its phase jumps, and the pyramid inside it does not."""
    locked, plain = (report.sections(f"test_haar_pyramid{lock}") for lock in ("+phase_lock", ""))
    assert locked["jumps"]["grade"] == "poor"
    assert plain["jumps"]["grade"] == "good"


def test_histogram_model_is_exactly_invariant(histogram: AuditReport) -> None:
    found = histogram.sections()
    assert found["sensitivity"]["verdict"].startswith("Exactly invariant to circular shifts")
    assert found["sensitivity"]["grade"] != "poor"  # a crop of 32 px brings 3 % of new content
    assert statuses(histogram)["tokens"] == statuses(histogram)["attention"] == "not applicable"
    assert "without attention" in found["attention"]["reason"]
    others = [name for name in SECTIONS if name not in ("tokens", "map", "attention")]
    assert {statuses(histogram)[name] for name in others} == {"measured"}


def test_error_in_one_section_does_not_stop_others(
    monkeypatch: pytest.MonkeyPatch, histogram: AuditReport
) -> None:
    def broken(scene: Any) -> dict[str, Any]:
        raise RuntimeError("out of luck")

    monkeypatch.setitem(SECTIONS, "scale", broken)
    report = audited(Histogram())
    scale = report.sections()["scale"]
    assert scale["status"] == "failed"
    assert scale["error"] == "RuntimeError: out of luck"
    assert "out of luck" in report.to_html()
    others = {name: entry for name, entry in report.sections().items() if name != "scale"}
    assert others == {name: e for name, e in histogram.sections().items() if name != "scale"}


def test_a_figure_that_is_not_finite_fails_its_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECTIONS, "rank", lambda scene: {"rank": float("nan")})
    assert audited(Histogram()).sections()["rank"]["error"].startswith("ValueError: figure")


def test_nan_fails_what_reads_it_and_is_named() -> None:
    report = audited(Other(lambda x: x * float("nan")))
    found = statuses(report)
    assert found["cost"] == "measured"
    assert found["sensitivity"] == found["consistency"] == "failed"
    assert "NaN" in report.sections()["sensitivity"]["error"]
    json.loads(report.to_json())


@pytest.mark.parametrize(
    ("output", "place"),
    [
        (lambda x: (x[:, :, None], x), "[1]"),
        (lambda x: {"loss": x.sum(), "logits": x}, "['logits']"),
        (lambda x: [{"a": None}, (x,)], "[1][0]"),
        (lambda x: {"mask": x.round(), "logits": x}, "['logits']"),
    ],
)
def test_the_first_matrix_of_an_output_is_looked_at(
    output: Any, place: str, histogram: AuditReport
) -> None:
    report = audited(Other(output))
    assert report.record["models"][0]["output"].startswith(place)
    assert report.sections() | {"cost": 0} == histogram.sections() | {"cost": 0}


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda x: (x.sum(), None), r"got a tuple with \[0\] \(\), \[1\] NoneType"),
        (lambda x: {"map": x[:, :, None]}, r"got a dict with \['map'\] \(2, 4, 1\)"),
        (lambda x: x.argmax(1), r"got a tensor of shape \(2,\)"),
        (lambda x: x[:1], r"got a tensor of shape \(1, 4\)"),
        (lambda x: None, "got NoneType"),
    ],
)
def test_an_output_without_a_matrix_is_refused_by_what_came(output: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"^model: expected a floating tensor with.*" + message):
        audited(Other(output))


@pytest.mark.parametrize(
    ("output", "reason"),
    [(lambda x: x[:, :, None], "not class scores"), (lambda x: x[:, :1], "one number")],
)
def test_models_without_class_scores_have_no_consistency(output: Any, reason: str) -> None:
    report = audited(Other(output))
    assert statuses(report)["consistency"] == statuses(report)["worst_shift"] == "not applicable"
    assert reason in report.sections()["consistency"]["reason"]
    assert statuses(report)["sensitivity"] == "measured"


def test_constant_answer_gets_no_consistency_grade() -> None:
    constant = Other(lambda x: x * 1e-6 + torch.tensor([0.0, 0.0, 1.0, 0.0]))
    entry = audited(constant).sections()["consistency"]
    assert entry["figures"]["s_cons"]["percent"] == 100
    assert entry["grade"] == "note"
    assert "get only one class, so pairs agree under any shift (" in entry["verdict"]
    # With two classes pairs may well differ: they agree more often than classes are shared.
    two = {**entry["figures"], "classes_seen": 2}
    words = verdict_of("consistency", {**entry, "figures": two}).words
    assert "get only 2 classes, so many pairs agree by chance (" in words


def test_fixed_input_size_is_found_and_other_sizes_are_refused() -> None:
    class Fixed(Histogram):
        pretrained_cfg = {"input_size": (3, 48, 48), "mean": (0.5,), "std": (0.5,)}  # noqa: RUF012

        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[-1] == 48, f"Input height ({x.shape[-1]}) doesn't match model (48)"
            return super().forward(x)

    report = audited(Fixed(), size=None)
    assert report.record["models"][0]["size"] == 48
    assert report.record["models"][0]["normalization"]["std"] == [0.5] * 3
    with pytest.raises(ValueError, match=r"size: .* got 32 pixels .* doesn't match model \(48\)"):
        audited(Fixed())
    with pytest.raises(ValueError, match="size: expected the side of the model's input"):
        audited(Histogram(), size=None)


def test_audit_takes_any_callable() -> None:
    report = audited(Histogram().forward, against={"again": Histogram()}, quick=True)
    assert report.models == ("method", "again")
    assert report.sections("again")["sensitivity"] == report.sections()["sensitivity"]


def test_the_model_is_left_as_it_was() -> None:
    model = wavevit.create_model("test_vit", img_size=32).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    audited(model)
    assert model.training
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())
    assert model(torch.zeros(1, 3, 32, 32)).shape[1] == model.num_classes


@pytest.mark.parametrize(
    "method",
    # A choice among views and an average of them by day; one filtered view at night.
    [pytest.param("blur", marks=pytest.mark.nightly), "polyphase", "weighted_frame"],
)
def test_aligned_models_keep_their_views(method: str, report: AuditReport) -> None:
    found = audited(f"test_haar_pyramid+{method}")
    assert set(statuses(found).values()) == {"measured"}
    plain, ours = (
        each.sections(name)["attention"]["figures"]["by_layer"]
        for each, name in ((report, "test_haar_pyramid"), (found, None))
    )
    assert len(ours) == len(plain)


def test_alignments_given_as_modules_are_seen_through(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = ("sensitivity", "tokens", "attention")
    monkeypatch.setattr(import_module("wavevit.auditing.audit"), "QUICK", compared)
    plain = wavevit.create_model("test_haar_pyramid", img_size=32).eval()
    inside = wavevit.create_model("test_haar_pyramid", img_size=32, alignment="phase_lock").eval()
    inside.load_state_dict(plain.state_dict())
    report = audited(wavevit.align(plain), against={"inside": inside}, size=None, quick=True)
    ours, theirs = report.sections("AlignedModel"), report.sections("inside")
    for name in compared:
        assert ours[name]["status"] == "measured"
        assert ours[name] == theirs[name], name
    facts = [entry["alignment"] for entry in report.record["models"]]
    assert [fact["method"] for fact in facts] == ["PhaseLock", "PhaseLock"]


def test_the_same_twice(report: AuditReport) -> None:
    again = audited("test_vit", size=64)
    assert again.record["models"][0] == report.record["models"][0]
    same = ("format", "environment", "seed", "samples", "images", "thresholds")
    assert all(again.record[key] == report.record[key] for key in same)
    other = audited("test_vit", size=64, seed=1, quick=True).sections()
    assert other["sensitivity"]["figures"] != again.sections()["sensitivity"]["figures"]


def test_the_json_says_how_it_was_made(report: AuditReport, tmp_path: Path) -> None:
    report.to_json(tmp_path / "deep" / "audit.json")
    record = json.loads((tmp_path / "deep" / "audit.json").read_text())
    assert record == report.record
    assert record["format"] == 1
    assert record["environment"]["packages"]["torch"] == torch.__version__
    assert set(record["shift_models"]) == {"circular", "crop", "subpixel"}
    assert record["samples"]["pictures"] == len(record["images"]["used"]) == 4
    assert record["images"]["skipped"] == []
    assert list(tmp_path.glob("**/.*")) == []


def test_audit_page_is_self_contained(report: AuditReport) -> None:
    text = report.to_html().replace("&nbsp;", " ")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert all(loaded.startswith(("#", "data:image/")) for loaded in page.loaded)
    assert not re.search(r"url\((?!#)|@import|<script|<link", text)
    assert not {name for name in page.ids if name in ("figure_1", "axes_1")}
    for model in report.models:
        for entry in report.sections(model).values():
            assert entry["verdict"].split("(")[0].split("'")[0] in text
    assert text.count("<svg") >= 6


def test_names_are_escaped() -> None:
    text = audited(Histogram(), against={"<i>&": Histogram()}, quick=True).to_html()
    assert "<i>&" not in text
    assert "&lt;i&gt;&amp;" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"against": "test_vit"}, "against: expected a sequence"),
        ({"against": [Histogram()]}, "against: expected models of different names"),
        ({"model": 3}, "model: expected a module, a callable, or a name"),
        ({"size": 4}, "size: expected an integer of at least 8"),
        ({"seed": -1}, "seed: "),
        ({"pretrained": True, "model": "test_vit"}, "pretrained: expected a timm:NAME"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        audited(**{"model": Histogram()} | arguments)


def test_samples_have_minimum_values() -> None:
    with pytest.raises(ValueError, match="pictures: expected an integer of at least 4"):
        Samples(pictures=3)


def test_the_quick_audit_measures_the_main_figures_and_says_what_it_left_out(
    report: AuditReport,
) -> None:
    quick = audited("test_vit", size=64, quick=True)
    measured = {name for name, status in statuses(quick).items() if status == "measured"}
    assert measured == {"consistency", "sensitivity", "tokens", "cost"}
    for name in measured:
        assert quick.sections()[name] == report.sections("test_vit")[name]
    words = quick.table()
    assert "left out of the quick audit" in words
    answer = quick.to_html().split('<p class="answer">')[1].split("</p>")[0]
    assert "left out" not in answer
    assert quick.record["quick"]


def test_metrics_of_a_report_are_the_numbers_of_its_table(report: AuditReport) -> None:
    table = str(report)
    assert table == report.table()
    for name in report.models:
        values = report.metrics(name)
        assert list(values) == list(METRICS)
        assert f"{values['r_crop']:.4f}" in table
    assert report.metrics() == report.metrics("test_vit")
    assert report.metrics() != report.metrics("test_haar_pyramid")
    with pytest.raises(ValueError, match="model: expected one of 'test_vit'"):
        report.metrics("test_swin")
    report.metrics()["r_crop"] = None  # a copy: the report stays as it is
    assert report.metrics()["r_crop"] is not None


def test_report_in_a_console_and_a_notebook_is_short_and_framed(report: AuditReport) -> None:
    assert repr(report) == f"AuditReport(models={list(report.models)})"
    frame = report._repr_html_()
    assert frame.startswith("<iframe srcdoc=")
    assert frame.endswith("</iframe>")
    assert html.unescape(frame.split('"')[1]) == report.to_html()


def test_costs_of_a_tiny_model_are_not_rounded_to_zero() -> None:
    counted = {"parameters": 2600, "macs": 2e5, "peak_bytes": 98_304, "macs_by_kind": {}}
    entry = {"status": "measured", "figures": counted | {"quantized": 0}}
    words = verdict_of("cost", entry).words
    assert words.startswith("0.003 M parameters, 0.0002 G multiply-accumulates")
    assert "0.1 MB of activations" in words


def test_a_thousandth_of_the_time_is_not_written_as_zero(report: AuditReport) -> None:
    record = json.loads(report.to_json())
    record["timings"]["time"] = dict(zip(report.models, (1.0, 0.004, 0.5), strict=True))
    short = AuditReport(record, report.picture)
    assert re.search(r"time, test_vit = 1 ↓ +1.00 +0.004 +0.50\n", short.table())
    assert "<td>0.004</td>" in short.to_html()
