"""A backbone's Lipschitz constant, put together from what its parts declare."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from torch import nn

from wavevit.layers.lipschitz import (
    LipschitzStep,
    NoLipschitzBound,
    lipschitz_at,
    lipschitz_of,
    wavelet_norm,
)
from wavevit.layers.pooling import pool_constant

if TYPE_CHECKING:
    from wavevit.layers.downsample import Downsample
    from wavevit.layers.merged_downsample import MergedDownsample
    from wavevit.models.backbone import Backbone
    from wavevit.models.stage import Stage

__all__ = ["lipschitz_steps"]


class _Chain:
    """Steps one after the other, from the pixels on."""

    def __init__(self) -> None:
        self.bound = 1.0
        self.steps: list[LipschitzStep] = []

    def then(self, name: str, factor: float, plus: float = 0.0, *, exact: bool = False) -> None:
        """One more; what changes nothing is left out."""
        if (factor, plus) != (1.0, 0.0):
            self.bound = factor * self.bound + plus
            self.steps.append(LipschitzStep(name, factor, plus, self.bound, exact))

    def through(self, name: str, module: nn.Module, tokens: int | None = None) -> None:
        """A module that turns tokens into tokens."""
        self.then(name, lipschitz_of(module, tokens))


def _repeated(size: tuple[int, int], patch: int) -> float:
    """What repeating the last row and column up to the next multiple of the patch lengthens by."""
    return math.prod(math.sqrt(1 + -side % patch) for side in size)


def lipschitz_steps(model: Backbone, size: tuple[int, int]) -> list[LipschitzStep]:
    """The chain from pixels to what the backbone returns, for images of `size`.

    Args:
        model: in evaluation.
        size: rows and columns in pixels.

    Raises:
        NoLipschitzBound: a part has no Lipschitz constant, or declares none.
    """
    config, chain = model.config, _Chain()
    if config.alignment != "none":
        # Phases follow the image, and low-passes hang before other modules as hooks.
        raise NoLipschitzBound(model, f"is aligned ({config.alignment}): no constant is declared")
    padding = _repeated(size, config.patch_size)
    rows, columns = (-(-side // config.patch_size) for side in size)
    padded = (rows * config.patch_size, columns * config.patch_size)
    free = model.tokenizer.any_size
    tokenizer = lipschitz_at(model.tokenizer, size if free else padded)
    longer = 1.0 if free else padding
    exact = tokenizer.exact and longer == 1.0
    chain.then("tokenizer", longer * tokenizer.value, exact=exact)
    chain.through("token_norm", model.token_norm)
    chain.through("position", model.position)
    prefix = model.num_prefix_tokens
    for index, part in enumerate(model.stages):
        stage, name = cast("Stage", part), f"stages.{index}"
        if stage.downsample is not None:
            factor = lipschitz_of(stage.downsample)
            halves = cast("Downsample | MergedDownsample", stage.downsample)
            chain.then(f"{name}.downsample", factor * halves.growth((rows, columns)))
            rows, columns = -(-rows // 2), -(-columns // 2)
        if stage.inject is not None:
            level = config.strides[index].bit_length() - 1
            details = padding * wavelet_norm(config.wavelet, padded, level)
            chain.then(f"{name}.inject", 1.0, details * lipschitz_of(stage.inject))
        tokens = prefix + rows * columns
        for place, block in enumerate(stage.blocks):
            chain.through(f"{name}.blocks.{place}", block, tokens)
        chain.through(f"{name}.norm", stage.norm)
    chain.through("norm", model.norm)
    chain.then("pool", pool_constant(model.global_pool, rows * columns))
    chain.through("fc_norm", model.fc_norm)
    chain.through("head", model.head)
    return chain.steps
