"""Peak memory of activations, and growth of a cost with the image size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from wavevit.checks import check_callable, check_number, fail
from wavevit.measure.evaluation import evaluation_mode
from wavevit.wavelets._engine.torch_private import TorchDispatchMode, storage_key, tree_leaves

__all__ = ["growth_exponent", "peak_activation_bytes"]


class _LiveStorages(TorchDispatchMode):
    """Sums the storages that operations have made and that somebody still holds."""

    def __init__(self, known: Tensor) -> None:
        super().__init__()
        self.known = {storage_key(known.untyped_storage())}
        self.live: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, Tensor):  # weights and buffers are there before and after
                key = storage_key(tensor.untyped_storage())
                if key not in self.live:
                    self.known.add(key)
        result = func(*args, **(kwargs or {}))
        self.live = {key: held for key, held in self.live.items() if not held[0].expired()}
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if (key := storage_key(storage)) not in self.known:
                    self.live[key] = (StorageWeakRef(storage), storage.nbytes())
        self.peak = max(self.peak, sum(size for _, size in self.live.values()))
        return result


def peak_activation_bytes(model: Callable[[Tensor], Any], images: Tensor) -> int:
    """Peak memory of the intermediate results of one forward pass.

    Args:
        model: any callable.
        images: one batch (B, C, H, W); neither it nor the weights are counted.

    Returns:
        Bytes. On the CPU the results of torch's operations count, independent of
        the allocator, without scratch memory inside an operation. On CUDA it is the
        allocator's peak, with scratch memory.

    Guarantees:
        Equal to a hand count for a chain of operations (tests/unit/test_measure_memory.py).

    Raises:
        ValueError: a model that cannot be called, or no batch of images.
    """
    check_callable("model", model)
    if not isinstance(images, Tensor):
        fail("images", "a torch.Tensor, one batch of images", type(images).__name__)
    with torch.no_grad(), evaluation_mode(model):
        if images.is_cuda:
            torch.cuda.synchronize(images.device)
            before = torch.cuda.memory_allocated(images.device)
            torch.cuda.reset_peak_memory_stats(images.device)
            model(images)
            torch.cuda.synchronize(images.device)
            return torch.cuda.max_memory_allocated(images.device) - before
        with _LiveStorages(images) as counter:
            model(images)
    return counter.peak


def growth_exponent(costs: Mapping[int, float]) -> float:
    """Exponent b of a cost that grows as (number of pixels)ᵇ.

    Args:
        costs: cost by side of a square image in pixels; only the smallest and the largest are used.

    Returns:
        1 for a cost in proportion to the pixels, 2 for one in proportion to their square.

    Raises:
        ValueError: fewer than two sizes.
    """
    if not isinstance(costs, Mapping):
        fail("costs", "a mapping from image sizes to costs", type(costs).__name__)
    if len(costs) < 2:
        fail("costs", "at least two image sizes", len(costs))
    for side, value in costs.items():
        check_number("costs", side, above=0)
        check_number(f"costs[{side}]", value, above=0)
    small, large = min(costs), max(costs)
    return math.log(costs[large] / costs[small]) / (2 * math.log(large / small))
