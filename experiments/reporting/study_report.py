"""The report of a study: one self-contained page, the records behind it, and every figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from experiments.core.folder import StudyFolder
from experiments.core.markdown import answer_views, study_views
from experiments.core.records import write_bytes, write_json
from experiments.core.study import Study
from experiments.core.style import figure_style, save_figure, svg_of
from experiments.core.summarize import summarize
from experiments.core.summary import StudySummary
from experiments.reporting.answers import answers_of
from experiments.reporting.page import render_page
from experiments.reporting.study_figures import study_figures
from experiments.reporting.trained import TrainedRuns
from wavevit.progress import in_steps


def _pictures(summary: StudySummary, folder: StudyFolder) -> dict[str, Any] | None:
    """What trained models answer, as a record; None where weights did not come along from another
    machine, or where nothing says how answers of the task are shown."""
    answers = answers_of(summary.task)
    if answers is None:
        return None
    trained = TrainedRuns(folder, {name: summary.seeds[name] for name in summary.pictured})
    away = trained.away()
    if away:
        print(f"No pictures: no weights in {folder.path} of {', '.join(away)}")
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
    summary = summarize(study, folder)
    target = path / "report"
    pictures = _pictures(summary, folder)
    drawn = []
    with figure_style():
        for figure in in_steps(study_figures(summary, pictures), lambda one: one.name):
            save_figure(figure.draw(), target, figure.name)
            drawn.append((figure, svg_of(target / f"{figure.name}.svg")))
    tables = list((pictures or {}).get("tables", {}).values())
    page = render_page(summary, drawn, f"{study.command()} && {study.report_command()}", tables)
    write_bytes(target / "report.html", page.encode())
    for place in (target, record):
        if place is not None:
            write_json(place / "summary.json", summary.to_dict())
            if pictures is not None:
                write_json(place / "pictures.json", pictures)
    if record is not None:
        for view in study_views(record, summary):
            write_bytes(view.path, view.render(summary).encode())
        for view in answer_views(record, pictures or {}):
            write_bytes(view.path, view.render(pictures).encode())
    return target / "report.html"
