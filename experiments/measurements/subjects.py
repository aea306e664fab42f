"""The models that are measured: trained ones out of a study's folder, and untrained ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.core.checkpoint import load_weights
from experiments.core.folder import StudyFolder
from experiments.core.study import Study
from wavevit.checks import fail
from wavevit.models import Backbone, BackboneConfig

SEEDS = (0, 1, 2)


def trained(
    runs: Path, variant: str, seed: int, study: str = "backbones", **changes: Any
) -> Backbone:
    """A run of a study below the folder of runs, its alignment or other weightless fields changed.

    Raises:
        ValueError: no such run, or one that is not complete.
    """
    run = StudyFolder(runs / study, study).run(variant, seed)
    if not run.weights.exists():
        command = f"python -m experiments run {study}"
        fail("runs", f"{variant!r}, seed {seed}, trained (made by: {command})", run.path)
    model = Backbone(dataclasses.replace(run.load_config().model, **changes)).eval()
    load_weights(run.weights, model)
    return model


def untrained(config: BackboneConfig, seed: int, changes: Mapping[str, Any]) -> Backbone:
    """As initialised, with fields changed."""
    torch.manual_seed(seed)
    return Backbone(dataclasses.replace(config, **changes)).eval()


def both_ways(
    runs: Path, study: Study, variants: Sequence[str]
) -> dict[str, Callable[[int], Backbone]]:
    """What makes "NAME, trained" and "NAME, untrained" of a study's variants from a seed."""
    makers: dict[str, Callable[[int], Backbone]] = {}
    configs = study.configs()
    for name in variants:
        makers[f"{name}, trained"] = partial(trained, runs, name, study=study.name)
        makers[f"{name}, untrained"] = partial(untrained, configs[name].model, changes={})
    return makers


def state(model: Backbone, x: Tensor, index: int) -> Tensor:
    """The map (B, D, h, w) behind entry `index` of `feature_info`; -1: the first tokens, before
    positions and blocks."""
    if index < 0:
        tokens, (rows, columns) = model.tokenize(x)
        return tokens.transpose(1, 2).unflatten(2, (rows, columns))
    last = index == len(model.feature_info) - 1  # the final norm belongs to the last map
    return model.forward_intermediates(x, [index], norm=last, intermediates_only=True)[0]
