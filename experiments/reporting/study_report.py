"""The report of a study: one self-contained page, the records behind it, and every figure."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from experiments.core.data_choice import without_folders
from experiments.core.folder import StudyFolder
from experiments.core.markdown import answer_views, study_views
from experiments.core.rate_choice import with_chosen_rates
from experiments.core.records import write_json
from experiments.core.snapshots import Snapshots
from experiments.core.study import Study
from experiments.core.style import figure_style, save_figure, svg_of
from experiments.core.summarize import codes_of_runs, summarize
from experiments.core.summary import StudySummary
from experiments.reporting.answers import answers_of
from experiments.reporting.page import render_page
from experiments.reporting.study_figures import study_figures
from experiments.reporting.trained import TrainedRuns
from wavevit.files import write_whole
from wavevit.progress import in_steps


def _pictures(
    summary: StudySummary, folder: StudyFolder, snapshots: Snapshots | None = None
) -> dict[str, Any] | None:
    """What trained models answer, as a record; None where weights did not come along from another
    machine, or where nothing says how answers of the task are shown."""
    answers = answers_of(summary.task)
    if answers is None:
        return None
    seeds = {name: summary.seeds[name] for name in summary.pictured}
    trained = TrainedRuns(folder, seeds, snapshots or Snapshots())
    away = trained.away()
    if away:
        print(f"No pictures of {', '.join(away)}: {folder.path} has no weights of them")
        return None
    print("What the trained models answer …", flush=True)
    with torch.no_grad():
        return answers.record(trained, trained.config(summary.pictured[-1]))


def write_report(study: Study, path: Path, record: Path | None = None) -> Path:
    """Writes the report of the runs in `path` into ``path/report``, and the records and tables into
    `record` as well; returns the page's path.

    Raises:
        ValueError: `path` holds no complete run of this study.
    """
    torch.manual_seed(0)
    folder = StudyFolder(path, study.name)
    begun = [name for name in study.configs() if folder.run(name, 0).path.parent.exists()]
    study = with_chosen_rates(study, folder, begun)
    summary = summarize(study, folder)
    _tell_other_code(codes_of_runs(study, folder))
    target = path / "report"
    pictures = _pictures(summary, folder, study.snapshots)
    drawn = []
    with figure_style():
        for figure in in_steps(study_figures(summary, pictures), lambda one: one.name):
            save_figure(figure.draw(), target, figure.name)
            drawn.append((figure, svg_of(target / f"{figure.name}.svg")))
    tables = list((pictures or {}).get("tables", {}).values())
    page = render_page(summary, drawn, f"{study.command()} && {study.report_command()}", tables)
    write_whole(target / "report.html", page.encode(errors="backslashreplace"))
    _write(target, summary, pictures)
    if record is not None:
        # A user's pictures, or those of a data set with a licence of its own, are not recorded.
        kept = None if study.typed else pictures
        recorded = recordable(summary)
        _write(record, recorded, kept)
        for view in study_views(record, recorded):
            write_whole(view.path, view.render(recorded).encode())
        for view in answer_views(record, kept or {}):
            write_whole(view.path, view.render(kept).encode())
    return target / "report.html"


def _tell_other_code(codes: Mapping[str, Sequence[str]]) -> None:
    """Says that not all runs were trained with one code: their figures are in one table."""
    largest = max(codes, key=lambda digest: len(codes[digest]), default="")
    for digest, runs in codes.items():
        if digest != largest:
            more = f" and {len(runs) - 5} more" if len(runs) > 5 else ""
            print(
                f"Not all runs were trained with one code: {'; '.join(runs[:5])}{more} with digest "
                f'{digest}, {len(codes[largest])} with {largest} ("code" in environment.json). '
                "Delete the folders of runs that you want to train again.",
                file=sys.stderr,
            )


def recordable(summary: StudySummary) -> StudySummary:
    """The summary without places on this machine."""
    configs = {name: without_folders(config) for name, config in summary.configs.items()}
    return dataclasses.replace(summary, configs=configs)


def _write(folder: Path, summary: StudySummary, pictures: dict[str, Any] | None) -> None:
    write_json(folder / "summary.json", summary.to_dict())
    if pictures is not None:
        write_json(folder / "pictures.json", pictures)
