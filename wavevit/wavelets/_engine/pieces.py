"""A map applied to a few planes at a time, so that intermediate results stay small.

Half precision is computed in float32, and scattering makes fifteen images out of one. For a whole
batch at once that would be the peak of the model's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from wavevit.wavelets._engine.torch_private import is_derived, is_ordinary
from wavevit.wavelets._kernels.cpu_memory import room

__all__ = ["are_numbers", "by_images", "by_planes"]

_SAMPLES = 1 << 18  # of one piece: a megabyte in float32, enough to keep a few threads busy


def are_numbers(*tensors: Tensor) -> bool:
    """Whether these are ordinary tensors on the CPU, neither traced nor differentiated."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    if not all(x.device.type == "cpu" and is_ordinary(x) for x in tensors):
        return False
    return not is_derived(*tensors)


def by_images(compute: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``compute(x)``, of a few images at a time where that gives the same.

    Args:
        compute: maps (b, …) to (b, …), images apart from each other.
        x: (B, …).
    """
    if not are_numbers(x) or len(x) <= 1:  # asked first: a length in a graph is not to be read
        return compute(x)
    few = max(_SAMPLES // max(x[0].numel(), 1), 1)
    if len(x) <= few:
        return compute(x)
    result: Tensor | None = None
    for start in range(0, len(x), few):
        part = compute(x[start : start + few])
        if result is None:
            result = room(part, (len(x), *part.shape[1:]))
        result[start : start + few] = part
    assert result is not None
    return result


def by_planes(
    compute: Callable[..., Sequence[Tensor]], *tensors: Tensor, whole_images: bool = False
) -> Sequence[Tensor]:
    """``compute(*tensors)``, of a few planes at a time where that gives the same.

    Args:
        compute: maps tensors (b, c, …) to tensors (b, c, …), planes apart from each other.
        tensors: (B, C, …).
        whole_images: where channels are not all treated alike, only images come apart.
    """
    if not are_numbers(*tensors):
        return compute(*tensors)
    batch, channels = tensors[0].shape[:2]
    samples = max(x[0, 0].numel() for x in tensors) if batch * channels else 0
    most = max(_SAMPLES // max(samples, 1), channels if whole_images else 1)
    if most >= batch * channels:
        return compute(*tensors)
    results: list[Tensor] = []
    for images, planes in _pieces(batch, channels, most):
        parts = compute(*(x[images, planes] for x in tensors))
        if not results:
            results = [room(part, (batch, channels, *part.shape[2:])) for part in parts]
        for result, part in zip(results, parts, strict=True):
            result[images, planes] = part
    return results


def _pieces(batch: int, channels: int, most: int) -> Iterator[tuple[slice, slice]]:
    images, planes = max(most // channels, 1), min(most, channels)
    for image in range(0, batch, images):
        for plane in range(0, channels, planes):
            yield slice(image, image + images), slice(plane, plane + planes)
