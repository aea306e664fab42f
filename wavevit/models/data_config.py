"""`pretrained_cfg`: data configuration of a model in timm's format."""

from __future__ import annotations

from typing import Any

from wavevit.layers import TOKENIZERS
from wavevit.models.config import BackboneConfig

__all__ = ["MEAN", "STD", "pretrained_cfg"]

#: Of pictures in [0, 1]: near to the zero mean and unit contrast that the studies train with, and
#: what the audit shows our models.
MEAN, STD = 0.5, 0.25


def pretrained_cfg(config: BackboneConfig) -> dict[str, Any]:
    """Image size, normalisation, and names of the first convolution and the classifier.

    ``pool_size`` is the size of the last map of a hierarchical model; a columnar model returns
    tokens and has none, like timm's ViT. ``first_conv`` is ``()`` if no convolution reads the
    image.
    """
    tokenizer = TOKENIZERS.get(config.tokenizer)
    first = tokenizer.first_conv(config.options("tokenizer"))
    return {
        "input_size": (config.in_chans, *config.image_size),
        "min_input_size": (config.in_chans, config.min_size, config.min_size),
        "fixed_input_size": False,
        "interpolation": "bicubic",
        "crop_pct": 0.875,
        "crop_mode": "center",
        "mean": (MEAN,) * config.in_chans,
        "std": (STD,) * config.in_chans,
        "num_classes": config.num_classes,
        "pool_size": config.grid(config.strides[-1]) if len(config.stages) > 1 else None,
        "first_conv": f"tokenizer.{first}" if first else (),
        "classifier": "head",
    }
