"""Sources that are read in epochs: every example once, in an order that follows from the seed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_seed, fail
from wavevit.data.sources import Source

__all__ = ["EpochSource", "batch_places", "check_ranks", "epoch_order", "step_generator"]

# Orders of epochs and draws of steps are streams of their own.
_ORDERS, _DRAWS = 2**43, 2**44


class EpochSource(Source):
    """Base class of sources that are read in epochs, by several processes if need be.

    Training asks for `epoch_batch`; measures ask for `sample`.

    Attributes:
        streamed: it is read from front to back, and `state` says how far; otherwise the step says
            what is read.
        repeatable: its `epoch_batch` has an argument ``repeats``: how often a picture comes in an
            epoch (`batch_places`).

    Guarantees:
        Unless the source is streamed, the parts of all ranks put together are the batch of one
        process (tests/properties/test_data_laws.py).
    """

    streamed: bool = False
    repeatable: bool = False

    def epoch_batch(
        self, count: int, seed: int, step: int, rank: int = 0, world: int = 1
    ) -> dict[str, Any]:
        """This rank's part of the windows of a training step.

        Args:
            count: number of windows of all ranks together, a multiple of `world`.
            seed: of the run.
            step: from 0.
            rank: of this process.
            world: number of processes.
        """
        raise NotImplementedError

    def normalized(self, crops: Tensor) -> Tensor:
        """Crops (N, C, S, S) of windows, normalised again after an augmentation."""
        return crops

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold beside the step, ready for JSON; empty if nothing."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continues where `state` was taken.

        Args:
            state: what `state` gave, also after JSON.
        """


def epoch_order(length: int, seed: int, epoch: int) -> Tensor:
    """The order of the examples in an epoch: a permutation that follows from seed and epoch.

    Args:
        length: number of examples.
        seed: of the run.
        epoch: from 0.
    """
    generator = torch.Generator().manual_seed(_ORDERS + (seed + 1) * 1_000_003 + epoch)
    return torch.randperm(length, generator=generator)


def batch_places(count: int, step: int, length: int, repeats: int = 1) -> list[tuple[int, int]]:
    """Epoch and place in its order of each example of a batch.

    With `repeats` above 1 this is repeated augmentation: each picture of an epoch comes so often,
    and the epoch has as many examples as before, so it has that part of the pictures. The repeats
    of a picture are in one batch, or in two that follow each other where the batch size is no
    multiple of `repeats`. In the batch the first repeats of all pictures come before the second
    ones, so that neighbours, which may be mixed, are of different pictures.

    Args:
        count: examples of a batch, of all ranks together.
        step: from 0.
        length: examples of an epoch.
        repeats: how often a picture comes in its epoch; the last one of an epoch may come less
            often.

    Source:
        Hoffer et al. 2020 ("Augment your batch"); Berman et al. 2019 (MultiGrain). As in DeiT
        (Touvron et al. 2021), except that an epoch there ends at a multiple of 256 examples.
    """
    found = [divmod(number, length) for number in range(step * count, (step + 1) * count)]
    found.sort(key=lambda one: one[1] % repeats)  # stable
    return [(epoch, number // repeats) for epoch, number in found]


def step_generator(seed: int, step: int) -> torch.Generator:
    """What a step draws beside its examples, the same on every rank.

    Args:
        seed: of the run.
        step: from 0.

    Raises:
        ValueError: a seed or a step that is no whole number.
    """
    check_seed("seed", seed)
    check_at_least("step", step, 0)
    return torch.Generator().manual_seed(_DRAWS + (seed + 1) * 1_000_003 + step)


def check_ranks(count: int, rank: int, world: int) -> slice:
    """The part of a rank in a batch of `count` examples.

    Raises:
        ValueError: a rank outside the world, or a batch that the ranks cannot share equally.
    """
    check_at_least("world", world, 1)
    check_at_least("rank", rank, 0)
    if rank >= world:
        fail("rank", f"a number from 0 to {world - 1}", rank)
    if check_at_least("count", count, 1) % world:
        fail("count", f"a multiple of {world} (ranks)", count)
    own = count // world
    return slice(rank * own, (rank + 1) * own)
