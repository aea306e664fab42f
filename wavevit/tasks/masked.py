"""Masked image modelling: hide most patches of an image and predict them from the others."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.checks import (
    check_at_least,
    check_choice,
    check_generator,
    check_multiple,
    check_number,
    check_numbers,
    fail,
)
from wavevit.layers.blocks import Block, Mlp
from wavevit.layers.mixers import GlobalAttention
from wavevit.layers.positions import SinCosPosition
from wavevit.models import Backbone
from wavevit.models.encode import why_no_subset
from wavevit.models.init import init_weights
from wavevit.models.stage import as_tokens
from wavevit.tasks.base import Batch, Losses, Results, Task, TaskOptions, check_entries
from wavevit.tasks.draws import draw_examples
from wavevit.tasks.inpainting import harmonic_inpainting
from wavevit.tasks.mask_targets import TARGETS, PatchTarget
from wavevit.tasks.patches import from_patches, random_mask, to_patches, to_pixels
from wavevit.tasks.registry import register_task

__all__ = ["Masked"]


@register_task("masked")
class Masked(Task):
    """Masked image modelling (MAE and SimMIM), with pixels hidden before the tokenizer.

    Hidden pixels are replaced by the mean of the visible ones *before* any transform, because
    tokens of overlapping wavelets or convolutions see beyond their own block: nothing that the
    encoder computes depends on a hidden pixel. Columnar backbones with global attention encode the
    visible tokens only; all others encode the whole grid. A small transformer decodes.

    A batch may have ``"mask"``, (B, h, w) booleans, True where a block is hidden; without it the
    loss and the metrics draw masks, and `predict` hides the same random blocks in all images.

    Raises:
        ValueError: fewer than two blocks in an image of the training size, or options that do not
            fit the backbone.

    Guarantees:
        The derivative of the encoder's output by hidden pixels is 0
        (tests/properties/test_masked_laws.py).

    Source:
        He et al. 2022 (MAE); Xie et al. 2022 (SimMIM); bands as in WaMIM (2025).
    """

    @dataclasses.dataclass(frozen=True)
    class Options(TaskOptions):
        """Options of `Masked`.

        Attributes:
            mask_ratio: share of blocks that are hidden.
            target: ``"pixels"``, ``"normed_pixels"`` (each patch normalised) or ``"bands"``
                (orthonormal Haar coefficients of each patch).
            band_weights: see `PatchTarget`.
            block: side of a hidden block in pixels, a multiple of the coarsest stride; None for
                that stride.
            encoder: ``"visible"`` (only visible tokens go through the blocks), ``"all"``, or
                ``"auto"``: the first where the backbone can.
            decoder_dim: channels of the decoder, a multiple of 4 and of the heads.
            decoder_depth: blocks of the decoder.
            decoder_heads: attention heads of the decoder.
        """

        mask_ratio: float = 0.75
        target: str = "pixels"
        band_weights: tuple[float, ...] | None = None
        block: int | None = None
        encoder: str = "auto"
        decoder_dim: int = 64
        decoder_depth: int = 1
        decoder_heads: int = 4

        def __post_init__(self) -> None:
            check_number("mask_ratio", self.mask_ratio, above=0, below=1)
            if self.block is not None:
                check_at_least("block", self.block, 1)
            check_choice("target", self.target, TARGETS)
            check_choice("encoder", self.encoder, ("auto", "visible", "all"))
            if self.band_weights is not None:
                check_numbers("band_weights", self.band_weights, "one number for each band")
                object.__setattr__(self, "band_weights", tuple(self.band_weights))
            for name in ("decoder_dim", "decoder_depth", "decoder_heads"):
                check_at_least(name, getattr(self, name), 1)
            check_multiple("decoder_dim", self.decoder_dim, 4)
            check_multiple("decoder_dim", self.decoder_dim, self.decoder_heads)

    score, title, higher_is_better = "relative", "error over that of inpainting, %", False

    def __init__(self, backbone: Backbone, options: Options) -> None:
        super().__init__(backbone, options)
        backbone.reset_classifier(0)
        self.side = backbone.config.strides[-1]  # of a patch that is predicted as one
        self.block = options.block or self.side
        if self.block % self.side:
            fail("block", f"a multiple of {self.side} (the backbone's coarsest stride)", self.block)
        rows, columns = (size // self.block for size in backbone.config.image_size)
        if rows * columns < 2:
            expected = f"an img_size with at least two blocks of {self.block} pixels"
            fail("backbone", expected, backbone.config.image_size)
        reason = why_no_subset(backbone)
        if options.encoder == "visible" and reason is not None:
            fail("encoder", f"'all' ({reason})", "'visible'")
        self.encodes_visible = options.encoder != "all" and reason is None
        width = options.decoder_dim
        target = PatchTarget(options.target, self.side, backbone.in_chans, options.band_weights)
        self.target = target
        self.enter = nn.Linear(backbone.num_features, width)
        self.mask_token = nn.Parameter(torch.empty(width))
        self.position = SinCosPosition(width)
        self.decoder = nn.ModuleList(
            Block(
                width,
                GlobalAttention(width, options.decoder_heads),
                Mlp(width, 4 * width),
                0.0,
                1e-6,
            )
            for _ in range(options.decoder_depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, len(target.weight))
        for module in (self.enter, self.decoder, self.head):
            module.apply(init_weights)
        nn.init.normal_(self.mask_token, std=0.02)

    def grid(self, images: Tensor) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return images.shape[-2] // self.block, images.shape[-1] // self.block

    def hide(self, images: Tensor, mask: Tensor) -> Tensor:
        """Images whose hidden blocks have the mean of the visible pixels, for each channel."""
        hidden = to_pixels(mask, self.block)
        visible = (~hidden).to(images.dtype)
        total = torch.where(hidden, 0.0, images).sum((2, 3), keepdim=True)
        return torch.where(hidden, total / visible.sum((2, 3), keepdim=True), images)

    def encode(self, images: Tensor, mask: Tensor) -> Tensor:
        """What the backbone computes from the visible pixels.

        Args:
            images: (B, C, H, W).
            mask: (B, h, w) booleans, True where a block is hidden.

        Returns:
            Tokens (B, K, D): the visible ones only if `encodes_visible`, else all.
        """
        images = self.hide(images, mask)
        if not self.encodes_visible:
            found: Tensor = self.backbone.forward_features(images)
            return as_tokens(found) if found.ndim == 4 else self._placed(found)
        tokens, grid = self.backbone.tokenize(images)
        return self._placed(self.backbone.encode(tokens, grid, keep=self._visible(mask)))

    def _placed(self, tokens: Tensor) -> Tensor:
        return tokens[:, self.backbone.num_prefix_tokens :]

    def _patch_mask(self, mask: Tensor) -> Tensor:
        """Hidden patches (B, N), row by row."""
        return to_pixels(mask, self.block // self.side)[:, 0].flatten(1)

    def _visible(self, mask: Tensor) -> Tensor:
        """Numbers of the visible patches (B, K), ascending."""
        hidden = self._patch_mask(mask)
        count = int((~hidden[0]).sum())
        return hidden.to(torch.uint8).argsort(dim=1, stable=True)[:, :count]

    def decode(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """What `encode` gives to predicted targets of all patches (B, N, V)."""
        tokens, hidden = self.enter(tokens), self._patch_mask(mask)
        marks = self.mask_token.to(tokens.dtype)
        if self.encodes_visible:
            places = self._visible(mask)[..., None].expand(-1, -1, tokens.shape[2])
            full = marks.expand(*hidden.shape, -1)
            tokens = full.scatter(1, places, tokens)
        else:
            tokens = tokens + hidden[..., None] * marks
        scale = self.block // self.side
        grid = (mask.shape[1] * scale, mask.shape[2] * scale)
        tokens = self.position(tokens, grid)
        for block in self.decoder:
            tokens = block(tokens, grid)
        predicted: Tensor = self.head(self.norm(tokens))
        return predicted

    def _mask(self, batch: Batch, generator: torch.Generator | None) -> Tensor:
        images, mask = batch["images"], batch.get("mask")
        if mask is None:
            grid = self.grid(images)
            ratio = self.options.mask_ratio
            mask = draw_examples(
                lambda count: random_mask(count, grid, ratio, generator), len(images), generator
            )
        return mask.to(images.device)

    def _hidden_mean(self, costs: Tensor, mask: Tensor) -> Tensor:
        """Mean over the hidden patches of each image (B,)."""
        hidden = self._patch_mask(mask).to(costs.dtype)
        return (costs * hidden).sum(1) / hidden.sum(1)

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Losses:
        """Mean squared error of the hidden patches' targets."""
        check_generator("generator", generator)
        self.check(batch)
        mask = self._mask(batch, generator)
        predicted = self.decode(self.encode(batch["images"], mask), mask)
        target = self.target(to_patches(batch["images"], self.side))
        return Losses(
            {"hidden": self._hidden_mean(self.target.cost(predicted, target), mask).mean()}, {}
        )

    def predict(self, batch: Batch) -> Results:
        """``reconstructions`` (B, C, H, W), visible pixels as they are, and ``mask`` (B, h, w).

        With normalised pixels, a predicted patch gets the mean and deviation of the true one.
        """
        self.check(batch)
        images = batch["images"]
        mask = batch.get("mask")
        if mask is None:
            fixed = torch.Generator().manual_seed(0)
            one = random_mask(1, self.grid(images), self.options.mask_ratio, fixed)
            mask = one.expand(len(images), -1, -1).to(images.device)
        patches = to_patches(images, self.side)
        found = self.target.inverse(
            self.decode(self.encode(images, mask), mask).to(images.dtype), patches
        )
        grid = (images.shape[-2] // self.side, images.shape[-1] // self.side)
        hidden = to_pixels(mask, self.block)
        return {
            "reconstructions": torch.where(hidden, from_patches(found, grid), images),
            "mask": mask,
        }

    def evaluate(self, batch: Batch, generator: torch.Generator | None = None) -> Results:
        """Mean squared errors of the targets of hidden patches, each (B,).

        ``error`` of the task, ``error_mean`` of the mean of the visible pixels, and
        ``error_inpainting`` of `harmonic_inpainting`.
        """
        check_generator("generator", generator)
        self.check(batch)
        images, mask = batch["images"], self._mask(batch, generator)
        patches = to_patches(images, self.side)
        target = self.target(patches)
        smooth = harmonic_inpainting(images, to_pixels(mask, self.block))
        guesses = {
            "error": self.decode(self.encode(images, mask), mask),
            "error_mean": self.target(to_patches(self.hide(images, mask), self.side), patches),
            "error_inpainting": self.target(to_patches(smooth, self.side), patches),
        }
        costs = {name: self.target.cost(guess, target) for name, guess in guesses.items()}
        return {name: self._hidden_mean(cost, mask) for name, cost in costs.items()}

    def summarize(self, results: Results) -> dict[str, float]:
        """Mean errors; ``relative``, ``relative_mean``: in % of that of inpainting, of the mean."""
        check_entries("results", results, "error", "error_mean", "error_inpainting")
        found = super().summarize(results)
        found["relative"] = 100 * found["error"] / found["error_inpainting"]
        found["relative_mean"] = 100 * found["error"] / found["error_mean"]
        return found

    def dummy_batch(self, count: int, generator: torch.Generator | None = None) -> dict[str, Any]:
        return {"images": self.dummy_images(count, generator)}

    def check(self, batch: Batch) -> None:
        """See `Task.check`; the block divides the sides, and a mask hides equally many blocks."""
        super().check(batch)
        images = batch["images"]
        if images.shape[-2] % self.block or images.shape[-1] % self.block:
            expected = f"sides that are multiples of {self.block} (a hidden block)"
            fail("batch['images']", expected, tuple(images.shape))
        mask = batch.get("mask")
        if mask is None:
            if min(self.grid(images)) * max(self.grid(images)) < 2:
                fail("batch['images']", f"at least two blocks of {self.block} pixels", "one")
            return
        shape = (len(images), *self.grid(images))
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != shape:
            kind = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask)
            fail("batch['mask']", f"booleans of shape {shape}", kind)
        counts = mask.flatten(1).sum(1)
        if counts.min() != counts.max() or not 0 < counts[0] < shape[1] * shape[2]:
            expected = (
                "equally many hidden blocks in each image, one hidden and one visible at least"
            )
            fail("batch['mask']", expected, counts.tolist())
