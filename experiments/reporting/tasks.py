"""The table of tasks and backbones: the main score of each, from the records of the studies."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.core.experiment import DOCS
from experiments.core.marked import marked
from experiments.core.records import RECORDS, load_record
from experiments.core.registry import found_in
from experiments.core.study import Study
from experiments.core.summary import StudySummary, metric_named
from experiments.core.table import Table
from experiments.studies.backbones import BACKBONES, OTHERS
from wavevit.tasks import TASKS

PAGE = DOCS / "tasks" / "index.md"
_NAMES = ("vit", *OTHERS)


def _studies() -> list[Study]:
    """The study of classification that compares families, and the studies of all other tasks."""
    found = found_in("experiments.studies", Study).values()
    own = BACKBONES.configs()[BACKBONES.baseline].task
    return [BACKBONES, *(one for one in found if one.configs()[one.baseline].task != own)]


def summaries() -> list[StudySummary]:
    """The records of tasks on several backbones, as far as there are some."""
    names = [f"{study.name}/summary.json" for study in _studies()]
    return [load_record(name) for name in names if (RECORDS / name).exists()]


def task_table(found: Sequence[StudySummary]) -> str:
    """A row for each study: the main score of its task on each backbone, mean ± standard deviation
    over seeds; a dash where the study does not have the backbone."""
    rows = []
    for summary in found:
        kind = TASKS.get(summary.task)
        metric = metric_named(summary.task, kind.score)
        arrow = "↑" if kind.higher_is_better else "↓"
        cells = [f"`{summary.task}`", f"{metric.heading} {arrow}"]
        for name in _NAMES:
            own = summary.metrics.get(name)
            cells.append("–" if own is None else metric.text(own[kind.score]))
        counts = sorted({len(summary.seeds[name]) for name in summary.seeds if name in _NAMES})
        rows.append([*cells, " to ".join(map(str, counts)), f"`{summary.study}`"])
    return Table(["task", "score", *_NAMES, "seeds", "study"], rows).markdown()


def page_with(page: str) -> str:
    """The page with its table from the records."""
    return marked(page, "backbones", task_table(summaries()))
