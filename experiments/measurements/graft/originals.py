"""The models that the measurement `graft` trains, and the windows of their distillation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from experiments.core.config import DataConfig, RunConfig, changed
from experiments.core.data_choice import DataChoice, on_data
from experiments.core.folder import RunFolder
from experiments.core.sources import scenes_of, source_of
from experiments.core.training import train
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET
from wavevit.checks import check_at_least, fail
from wavevit.data import Scenes
from wavevit.data.sources import source_class

_SCENES = "scenes"


class Plan(NamedTuple):
    """What all runs share.

    Attributes:
        folder: of the runs.
        config: of the originals; the seed is left at 0.
        steps: of distillation.
        batch: windows in a step.
        split: of the data that a distillation sees.
    """

    folder: Path
    config: RunConfig
    steps: int = 450
    batch: int = 16
    split: str = "train"


def base_configuration(choice: DataChoice, steps: int | None = None) -> RunConfig:
    """The plain ViT of study `patch_vs_wavelet`, on its own data or on others.

    Args:
        choice: of the data.
        steps: of its training; by default those of the study.

    Raises:
        ValueError: data without classes, or as `on_data`.
    """
    config = on_data(PATCH_VS_WAVELET, choice).configs()["vit"]
    if config.model.num_classes < 2:
        fail("source", "one with classes: the original is trained with labels", choice.source)
    if steps is None:
        return config
    return changed(config, {"optimizer.steps": check_at_least("original_steps", steps, 1)})


def configuration(plan: Plan, seed: int) -> RunConfig:
    """Of the original of a seed, judged on test crops."""
    return dataclasses.replace(plan.config, seed=seed)


def configuration_of(plan: Plan, seed: int) -> RunConfig:
    """The same; judged on validation crops where the plan's split is ``"fit"``."""
    config = configuration(plan, seed)
    if plan.split == "train":
        return config
    return dataclasses.replace(
        config, data=dataclasses.replace(config.data, held_out="validation", margin=0)
    )


def original(plan: Plan, seed: int) -> nn.Module:
    """The model of a seed, trained with labels on the plan's split; once."""
    config = configuration_of(plan, seed)
    folder = RunFolder(plan.folder / f"original-{plan.split}" / f"seed{seed}")
    folder.claim(config)
    with folder.locked():
        label = f"original, seed {seed}"
        return train(config, folder, torch.device("cpu"), label=label).network().eval()


def unlabelled(data: DataConfig, split: str, span: int) -> Callable[[int, int], Tensor]:
    """A function that gives windows from a count and a seed; labels are dropped.

    Photographs of which a part holds no window are left out.

    Args:
        data: says which crops.
        split: of the data.
        span: pixels by which a window is larger than a crop.
    """
    margin, name = span // 2, data.source or _SCENES
    if source_class(name).of_photographs:
        scenes = _that_fit(scenes_of(data, "train"), split, margin)
        return lambda count, seed: scenes.sample(count, _generator(seed)).images
    source = source_of(data, name, split, margin)

    def windows(count: int, seed: int) -> Tensor:
        images: Tensor = source.sample(count, _generator(seed))["images"]
        return images

    return windows


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _that_fit(scenes: Scenes, split: str, margin: int) -> Scenes:
    """The scenes of another split, of those photographs that hold a window there."""

    def of(*names: str) -> Scenes:
        return dataclasses.replace(scenes, split=split, margin=margin, classes=names)

    def fits(name: str) -> bool:
        try:
            of(name)
        except ValueError:
            return False
        return True

    return of(*filter(fits, scenes.classes))
