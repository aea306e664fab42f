"""Headings of the columns that a task's metrics have in tables."""

from __future__ import annotations

import pytest
import torch

from experiments.core.summary import metric_named, metrics_of
from experiments.core.task_headings import task_heading
from wavevit.tasks import create_task, list_tasks


@pytest.mark.parametrize("task", list_tasks())
def test_every_metric_has_a_heading_in_words(task: str) -> None:
    """No key of the code, such as ``text_to_image_r5``, heads a column."""
    built = create_task(task, "test_vit", img_size=32, in_chans=1, num_classes=3).eval()
    batch = built.dummy_batch(4)
    with torch.no_grad():
        answers = built.predict(batch)
        names = list(built.summarize(built.evaluate(batch)))
        names += [f"{name} at 1 px" for name in built.compare(answers, answers, (0, 0))]
    for name in names:
        heading = task_heading(task, name)
        assert "_" not in heading
        # Without a heading of its own a metric is called by its key.
        assert heading != name.replace("_", " ") or name in {"cosine at 1 px"}, name


def test_unit_is_behind_the_shift() -> None:
    metric = metric_named("detection", "box_shift at 4 px")
    assert (metric.title, metric.unit) == ("box shift at 4 px", "px")
    assert metric.heading == "box shift at 4 px, px"


def test_comma_in_a_heading_is_no_unit() -> None:
    metric = metric_named("diffusion", "band2_time3")
    assert (metric.title, metric.unit) == ("loss of band 2, 4th quarter", "")


def test_score_has_the_direction_of_its_task() -> None:
    metric = metrics_of("masked", {"metrics": {"relative": 0.0}})["relative"]
    assert (metric.heading, metric.better) == ("error relative to inpainting, %", "low")


def test_metric_that_is_not_listed_is_called_by_its_name() -> None:
    assert task_heading("masked", "edge_error at 2 px") == "edge error at 2 px"


def test_shifts_wider_than_the_margin_are_no_metrics() -> None:
    """A crop with a margin of 2 pixels is not moved by 4 or 8."""
    by_shift = {"1": 1.0, "2": 2.0}
    found = metrics_of("segmentation", {"miou": 1.0, "kept": by_shift, "mask_jitter": by_shift})
    assert list(found) == ["miou", "kept_1", "kept_2", "jitter_1", "jitter_2"]
