"""The report of a study: one self-contained page, the summary, and every figure."""

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
from experiments.core.style import figure_style, save_figure
from experiments.core.summarize import summarize
from experiments.core.summary import StudySummary
from experiments.core.tasks import make_model
from experiments.reporting.diagrams import study_diagrams
from experiments.reporting.page import ReportFigure, render_page
from experiments.reporting.pictures import (
    PICTURE_SHIFTS,
    scene_window,
    token_change_maps,
    token_change_picture,
)
from experiments.reporting.segmentation import ABOUT_COMPOSITES, segmentation_picture
from experiments.reporting.sentences import about_picture

__all__ = ["write_report"]


def _trained(folder: StudyFolder, variant: str, seed: int) -> tuple[Any, RunConfig]:
    run = folder.run(variant, seed)
    config = run.load_config()
    model = make_model(config).eval()
    load_weights(run.weights, model)
    return model, config


def _pictures(summary: StudySummary, folder: StudyFolder, target: Path) -> list[ReportFigure]:
    """What trained models see; none where weights did not come along from another machine."""
    away = [
        name
        for name in summary.pictured
        if not folder.run(name, summary.seeds[name][0]).weights.exists()
    ]
    if away:
        print(f"No pictures: no weights in {folder.path} of {', '.join(away)}")
        return []
    models: dict[str, Any] = {}
    data = None
    for name in summary.pictured:
        models[name], config = _trained(folder, name, summary.seeds[name][0])
        data = config.data
    assert data is not None
    if summary.task == "segmentation":
        svg = save_figure(segmentation_picture(models, data), target, "composites")
        return [ReportFigure("What is seen of a composite", svg, ABOUT_COMPOSITES, "picture")]
    shifts = [shift for shift in PICTURE_SHIFTS if shift <= data.margin]
    window = scene_window(data)
    titles = {
        "circular": "What one pixel of circular shift does to the tokens",
        "crop": "What one pixel of crop shift does to the tokens, as when a camera moves",
    }
    follows = ""
    if any(model.alignment is not None for model in models.values()):
        follows = (
            " Maps of an aligned model follow the image: a circular shift by part of a token "
            "interpolates between equal tokens."
        )
    figures = []
    for kind, title in titles.items():
        changes = {
            name: token_change_maps(model, window, data, kind, shifts)
            for name, model in models.items()
        }
        svg = save_figure(
            token_change_picture(changes, window, data, kind, shifts), target, f"tokens_{kind}"
        )
        caption = about_picture(changes, shifts, kind) + follows
        figures.append(ReportFigure(title, svg, caption, "picture"))
    return figures


def write_report(study: Study, path: Path, record: Path | None = None) -> Path:
    """Writes the report into ``path/report``; returns the page's path.

    Args:
        study: which one.
        path: its folder of runs.
        record: a folder that gets the summary, the table and the figures as well.

    Raises:
        ValueError: `path` holds no complete run of this study.
    """
    torch.manual_seed(0)
    folder = StudyFolder(path, study.name)
    summary = summarize(study, folder)
    target = path / "report"
    with figure_style():
        pictures = _pictures(summary, folder, target)
        diagrams = study_diagrams(summary, target)
    figures = [*pictures[:1], diagrams[0], *pictures[1:], *diagrams[1:]]
    page = render_page(summary, figures, f"{study.command()} && {study.report_command()}")
    write_json(target / "summary.json", summary.to_dict())
    write_bytes(target / "report.html", page.encode())
    if record is not None:
        for file in sorted(target.iterdir()):
            if file.suffix == ".png" or file.name == "summary.json":
                write_bytes(record / file.name, file.read_bytes())
        for view in study_views(record, summary):
            write_bytes(view.path, view.render(summary).encode())
    return target / "report.html"
