"""Lipschitz bound of a chain of steps: the forward pass of a network, step by step.

A network describes its forward pass as a list of `wavevit.layers.forward_steps`; each kind of step
has a rule here. So no file of `wavevit.measure` knows a class of `wavevit.models`, and a network of
your own that gives such a list works in the same way.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

from wavevit.checks import check_at_least, check_choice, check_pair, fail
from wavevit.layers.forward_steps import (
    AlignedStep,
    DetailStep,
    DownsampleStep,
    ForwardStep,
    PoolStep,
    TokenizerStep,
    TokenStep,
)
from wavevit.layers.pooling import POOLS
from wavevit.measure.certify.downsampling import downsampling_constant
from wavevit.measure.certify.operator_norms import wavelet_norm
from wavevit.measure.certify.results import LipschitzStep, NoLipschitzBound
from wavevit.measure.certify.rules import lipschitz_at, lipschitz_of

__all__ = ["lipschitz_steps", "pool_constant", "steps_along"]

Growth = tuple[float, float, bool]  # factor, what is added, whether the factor is exact


def lipschitz_steps(model: Any, size: tuple[int, int]) -> list[LipschitzStep]:
    """Lipschitz bounds of the steps from the pixels to the output of a network, for one image size.

    Args:
        model: a module with ``forward_steps(size)``, such as a `wavevit.Backbone`, in evaluation.
        size: rows and columns in pixels.

    Raises:
        NoLipschitzBound: a part has no Lipschitz constant, or none that is declared.
        ValueError: a model without ``forward_steps``, or no pair of sides.
    """
    if not hasattr(model, "forward_steps"):
        fail("model", "a module with forward_steps(size)", type(model).__name__)
    check_pair("size", size, "(rows, columns) in pixels", least=1)
    return steps_along(model.forward_steps(size))


def steps_along(forward: Iterable[ForwardStep]) -> list[LipschitzStep]:
    """The steps of a chain; a step that changes no bound is left out.

    Raises:
        NoLipschitzBound: see `lipschitz_steps`.
    """
    bound, steps = 1.0, []
    for step in forward:
        factor, plus, exact = _growth(step)
        if (factor, plus) != (1.0, 0.0):
            bound = factor * bound + plus
            steps.append(LipschitzStep(step.name, factor, plus, bound, exact))
    return steps


@functools.singledispatch
def _growth(step: Any) -> Growth:
    raise NoLipschitzBound(step, "is no step of wavevit.layers.forward_steps")


@_growth.register
def _(step: AlignedStep) -> Growth:
    # Phases follow the image, and low-passes hang before other modules as hooks.
    raise NoLipschitzBound(step.module, f"is aligned ({step.method}): no constant is declared")


@_growth.register
def _(step: TokenizerStep) -> Growth:
    longer = _repeated(step.size, step.padded)
    constant = lipschitz_at(step.module, step.padded)
    return longer * constant.value, 0.0, constant.exact and longer == 1.0


@_growth.register
def _(step: TokenStep) -> Growth:
    return lipschitz_of(step.module, step.tokens), 0.0, False


@_growth.register
def _(step: DownsampleStep) -> Growth:
    return downsampling_constant(step.module, step.grid), 0.0, False


@_growth.register
def _(step: DetailStep) -> Growth:
    details = _repeated(step.size, step.padded)
    details *= wavelet_norm(step.wavelet, step.padded, step.level)
    return 1.0, details * lipschitz_of(step.module), False


@_growth.register
def _(step: PoolStep) -> Growth:
    return pool_constant(step.how, step.places), 0.0, False


def _repeated(size: tuple[int, int], padded: tuple[int, int]) -> float:
    """What repeating the last row and column lengthens by."""
    pairs = zip(size, padded, strict=True)
    return math.prod(math.sqrt(1 + after - before) for before, after in pairs)


def pool_constant(how: str, places: int) -> float:
    """Lipschitz constant of `pool_tokens`, exact.

    It is 1/√N for a mean over N places. Mean and standard deviation together have the same
    constant: the deviation does not change with the mean.

    Args:
        how: see `pool_tokens`.
        places: tokens of the map.

    Raises:
        ValueError: another pooling, or no place.
    """
    check_choice("how", how, POOLS)
    check_at_least("places", places, 1)
    return 1 / math.sqrt(places) if how in ("avg", "power") else 1.0
