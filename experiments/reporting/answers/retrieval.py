"""Retrieval: the nearest held-out pictures of a query, and of the query moved by one pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from experiments.core.config import RunConfig
from experiments.reporting.answers.base import Answers, Configs, Record, register_answers
from experiments.reporting.answers.examples import Examples, grey_levels, held_out_examples
from experiments.reporting.answers.grid import RIGHT, WRONG, Cell, picture_grid
from experiments.reporting.answers.packed import packed, unpacked
from experiments.reporting.figure import StudyFigure
from experiments.reporting.trained import TrainedRuns
from wavevit.tasks import Retrieval

_QUERIES, _NEIGHBOURS, _BATCH = 2, 4, 64
_ALT = (
    "For each model two queries, each with its nearest pictures of the gallery; below, the same "
    "for the queries moved by one pixel. Right ones have a frame and the word right, wrong ones "
    "the word wrong."
)


@register_answers("retrieval")
class Neighbours(Answers):
    """The nearest pictures of two queries among all held-out ones, right and wrong ones marked."""

    def record(self, trained: TrainedRuns, config: RunConfig) -> dict[str, Any]:
        examples = held_out_examples(config)
        batch = examples.crops(0, config.data.test_crops)
        queries = _first_of_labels(batch["labels"])
        found = {
            name: _neighbours(task, examples, batch, queries)
            for name, task in trained.models().items()
        }
        lists = [row for own in found.values() for rows in own.values() for row in rows]
        shown = sorted({index for row in lists for index in row})
        moved = torch.cat([examples.crops(q, q + 1, moved=True)["images"] for q in queries])
        return {
            "labels": batch["labels"].tolist(),
            "queries": queries,
            "moved": packed(grey_levels(moved)),
            "shown": [*queries, *shown],
            "crops": packed(grey_levels(batch["images"][[*queries, *shown]])),
            "models": found,
        }

    def figures(self, record: Record, configs: Configs) -> list[StudyFigure]:
        caption = (
            f"{len(record['queries'])} held-out queries and their nearest pictures among the other "
            f"{len(record['labels']) - 1} (first seed), nearest first. Second row of a model: the "
            "query starts one pixel further right, the gallery is the same. Right: of the same "
            "label."
        )
        draw = partial(neighbours_picture, record)
        title = "Nearest pictures of held-out queries"
        return [StudyFigure("neighbours", title, caption, draw, "picture", _ALT)]


def _first_of_labels(labels: Tensor) -> list[int]:
    """The first example of each of the first labels, of those that another example has if any."""
    values = labels.tolist()
    different = list(dict.fromkeys(values))
    repeated = [value for value in different if values.count(value) > 1]
    return [values.index(value) for value in (repeated or different)[:_QUERIES]]


def _neighbours(
    task: Retrieval, examples: Examples, batch: Mapping[str, Any], queries: Sequence[int]
) -> dict[str, list[list[int]]]:
    """Numbers of the nearest pictures of each query, nearest first: still and moved."""
    images = batch["images"]
    gallery = torch.cat([task.embed(part) for part in images.split(_BATCH)])
    moved = torch.cat([examples.crops(q, q + 1, moved=True)["images"] for q in queries])
    found = {}
    for kind, own in (("still", gallery[list(queries)]), ("moved", task.embed(moved))):
        cosines = own @ gallery.T
        for row, query in zip(cosines, queries, strict=True):
            row[query] = -2.0  # the query itself
        count = min(_NEIGHBOURS, len(gallery) - 1)
        found[kind] = cosines.topk(count, dim=1).indices.tolist()
    return found


def neighbours_picture(record: Mapping[str, Any]) -> Figure:
    """Two rows for each model: the nearest pictures of the queries, and of the moved queries."""
    crops = unpacked(record["crops"])
    picture = dict(zip(record["shown"], crops, strict=True))
    moved = unpacked(record["moved"])
    labels, queries = record["labels"], record["queries"]
    rows = []
    for name, own in record["models"].items():
        for kind, title in (("still", name), ("moved", "moved 1 px")):
            cells: list[Cell | None] = []
            for place, (query, nearest) in enumerate(zip(queries, own[kind], strict=True)):
                cells.append(Cell(moved[place] if kind == "moved" else picture[query], "query"))
                for other in nearest:
                    same = labels[other] == labels[query]
                    note, frame = ("right", RIGHT) if same else ("wrong", WRONG)
                    cells.append(Cell(picture[other], note, frame))
            rows.append((title, cells))
    heads = ["", *(str(i + 1) for i in range(len(own["still"][0])))] * len(queries)
    return picture_grid(rows, heads, side=0.78)
