"""Try a model on noise: find the channels, precision and batch size that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wavevit.auditing.calling import Called
from wavevit.auditing.tracing import Refused, Trace, traced

__all__ = ["Probe", "noise", "probed"]

_ROWS = 2
_BATCHES = (1, 4, 8, 16, 32, 3)  # of models with one number of images written into them
_SIDES = (224, 32, 64, 256, 384, 28, 96, 128, 160, 192, 48, 16, 8, 299, 336, 448, 512)


@dataclass(frozen=True)
class Probe:
    """What a model takes.

    Attributes:
        images: (B, C, H, W) noise that it took.
        output: for them.
        trace: of that run.
        batch: the only number of images that it takes; None for any.
    """

    images: Tensor
    output: Any
    trace: Trace
    batch: int | None


def noise(rows: int, channels: int, side: int, like: Tensor) -> Tensor:
    """Pictures of uniform noise, the same each time."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(rows, channels, side, side, generator=generator).to(like)


def probed(
    called: Called,
    size: int,
    *,
    channels: Sequence[int],
    like: Sequence[Tensor],
    batch: int | None = None,
    sides: Sequence[int] = (),
    given: bool = False,
) -> Probe:
    """Runs a model on noise in each way that it may want; says what is wrong if none works.

    Args:
        called: the model.
        size: side in pixels.
        channels: to try, the likeliest first.
        like: tensors of the device and the precisions to try, the likeliest first.
        batch: the only number of images that the model declares to take.
        sides: that the model declares, for the complaint.
        given: whether the caller chose the channels.

    Returns:
        A `Probe` of the first way that works.

    Raises:
        ValueError: no way works. The argument at fault is found by trying: ``size`` where the
            model takes another side, ``channels`` where it takes another number of them, else
            ``model``. Or the output holds nothing to look at.
    """
    rows = _ROWS if batch is None else batch
    ways = [(rows, count, example) for count in channels for example in like]
    if batch is None:
        ways += [(one, count, like[0]) for count in channels for one in _BATCHES]
    first: BaseException | None = None
    for rows, count, example in ways:
        images = noise(rows, count, size, example)
        try:
            output, trace = traced(called, images)
        except Refused as refused:
            first = first or refused.__cause__
            continue
        return Probe(images, output, trace, None if rows == _ROWS and batch is None else rows)
    assert first is not None
    reason = " ".join(f"{type(first).__name__}: {first}".split())[:300]
    words = f"{size} pixels with {channels[0]} channel(s), which gives {reason}"

    def takes(side: int, count: int) -> bool:
        numbers = (_ROWS, 1) if batch is None else (batch,)
        return any(_works(called, noise(number, count, side, like[0])) for number in numbers)

    for side in dict.fromkeys((*sides, *_SIDES)):
        if side != size and takes(side, channels[0]):
            expected = f"a side that the model takes ({side} is one)"
            raise ValueError(f"size: expected {expected}, got {words}") from first
    for count in (3, 1, 4, 2) if given else ():
        if count != channels[0] and takes(size, count):
            expected = f"the number that the model takes ({count} is one)"
            raise ValueError(f"channels: expected {expected}, got {words}") from first
    shape = (ways[0][0], channels[0], size, size)
    expected = f"one that takes images of shape {shape}"
    raise ValueError(f"model: expected {expected}, got {reason}") from first


def _works(called: Called, images: Tensor) -> bool:
    try:
        traced(called, images)
    except Refused:
        return False
    except ValueError:  # it took them, and returns something else
        return True
    return True
