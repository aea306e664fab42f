"""The report of a study: one self-contained page, the records behind it, and every figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from experiments.core.checkpoint import load_weights
from experiments.core.config import RunConfig
from experiments.core.folder import StudyFolder
from experiments.core.markdown import study_views
from experiments.core.records import write_bytes, write_json
from experiments.core.study import Study
from experiments.core.style import figure_style, save_figure, svg_of
from experiments.core.summarize import summarize
from experiments.core.summary import StudySummary
from experiments.core.training import make_model
from experiments.reporting.page import render_page
from experiments.reporting.pictures import record_changes
from experiments.reporting.segmentation import record_answers
from experiments.reporting.study_figures import study_figures


def _trained(folder: StudyFolder, variant: str, seed: int) -> tuple[Any, RunConfig]:
    run = folder.run(variant, seed)
    config = run.load_config()
    model = make_model(config).eval()
    load_weights(run.weights, model)
    return model, config


def _pictures(summary: StudySummary, folder: StudyFolder) -> dict[str, Any] | None:
    """What trained models see, as a record; None where weights did not come along from another
    machine, or where the task has no picture."""
    if summary.task not in ("classification", "segmentation"):
        return None
    runs = {name: folder.run(name, summary.seeds[name][0]) for name in summary.pictured}
    away = [name for name, run in runs.items() if not run.weights.exists()]
    if away:
        print(f"No pictures: no weights in {folder.path} of {', '.join(away)}")
        return None
    models: dict[str, Any] = {}
    for name in runs:
        models[name], config = _trained(folder, name, summary.seeds[name][0])
    record = record_answers if summary.task == "segmentation" else record_changes
    return record(models, config.data)


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
        for figure in study_figures(summary, pictures):
            save_figure(figure.draw(), target, figure.name)
            drawn.append((figure, svg_of(target / f"{figure.name}.svg")))
    page = render_page(summary, drawn, f"{study.command()} && {study.report_command()}")
    write_bytes(target / "report.html", page.encode())
    for place in (target, record):
        if place is not None:
            write_json(place / "summary.json", summary.to_dict())
            if pictures is not None:
                write_json(place / "pictures.json", pictures)
    if record is not None:
        for view in study_views(record, summary):
            write_bytes(view.path, view.render(summary).encode())
    return target / "report.html"
