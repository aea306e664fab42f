"""Results of several batches as those of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from wavevit.checks import check_at_least, fail

__all__ = ["joined", "sliced"]


def joined(results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Joins batches, or results of batches, along their examples.

    Args:
        results: dicts with the same entries: tensors (B, …) or lists of length B.

    Raises:
        ValueError: no dict, or dicts with different entries.
    """
    if isinstance(results, Mapping | str) or not isinstance(results, Iterable):
        fail("results", "a sequence of results, one of each batch", type(results).__name__)
    parts = list(results)
    if not parts:
        fail("results", "results of at least one batch", "none")
    for index, part in enumerate(parts):
        if not isinstance(part, Mapping):
            fail(f"results[{index}]", "a dict", type(part).__name__)
    names = list(parts[0])
    for part in parts[1:]:
        if list(part) != names:
            fail("results", f"the entries {names} in each batch", list(part))
    return {name: _joined([part[name] for part in parts]) for name in names}


def _joined(values: list[Any]) -> Any:
    if isinstance(values[0], Tensor):
        return torch.cat(values)
    return [item for value in values for item in value]


def sliced(batch: Mapping[str, Any], start: int, stop: int) -> dict[str, Any]:
    """Some examples of a batch or of results.

    Args:
        batch: tensors (B, …) or lists of length B, by name.
        start: the first example.
        stop: the one after the last.

    Raises:
        ValueError: no dict, or bounds that are no whole numbers.
    """
    if not isinstance(batch, Mapping):
        fail("batch", "a dict of tensors or lists", type(batch).__name__)
    check_at_least("start", start, 0)
    check_at_least("stop", stop, 0)
    return {name: value[start:stop] for name, value in batch.items()}
