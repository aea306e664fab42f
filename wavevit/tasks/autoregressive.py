"""Autoregressive modelling: the exact likelihood of 8-bit images, value by value."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor

from wavevit.checks import (
    check_at_least,
    check_choice,
    check_generator,
    check_pair,
    check_tensor,
    fail,
)
from wavevit.models import Backbone
from wavevit.tasks.autoregressive_orders import ORDERS
from wavevit.tasks.base import Batch, Losses, Results, Task, TaskOptions, check_entries, entry
from wavevit.tasks.byte_images import check_bytes, random_bytes
from wavevit.tasks.integer_distributions import DISTRIBUTIONS
from wavevit.tasks.registry import register_task

__all__ = ["Autoregressive"]


@register_task("autoregressive")
class Autoregressive(Task):
    """The probability of each value of an image, given all values before it.

    Images are uint8, (B, C, H, W); nothing is rounded or normalised, and the product of the
    conditional probabilities is the probability of the image. Its logarithm in bits, divided by
    the number of values, compares with the size of a lossless file.

    Raises:
        ValueError: ``order="raster"`` with a backbone that cannot run causally over its tokens (a
            hierarchical one, or a layer that reads later tokens), or images too small for
            ``order="coarse_to_fine"``.

    Guarantees:
        The distribution of value i does not depend on values j ≥ i, in both orders. The likelihood
        that `sample` returns equals that of scoring (tests/properties/test_autoregressive_laws.py).

    Source:
        van den Oord et al. 2016 (PixelCNN); Salimans et al. 2017 (PixelCNN++).
    """

    @dataclasses.dataclass(frozen=True)
    class Options(TaskOptions):
        """Options of `Autoregressive`.

        Attributes:
            order: ``"raster"`` (patch by patch, causal backbone) or ``"coarse_to_fine"`` (levels
                of the integer Haar transform, any backbone); ``"auto"``: the first for one stage,
                the second for several.
            head: ``"logistic_mixture"`` or ``"categorical"``.
            levels: of the integer Haar transform; None for as many as fit.
            margin: positions around a value that the head reads, where they are known.
            width: hidden channels of the head for each value.
        """

        order: str = "auto"
        head: str = "logistic_mixture"
        levels: int | None = None
        margin: int = 3
        width: int = 16

        def __post_init__(self) -> None:
            check_choice("order", self.order, ("auto", *ORDERS))
            check_choice("head", self.head, DISTRIBUTIONS)
            if self.levels is not None:
                check_at_least("levels", self.levels, 1)
            check_at_least("margin", self.margin, 0)
            check_at_least("width", self.width, 1)

    source = "crops_uint8"
    score, title, higher_is_better = "bits", "bits per dimension", False

    def __init__(self, backbone: Backbone, options: Options) -> None:
        super().__init__(backbone, options)
        backbone.reset_classifier(0)
        self.order_name = options.order
        if options.order == "auto":
            self.order_name = "raster" if len(backbone.config.stages) == 1 else "coarse_to_fine"
        self.order = ORDERS[self.order_name](backbone, options)

    def bits(self, images: Tensor) -> Tensor:
        """Bits per dimension of byte images (B, C, H, W): (B,).

        Raises:
            ValueError: images that are no bytes, or do not fit the order.
        """
        check_bytes(images, self.backbone.in_chans, self.order.multiple, "images")
        parts = self.order.conditionals(self.backbone, images)
        found = torch.stack([part.log_prob() for part in parts]).sum(0)
        return -found / (math.log(2) * images[0].numel())

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Losses:
        """Mean bits per dimension."""
        check_generator("generator", generator)
        self.check(batch)
        return Losses({"bits": self.bits(batch["images"]).mean()}, {})

    def predict(self, batch: Batch) -> Results:
        """``bits`` per dimension of each image (B,)."""
        self.check(batch)
        return {"bits": self.bits(batch["images"])}

    def evaluate(self, batch: Batch, generator: torch.Generator | None = None) -> Results:
        """``bits`` per dimension of each image (B,)."""
        check_generator("generator", generator)
        return self.predict(batch)

    def compare(self, first: Results, second: Results, shift: tuple[int, int]) -> dict[str, Tensor]:
        """``bits_change`` (B,): absolute difference of the bits per dimension of both crops."""
        check_entries("first", first, "bits")
        check_entries("second", second, "bits")
        return {"bits_change": (second["bits"] - first["bits"]).abs()}

    @torch.no_grad()
    def sample(
        self,
        count: int,
        generator: torch.Generator | None = None,
        size: tuple[int, int] | None = None,
        given: Tensor | None = None,
        known: int = 0,
    ) -> Results:
        """Draws images, or completes given ones.

        Args:
            count: number of images.
            generator: on the CPU; None for torch's global generator.
            size: (H, W); None for that of `given`, or else the backbone's training size.
            given: uint8 images (count, C, H, W) to complete.
            known: what is taken from them: rows of patches in raster order; scales, the
                approximation first, from coarse to fine.

        Returns:
            ``images``, uint8 (count, C, H, W), and ``bits`` (count,): of the drawn values, per
            dimension of the whole image, summed while drawing.

        Raises:
            ValueError: a size that does not fit the order, or `given` images that do not.
        """
        check_at_least("count", count, 1)
        check_generator("generator", generator)
        if given is not None:
            check_tensor("given", given, "(count, C, H, W)", 4)
        if size is not None:
            check_pair("size", size, "(H, W) in pixels", least=1)
        if size is None:
            size = self.backbone.config.image_size
            size = size if given is None else (given.shape[-2], given.shape[-1])
        shape = (count, self.backbone.in_chans, *size)
        check_bytes(torch.empty(shape, dtype=torch.uint8), shape[1], self.order.multiple)
        if given is not None and (given.dtype != torch.uint8 or given.shape != shape):
            fail("given", f"uint8 images of shape {shape}", f"{given.dtype} {tuple(given.shape)}")
        units = self.order.units(shape[2])
        if check_at_least("known", known, 0) > (0 if given is None else units):
            expected = "0 without given images" if given is None else f"at most {units}"
            fail("known", expected, known)
        values, found = self.order.sample(self.backbone, shape, generator, given, known)
        bits = -found / (math.log(2) * math.prod(shape[1:]))
        return {"images": values.to(torch.uint8), "bits": bits}

    def dummy_batch(self, count: int, generator: torch.Generator | None = None) -> dict[str, Any]:
        size = self.backbone.config.image_size
        images = random_bytes(count, self.backbone.in_chans, size, generator)
        return {"images": images.to(next(self.parameters()).device)}

    def check(self, batch: Batch) -> None:
        """Checks that images are uint8 and that their sides fit the order.

        Raises:
            ValueError: names the entry, what was expected and what came.
        """
        images = entry(batch, "images")
        check_bytes(images, self.backbone.in_chans, self.order.multiple)
