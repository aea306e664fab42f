"""Diffusion by flow matching: a network that removes noise from images."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from wavevit.checks import (
    check_at_least,
    check_choice,
    check_generator,
    check_image,
    check_number,
    fail,
)
from wavevit.layers.blocks import Block
from wavevit.layers.modulation import ModulatedBlock
from wavevit.models import Backbone
from wavevit.models.stage import Stage
from wavevit.tasks.base import Batch, Losses, Results, Task, TaskOptions, entry
from wavevit.tasks.byte_images import check_bytes, random_bytes
from wavevit.tasks.cell_context import CellContext
from wavevit.tasks.draws import draw_examples, seeded
from wavevit.tasks.flow import integrate, log_likelihood
from wavevit.tasks.labels import check_labels
from wavevit.tasks.registry import register_task
from wavevit.tasks.time_filters import INPUTS, bands_to_pixels, pixels_to_bands

__all__ = ["Diffusion"]

_BINS = 4  # of time, in the evaluation
_LEVELS = 3  # of the Haar bands there: the same for all backbones
_WAVES = 32  # sines, and as many cosines, of the time
_RATES = 1000.0  # fastest over slowest of them


def random_normal(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    """Normal numbers on the CPU, the same for float32 and float64 models."""
    return torch.randn(shape, generator=generator)


@register_task("diffusion")
class Diffusion(Task):
    """Flow matching that predicts the image (x-prediction) and is trained on the velocity.

    ``z = t · x + (1 − t) · noise`` for times from 0 (noise) to 1 (image). The network sees `z` and
    `t` and predicts `x`; its velocity is ``(prediction − z) / (1 − t)``. Time, and a class where
    there are classes, modulate every block of the backbone (`ModulatedBlock`). Each stage has a
    linear map from its tokens to their pixels, and the sum of all is the prediction.

    Images are uint8. They become numbers from −1 to 1 with uniform noise of one step, so that the
    density of the probability-flow equation bounds the bits per dimension of the bytes.

    Raises:
        ValueError: a backbone with an alignment (it moves noise, which has no place), or one whose
            blocks have a condition already; ``basis="haar"`` with strides that are no powers of
            two.

    Guarantees:
        Before training the prediction is 0 for every condition. A circular shift of the noise by
        the backbone's period shifts the samples. A guidance of 1 gives the velocity with a class,
        a guidance of 0 the velocity without (tests/properties/test_diffusion_laws.py).

    Source:
        Lipman et al. 2023 (flow matching); Li & He 2025 (JiT: x-prediction with v-loss on pixel
        patches); Peebles & Xie 2023 (DiT); Ho & Salimans 2022 (classifier-free guidance).
    """

    @dataclasses.dataclass(frozen=True)
    class Options(TaskOptions):
        """Options of `Diffusion`.

        Attributes:
            input: what the network sees: ``"plain"``, ``"low_passed"`` by time, or ``"gated"`` for
                each Haar band by time.
            basis: what it predicts: ``"pixels"``, or coefficients of an orthonormal basis,
                ``"haar"``.
            classes: number of classes; a batch then has ``"labels"``. 0 for none.
            cond_dim: numbers of the condition.
            time_mean: of the logit of the times in training.
            time_std: of the same.
            least_gap: smallest ``1 − t`` that the velocity is divided by.
            label_dropout: share of the examples that are trained without their class, so that one
                model has the velocity with and without a class (classifier-free guidance).
        """

        input: str = "plain"
        basis: str = "pixels"
        classes: int = 0
        cond_dim: int = 64
        time_mean: float = -0.8
        time_std: float = 0.8
        least_gap: float = 0.05
        label_dropout: float = 0.0

        def __post_init__(self) -> None:
            check_choice("input", self.input, INPUTS)
            check_choice("basis", self.basis, ("pixels", "haar"))
            check_at_least("classes", self.classes, 0)
            check_number("label_dropout", self.label_dropout, least=0, below=1)
            if self.label_dropout and not self.classes:
                fail("label_dropout", "0 without classes", self.label_dropout)
            check_at_least("cond_dim", self.cond_dim, 1)
            check_number("time_mean", self.time_mean)
            check_number("time_std", self.time_std, above=0)
            check_number("least_gap", self.least_gap, above=0, most=1)

    source = "crops_uint8"
    score, title, higher_is_better = "flow", "flow-matching loss", False
    columns = ("flow", *(f"time{quarter}" for quarter in range(_BINS)))

    def __init__(self, backbone: Backbone, options: Options) -> None:
        super().__init__(backbone, options)
        config, width = backbone.config, options.cond_dim
        if config.alignment != "none":
            fail(
                "backbone", "alignment='none' (the phase of noise has no meaning)", config.alignment
            )
        backbone.reset_classifier(0)
        _condition(backbone, width)
        self.multiple = config.strides[-1]
        self.level = self.multiple.bit_length() - 1
        if self.multiple != 1 << self.level:
            if options.basis == "haar" or options.input == "gated":
                fail("backbone", "strides that are powers of two (Haar bands)", self.multiple)
            self.level = 0
        if options.classes:
            self.keys = ("labels",)  # type: ignore[misc]
            self.label = nn.Embedding(options.classes, width)
            nn.init.normal_(self.label.weight, std=0.02)
        self.time = nn.Sequential(nn.Linear(2 * _WAVES, width), nn.SiLU(), nn.Linear(width, width))
        self.input = INPUTS[options.input](self.level, width)
        self.output = CellContext(config, 1, backbone.in_chans)
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)

    def condition(
        self, t: Tensor, labels: Tensor | None = None, known: Tensor | None = None
    ) -> Tensor:
        """The condition (B, E).

        Args:
            t: times (B,).
            labels: classes (B,); None for no class, which adds nothing to the time.
            known: (B,) booleans, False for examples without their class; None for all True.
        """
        dtype = next(self.time.parameters()).dtype
        steps = torch.arange(_WAVES, device=t.device, dtype=dtype) / (_WAVES - 1)
        angles = t.to(dtype)[:, None] * _RATES**steps
        cond: Tensor = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        if labels is None:
            return cond
        added: Tensor = self.label(labels)
        return cond + (added if known is None else added * known[:, None].to(added))

    def denoise(
        self,
        z: Tensor,
        t: Tensor,
        labels: Tensor | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """The image that the network predicts.

        Args:
            z: noisy images (B, C, H, W).
            t: times (B,).
            labels: classes (B,), where there are classes.
            known: see `condition`.
        """
        cond = self.condition(t, labels, known)
        found = self.output(self.backbone, self.input(z, t, cond), cond)
        found = found.transpose(1, 2).unflatten(2, z.shape[-2:]).to(z.dtype)
        return bands_to_pixels(found, self.level) if self.options.basis == "haar" else found

    def _gap(self, t: Tensor) -> Tensor:
        return (1 - t).clamp_min(self.options.least_gap)[:, None, None, None]

    def velocity(
        self, z: Tensor, t: Tensor, labels: Tensor | None = None, guidance: float = 1.0
    ) -> Tensor:
        """The velocity (B, C, H, W) of the flow.

        Args:
            z: noisy images (B, C, H, W).
            t: times (B,).
            labels: classes (B,), where there are classes.
            guidance: how far from the velocity without a class (0) to the one with it (1); beyond
                1, images are more typical of their class and less diverse.
        """
        if guidance == 1:
            found = self.denoise(z, t, labels)
        elif guidance == 0:
            found = self.denoise(z, t)
        else:
            apart = self.denoise(z, t)
            found = apart + guidance * (self.denoise(z, t, labels) - apart)
        return (found - z) / self._gap(t)

    def _numbers(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        """Bytes as numbers from −1 to 1, with uniform noise of one step."""
        shape = images.shape[1:]
        steps = draw_examples(
            lambda count: torch.rand(count, *shape, generator=generator), len(images), generator
        ).to(images.device)
        dtype = next(self.parameters()).dtype
        return (images.to(dtype) + steps.to(dtype)) / 128 - 1

    def _times(self, normal: Tensor) -> Tensor:
        """Times of training (B,) from normal numbers (B,)."""
        return torch.sigmoid(self.options.time_mean + self.options.time_std * normal)

    def _error(
        self,
        batch: Batch,
        t: Tensor,
        generator: torch.Generator | None,
        known: Tensor | None = None,
    ) -> Tensor:
        """Predicted minus true velocity (B, C, H, W) at times (B,); `known` as in `condition`."""
        images = batch["images"]
        x = self._numbers(images, generator)
        shape = images.shape[1:]
        noise = draw_examples(
            lambda count: random_normal((count, *shape), generator), len(images), generator
        ).to(x)
        t = t.to(x)
        z = t[:, None, None, None] * x + (1 - t)[:, None, None, None] * noise
        return (self.denoise(z, t, self._labels(batch), known) - x) / self._gap(t)

    def _labels(self, batch: Batch) -> Tensor | None:
        return cast("Tensor", batch["labels"]) if self.options.classes else None

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Losses:
        """Mean squared error of the velocity at random times."""
        check_generator("generator", generator)
        self.check(batch)
        count = len(batch["images"])
        normal = draw_examples(lambda number: random_normal((number,), generator), count, generator)
        t = self._times(normal)
        known = None
        if self.options.label_dropout:
            draws = draw_examples(
                lambda number: torch.rand(number, generator=generator), count, generator
            )
            known = (draws >= self.options.label_dropout).to(batch["images"].device)
        return Losses({"flow": self._error(batch, t, generator, known).square().mean()}, {})

    def predict(self, batch: Batch) -> Results:
        """``denoised`` (B, C, H, W) from −1 to 1, at time 0.5, with one noise for all images."""
        self.check(batch)
        x = batch["images"].to(next(self.parameters()).dtype) / 127.5 - 1
        fixed = torch.Generator().manual_seed(0)
        noise = random_normal((1, *x.shape[1:]), fixed).to(x)
        t = x.new_full((len(x),), 0.5)
        return {"denoised": self.denoise((x + noise) / 2, t, self._labels(batch))}

    def evaluate(self, batch: Batch, generator: torch.Generator | None = None) -> Results:
        """Mean squared errors of the velocity, each (B,).

        ``flow``: at four times drawn as in training, one in each quarter of their distribution.
        ``time{k}``: at a time in quarter k between noise and image, the same for all options.
        Training with the default options hardly sees the last one. ``band{b}_time{k}``: of the
        coefficients of one Haar band there; 0 is the approximation at stride 8, or at the largest
        that fits the sides, then from coarse to fine.
        """
        check_generator("generator", generator)
        self.check(batch)
        count, found, bands, losses = len(batch["images"]), {}, {}, []
        side = math.gcd(*batch["images"].shape[-2:], 1 << _LEVELS)
        for quarter in range(_BINS):
            share = (quarter + torch.rand(count, generator=generator)) / _BINS
            t = self._times(torch.special.ndtri(share.clamp(1e-6, 1 - 1e-6)))
            losses.append(self._error(batch, t, generator).square().flatten(1).mean(1))
            error = self._error(batch, share, generator)
            found[f"time{quarter}"] = error.square().flatten(1).mean(1)
            for index, band in enumerate(pixels_to_bands(error, side.bit_length() - 1)):
                bands[f"band{index}_time{quarter}"] = band.square().flatten(1).mean(1)
        return {"flow": torch.stack(losses).mean(0), **found, **bands}

    def bits(
        self,
        batch: Batch,
        generator: torch.Generator | None = None,
        steps: int = 32,
        exact: bool = False,
    ) -> Tensor:
        """Bits per dimension of byte images, by the probability-flow equation: (B,).

        An upper bound (uniform dequantisation), up to the error of the steps and, unless `exact`,
        the noise of Hutchinson's estimate, which has mean 0.

        Args:
            batch: as in `loss`.
            generator: of the dequantisation and the probes, on the CPU.
            steps: of Heun's method.
            exact: the exact trace, one backward pass for each pixel: for small images.

        Raises:
            ValueError: a batch that `check` refuses, or fewer than one step.
        """
        check_generator("generator", generator)
        self.check(batch)
        x, labels = self._numbers(batch["images"], generator), self._labels(batch)
        probe = None
        if not exact:
            probe = torch.randint(0, 2, x.shape, generator=generator).to(x) * 2 - 1
        found = log_likelihood(lambda z, t: self.velocity(z, t, labels), x, steps, probe)
        # A byte is a step of 1 / 128: its probability is the density over 128 for each number.
        return math.log2(128) - found / (math.log(2) * x[0].numel())

    @torch.no_grad()
    def sample(
        self,
        count: int,
        steps: int = 32,
        generator: torch.Generator | None = None,
        method: str = "heun",
        labels: Tensor | None = None,
        noise: Tensor | None = None,
        guidance: float = 1.0,
    ) -> Results:
        """Draws images.

        Args:
            count: number of images.
            steps: of the method.
            generator: on the CPU; None for torch's global generator.
            method: ``"euler"`` or ``"heun"``.
            labels: classes (count,), where there are classes.
            noise: to start from, (count, C, H, W); None to draw it at the backbone's size.
            guidance: see `velocity`; other than 1 only for a task with `Options.label_dropout`.

        Returns:
            ``values`` (count, C, H, W), about −1 to 1, and ``images``, the same as uint8.

        Raises:
            ValueError: a count or a number of steps below 1, an unknown method, noise of another
                shape, classes that are missing or not asked for, or a guidance without
                `Options.label_dropout`.
        """
        check_at_least("count", count, 1)
        check_generator("generator", generator)
        weight = next(self.parameters())
        if noise is None:
            shape = (count, self.backbone.in_chans, *self.backbone.config.image_size)
            noise = random_normal(shape, generator)
        check_image(noise, "noise")
        if noise.ndim != 4 or noise.shape[:2] != (count, self.backbone.in_chans):
            fail("noise", f"shape ({count}, {self.backbone.in_chans}, H, W)", tuple(noise.shape))
        if self.options.classes:
            if labels is None:
                fail("labels", f"{count} classes", None)
            check_labels(labels, (count,), self.options.classes)
        elif labels is not None:
            fail("labels", "None for a task without classes", "labels")
        check_number("guidance", guidance)
        if guidance != 1 and not self.options.label_dropout:
            fail("guidance", "1 for a task that was trained without label_dropout", guidance)
        values = integrate(
            lambda z, t: self.velocity(z, t, labels, guidance), noise.to(weight), steps, method
        )
        images = ((values + 1) * 128).floor().clamp(0, 255).to(torch.uint8)
        return {"values": values, "images": images}

    def dummy_batch(self, count: int, generator: torch.Generator | None = None) -> dict[str, Any]:
        generator = seeded(generator)
        size = self.backbone.config.image_size
        batch = {"images": random_bytes(count, self.backbone.in_chans, size, generator)}
        if self.options.classes:
            batch["labels"] = torch.randint(self.options.classes, (count,), generator=generator)
        device = next(self.parameters()).device
        return {name: value.to(device) for name, value in batch.items()}

    def check(self, batch: Batch) -> None:
        """Refuses images that are no bytes or do not fit the strides, and labels that are wrong.

        Raises:
            ValueError: names the entry, what was expected and what came.
        """
        images = entry(batch, "images")
        check_bytes(images, self.backbone.in_chans, self.multiple)
        if self.options.classes:
            check_labels(batch.get("labels"), (len(images),), self.options.classes)


def _condition(backbone: Backbone, cond_dim: int) -> None:
    """Replaces the blocks of a backbone, in place, by blocks with a condition."""
    for part, described in zip(backbone.stages, backbone.config.stages, strict=True):
        stage = cast("Stage", part)
        for index, block in enumerate(stage.blocks):
            if isinstance(block, ModulatedBlock):
                fail("backbone", "blocks without a condition (of another task)", "ModulatedBlock")
            wrapped = ModulatedBlock(cast("Block", block), described.embed_dim, cond_dim)
            stage.blocks[index] = wrapped.to(next(block.parameters()))
