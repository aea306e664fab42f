"""Checks of class labels."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from wavevit.checks import fail

__all__ = ["check_labels"]


def check_labels(
    labels: Any, shape: tuple[int, ...], classes: int, ignore: int | None = None
) -> None:
    """Refuses labels that are no classes.

    Args:
        labels: what a batch has under ``"labels"``.
        shape: that they must have.
        classes: number of classes.
        ignore: a further value that is allowed and means no class.

    Raises:
        ValueError: no integers, another shape, or a class out of range.
    """
    name = "batch['labels']"
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.is_complex():
        kind = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        fail(name, "a tensor of integers", kind)
    if tuple(labels.shape) != shape:
        fail(name, f"shape {shape}", tuple(labels.shape))
    known = labels if ignore is None else labels[labels != ignore]
    if known.numel() and (int(known.min()) < 0 or int(known.max()) >= classes):
        expected = f"classes from 0 to {classes - 1}"
        if ignore is not None:
            expected += f", or {ignore} for none"
        fail(name, expected, f"values from {int(known.min())} to {int(known.max())}")
