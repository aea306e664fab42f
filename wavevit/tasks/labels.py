"""Checks of class labels and of class scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from wavevit.checks import fail

__all__ = ["check_labels", "check_scores", "check_shares"]


def check_labels(
    labels: Any, shape: tuple[int, ...], classes: int, ignore: int | None = None
) -> None:
    """Checks that labels are classes.

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


def check_shares(labels: Tensor, shape: tuple[int, int]) -> None:
    """Checks that labels are shares of classes.

    Args:
        labels: floating point.
        shape: examples and classes.

    Raises:
        ValueError: another shape, a negative share, or shares of an example that do not sum to 1.
    """
    name = "batch['labels']"
    if tuple(labels.shape) != shape:
        fail(name, f"shape {shape}", tuple(labels.shape))
    if labels.numel() and not float(labels.min()) >= 0:
        fail(name, "shares of at least 0", float(labels.min()))
    off = float((labels.sum(1) - 1).abs().max()) if labels.numel() else 0.0
    if not off < 1e-3:
        fail(name, "shares that sum to 1", f"a sum that is off by {off:.3g}")


def check_scores(results: Mapping[str, Any]) -> None:
    """Refuses answers with NaN: the largest entry of such logits would be some class.

    Args:
        results: of `Task.predict`; those without ``"logits"`` are not checked.

    Raises:
        ValueError: NaN among the logits.
    """
    logits = results.get("logits")
    if logits is None:
        return
    lost = int(torch.isnan(logits).flatten(1).any(1).sum())
    if lost:
        fail("model", "outputs without NaN", f"NaN for {lost} of {len(logits)} images")
