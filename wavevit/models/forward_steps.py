"""The steps of a backbone's forward pass, for images of one size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from wavevit.layers.forward_steps import (
    AlignedStep,
    DetailStep,
    DownsampleStep,
    ForwardStep,
    PoolStep,
    TokenizerStep,
    TokenStep,
)

if TYPE_CHECKING:
    from wavevit.models.backbone import Backbone
    from wavevit.models.stage import Stage

__all__ = ["forward_steps"]


def forward_steps(self: Backbone, size: tuple[int, int]) -> list[ForwardStep]:
    """The steps of a backbone's forward pass in eval mode, for images of `size`.

    Args:
        size: rows and columns in pixels.
    """
    return list(_steps(self, size))


def _steps(model: Backbone, size: tuple[int, int]) -> Iterator[ForwardStep]:
    config = model.config
    if config.alignment != "none":
        yield AlignedStep("alignment", model, config.alignment)
    rows, columns = (-(-side // config.patch_size) for side in size)
    padded = (rows * config.patch_size, columns * config.patch_size)
    seen = size if model.tokenizer.any_size else padded
    yield TokenizerStep("tokenizer", model.tokenizer, size, seen)
    yield TokenStep("token_norm", model.token_norm)
    yield TokenStep("position", model.position)
    for index, part in enumerate(model.stages):
        stage, name = cast("Stage", part), f"stages.{index}"
        if stage.downsample is not None:
            yield DownsampleStep(f"{name}.downsample", stage.downsample, (rows, columns))
            rows, columns = -(-rows // 2), -(-columns // 2)
        if stage.inject is not None:
            level = config.strides[index].bit_length() - 1
            details = (config.wavelet, level, size, padded)
            yield DetailStep(f"{name}.inject", stage.inject, *details)
        tokens = model.num_prefix_tokens + rows * columns
        for place, block in enumerate(stage.blocks):
            yield TokenStep(f"{name}.blocks.{place}", block, tokens)
        yield TokenStep(f"{name}.norm", stage.norm)
    yield TokenStep("norm", model.norm)
    yield PoolStep("pool", model.global_pool, rows * columns)
    yield TokenStep("fc_norm", model.fc_norm)
    yield TokenStep("head", model.head)
