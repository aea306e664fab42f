"""Writes a study's report: ``python -m experiments.report patch_vs_wavelet``.

One self-contained ``report.html``, every figure as SVG and PNG, and the records behind them as
JSON. Without a study it writes every generated table and page of the docs from
``experiments/records/``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from experiments.core.checkpoint import load_weights
from experiments.core.config import RunConfig, Study
from experiments.core.folder import StudyFolder, write_bytes, write_json
from experiments.core.scale import SCALES, at_scale
from experiments.core.style import figure_style, save_figure, svg_of
from experiments.core.summary import StudySummary, summarize
from experiments.core.tasks import make_model
from experiments.core.usage import wrong_usage
from experiments.reporting.page import render_page
from experiments.reporting.pictures import record_changes
from experiments.reporting.regenerate import regenerate
from experiments.reporting.segmentation import record_answers
from experiments.reporting.study_figures import study_figures
from experiments.reporting.tables import study_tables
from experiments.studies import STUDIES, get_study
from wavevit.checks import fail

__all__ = ["Options", "main", "write_report"]

_RECORDS = Path(__file__).parent / "records"


@dataclass
class Options:
    """Write the report of a study: tables, figures and one page. Without a study: write every
    generated table and page of the docs from the records."""

    study: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(help=f"one of: {', '.join(STUDIES)}")
    ] = ""
    scale: Annotated[str, tyro.conf.arg(help=f"one of: {', '.join(SCALES)}")] = "default"
    out: Path | None = None
    """Folder of the runs. Default: that of experiments.run for this study and scale. The report is
    written to its subfolder report."""
    record: bool = False
    """Also write the records and tables to experiments/records/STUDY (or STUDY_large)."""


def _trained(folder: StudyFolder, variant: str, seed: int) -> tuple[Any, RunConfig]:
    run = folder.run(variant, seed)
    config = run.load_config()
    model = make_model(config).eval()
    load_weights(run.weights, model)
    return model, config


def _pictures(summary: StudySummary, folder: StudyFolder) -> dict[str, Any] | None:
    """What trained models see, as a record; None where weights did not come along from another
    machine."""
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
    """Writes the report into ``path/report``; returns the page's path.

    Args:
        study: which one.
        path: its folder of runs.
        record: a folder that gets the records (JSON) and the tables as well.

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
    page = render_page(summary, drawn, f"{study.command()} && {study.command('report')}")
    write_bytes(target / "report.html", page.encode())
    for place in (target, record):
        if place is not None:
            write_json(place / "summary.json", summary.to_dict())
            if pictures is not None:
                write_json(place / "pictures.json", pictures)
    if record is not None:
        for name, text in study_tables(summary).items():
            write_bytes(record / name, text.encode())
    return target / "report.html"


def main() -> None:
    """The command line; complaints about arguments come without a traceback."""
    options = tyro.cli(Options, prog="python -m experiments.report", description=Options.__doc__)
    try:
        if not options.study:
            if options.out is not None or options.record:
                fail("study", "a name beside --out or --record", "none")
            for path in regenerate():
                print(f"→ {path.relative_to(_RECORDS.parents[1])}")
            return
        study = at_scale(get_study(options.study), options.scale)
        record = _RECORDS / study.name if options.record else None
        page = write_report(study, options.out or Path("runs") / study.name, record)
    except ValueError as error:
        wrong_usage("experiments.report", error)
    print(f"Open {page.resolve()}")


if __name__ == "__main__":
    main()
