"""The same study with more of everything: for machines that have it.

A scale multiplies; it replaces nothing. Two variants that differ in one field differ in that field
at every scale, and models of equal cost stay of about equal cost, since all their widths and
depths grow by the same factors.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from experiments.core.config import DataConfig, OptimizerConfig, RunConfig
from wavevit.checks import check_at_least, check_choice, fail
from wavevit.models import BackboneConfig, StageConfig

if TYPE_CHECKING:
    from experiments.core.study import Study


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Factors on a study's runs.

    Attributes:
        width: on channels, heads (so each head keeps its channels) and the alias-free stem's width.
        depth: on the blocks of each stage.
        pixels: on the side of crops, of photographs and of attention windows: the same scenes,
            sampled more finely. Strides, margins and shifts stay as many pixels as they were.
        steps: on optimiser steps, their warm-up and the distance of checkpoints.
        batch: on crops per step.
        timed: on the batch whose forward pass is timed. On a GPU a batch of 32 small crops measures
            how fast kernels are launched, and not what they compute.
        rate: on the peak learning rate.
        seeds: how many of them; a study that has more keeps its own.
    """

    width: int = 1
    depth: int = 1
    pixels: Fraction = Fraction(1)
    steps: int = 1
    batch: int = 1
    timed: int = 1
    rate: float = 1.0
    seeds: int = 1

    def __post_init__(self) -> None:
        for name in ("width", "depth", "steps", "batch", "timed", "seeds"):
            check_at_least(name, getattr(self, name), 1)
        if self.pixels < 1:
            fail("pixels", "a factor of at least 1", self.pixels)
        if not self.rate > 0:
            fail("rate", "a positive factor", self.rate)

    def length(self, pixels: int) -> int:
        """A side in pixels, or in tokens of an unchanged stride, at this scale."""
        return round(pixels * self.pixels)

    def size(self, size: int | tuple[int, int]) -> int | tuple[int, int]:
        """The same of one side, or of (height, width)."""
        if isinstance(size, int):
            return self.length(size)
        return self.length(size[0]), self.length(size[1])

    def stage(self, stage: StageConfig) -> StageConfig:
        """More blocks, more channels, the same share of the image in a window."""
        return dataclasses.replace(
            stage,
            depth=stage.depth * self.depth,
            embed_dim=stage.embed_dim * self.width,
            num_heads=stage.num_heads * self.width,
            mixer_options=stage.options("mixer").scaled(self.width, self.pixels),
            downsample_options=stage.options("downsample").scaled(self.width, self.pixels),
        )

    def model(self, model: BackboneConfig) -> BackboneConfig:
        """The backbone for the larger crops."""
        return dataclasses.replace(
            model,
            img_size=self.size(model.img_size),
            stages=tuple(self.stage(stage) for stage in model.stages),
            tokenizer_options=model.options("tokenizer").scaled(self.width, self.pixels),
        )

    def data(self, data: DataConfig) -> DataConfig:
        """Larger crops of photographs that are larger by as much, where they have the pixels."""
        return dataclasses.replace(
            data,
            crop_size=self.length(data.crop_size),
            max_short_side=self.length(data.max_short_side),
        )

    def optimizer(self, optimizer: OptimizerConfig) -> OptimizerConfig:
        """A longer schedule."""
        return dataclasses.replace(
            optimizer,
            steps=optimizer.steps * self.steps,
            warmup_steps=optimizer.warmup_steps * self.steps,
            batch_size=optimizer.batch_size * self.batch,
            lr=optimizer.lr * self.rate,
        )

    def run(self, run: RunConfig) -> RunConfig:
        """One run at this scale."""
        return dataclasses.replace(
            run,
            model=self.model(run.model),
            data=self.data(run.data),
            optimizer=self.optimizer(run.optimizer),
            checkpoint_every=run.checkpoint_every * self.steps,
        )


SCALES: dict[str, Scale] = {
    "default": Scale(),
    # Crops of 96 pixels of photographs of up to 384; 18 times the multiply-accumulates. Wider and
    # not deeper, since a GPU does wide layers of such small models in the time of narrow ones. The
    # peak rate goes down as the width goes up (Yang et al. 2022, "Tensor Programs V", for Adam); it
    # was not tuned: study `learning_rate` says what it costs whom.
    "large": Scale(width=3, pixels=Fraction(3, 2), steps=2, timed=16, rate=1 / 3, seeds=5),
}


SCALE_HELP = (
    f"Size of the study, one of: {', '.join(SCALES)}. large: wider models, finer photographs, more "
    "steps and more seeds, for a GPU."
)


def at_scale(study: Study, name: str) -> Study:
    """The study with every run at a scale; at ``"default"`` the study itself.

    It has a name, folder and record of its own (``tokenizers_large``), so that the records of both
    scales are kept.

    Raises:
        ValueError: an unknown scale, or one at which the study cannot run; the nearest ones are
            offered.
    """
    check_choice("scale", name, SCALES)
    check_choice("scale", name, study.scales)
    if name == "default":
        return study
    scale = SCALES[name]
    return dataclasses.replace(
        study,
        name=f"{study.name}_{name}",
        scale=name,
        variants=lambda: {key: scale.run(run) for key, run in study.variants().items()},
        seeds=study.seeds if len(study.seeds) >= scale.seeds else tuple(range(scale.seeds)),
        timed_batch=study.timed_batch * scale.timed,
    )
