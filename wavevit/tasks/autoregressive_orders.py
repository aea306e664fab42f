"""Orders of the values of an image: raster, and coarse to fine over the integer Haar transform."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from wavevit.checks import fail
from wavevit.models import Backbone
from wavevit.models.init import init_weights
from wavevit.tasks.causality import why_not_causal
from wavevit.tasks.cell_context import CellContext
from wavevit.tasks.cell_model import CellModel, Conditionals
from wavevit.tasks.integer_distributions import DISTRIBUTIONS
from wavevit.tasks.patches import to_patches
from wavevit.wavelets import (
    Pyramid,
    integer_haar2,
    integer_haar2_bounds,
    inverse_integer_haar2,
)

__all__ = ["ORDERS", "CoarseToFine", "Raster"]

_HALF = 127.5  # bytes are read as (v − 127.5) / 127.5
_BYTE_UNIT, _DETAIL_UNIT = 16.0, 4.0  # scales of distributions at the start
_DETAIL_SCALE = 32.0  # details are read as v / 32
_CELL = 4  # largest side of a cell of details or of the approximation
_CONTEXT = 64  # channels of a context from maps


class Raster(nn.Module):
    """Patch by patch, row by row; pixel by pixel inside a patch, channels innermost.

    The backbone's blocks run causally over patches: the output at a patch depends on the patches
    before it. Each patch goes through the tokenizer as an image of its own, so that no token of an
    overlapping transform sees a later pixel.

    Args:
        backbone: its tokenizer, positions and blocks are used.
        options: of `Autoregressive`.

    Raises:
        ValueError: a backbone that cannot run causally.
    """

    def __init__(self, backbone: Backbone, options: Any) -> None:
        super().__init__()
        reason = why_not_causal(backbone)
        if reason is not None:
            fail("backbone", f"one that runs causally for order='raster' ({reason})", "another")
        self.multiple = backbone.config.patch_size
        distribution = DISTRIBUTIONS[options.head](0, 255, _BYTE_UNIT)
        dim = backbone.num_features
        self.start = nn.Parameter(torch.empty(dim))
        nn.init.normal_(self.start, std=0.02)
        self.pixels = CellModel(
            backbone.in_chans,
            self.multiple,
            dim,
            distribution,
            _HALF,
            _HALF,
            margin=options.margin,
            width=options.width,
            smooth=True,
        )

    def context(self, backbone: Backbone, x: Tensor) -> Tensor:
        """Context of each patch, computed from the patches before it: (B, N, D)."""
        patches = to_patches(x, self.multiple)
        tokens = backbone.tokenize(patches.flatten(0, 1))[0].unflatten(0, patches.shape[:2])
        start = self.start.to(tokens.dtype).expand(len(x), 1, -1)
        shifted = torch.cat([start, tokens[:, :-1, 0]], dim=1)
        grid = (x.shape[-2] // self.multiple, x.shape[-1] // self.multiple)
        return backbone.encode(shifted, grid, is_causal=True)[:, backbone.num_prefix_tokens :]

    def conditionals(self, backbone: Backbone, images: Tensor) -> list[Conditionals]:
        """Of byte images (B, C, H, W): one entry."""
        context = self.context(backbone, self.pixels.scaled(images))
        return [self.pixels.given(images, context, _byte_bounds(images))]

    def sample(
        self,
        backbone: Backbone,
        shape: tuple[int, ...],
        generator: torch.Generator | None,
        given: Tensor | None = None,
        known: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Byte images of that shape, and the logarithm of the probability of what is drawn.

        Args:
            backbone: see the class.
            shape: (B, C, H, W).
            generator: on the CPU.
            given: byte images of that shape, to be completed.
            known: rows of patches that are taken from them.
        """

        def context(values: Tensor) -> Tensor:
            return self.context(backbone, self.pixels.scaled(values))

        first = known * (shape[3] // self.multiple)
        return self.pixels.sample(shape, context, _byte_bounds, generator, given=given, first=first)

    def units(self, height: int) -> int:
        """What `sample` counts as known: rows of patches of an image of that height."""
        return height // self.multiple


def _byte_bounds(values: Tensor) -> tuple[Tensor, Tensor]:
    return torch.zeros_like(values), torch.full_like(values, 255)


class CoarseToFine(nn.Module):
    """The approximation first, then the details of each level from coarse to fine.

    The details of a level depend on the approximation of that level, which is an image that is
    known by then: the backbone reads all of it, with whatever overlapping transform, attention or
    pyramid it has, and nothing needs a causal mask. Inside a level, details follow cell by cell.
    They are drawn within the bounds that lead to bytes, so that every sample is a byte image and
    no probability is lost on others.

    Args:
        backbone: reads approximations as images.
        options: of `Autoregressive`.

    Raises:
        ValueError: images too small for one level, or more levels than fit.
    """

    def __init__(self, backbone: Backbone, options: Any) -> None:
        super().__init__()
        config = backbone.config
        self.cell = min(_CELL, config.strides[0])
        if config.strides[0] % self.cell:
            fail("backbone", f"a patch_size that {self.cell} divides", config.strides[0])
        fits = _levels(config.image_size, config.min_size, self.cell)
        if fits < 1:
            expected = (
                f"an img_size whose half has sides of at least {config.min_size} pixels, "
                f"multiples of {self.cell} (order='coarse_to_fine')"
            )
            fail("backbone", expected, config.image_size)
        self.levels = fits if options.levels is None else options.levels
        if self.levels > fits:
            fail("levels", f"at most {fits} for this backbone and img_size", self.levels)
        self.multiple = self.cell << self.levels
        kind, channels = DISTRIBUTIONS[options.head], backbone.in_chans
        shared = {"margin": options.margin, "width": options.width}
        self.start = nn.Parameter(torch.empty(_CONTEXT))
        nn.init.normal_(self.start, std=0.02)
        self.approx = CellModel(
            channels,
            self.cell,
            _CONTEXT,
            kind(0, 255, _BYTE_UNIT),
            _HALF,
            _HALF,
            smooth=True,
            **shared,
        )
        self.contexts = nn.ModuleList(
            CellContext(config, self.cell, _CONTEXT) for _ in range(self.levels)
        )
        self.contexts.apply(init_weights)
        self.details = nn.ModuleList(
            CellModel(
                3 * channels,
                self.cell,
                _CONTEXT,
                kind(-510, 510, _DETAIL_UNIT),
                _DETAIL_SCALE,
                guide=channels,
                **shared,
            )
            for _ in range(self.levels)
        )

    def _start(self, values: Tensor) -> Tensor:
        places = values.shape[-2] * values.shape[-1] // self.cell**2
        return self.start.expand(len(values), places, -1)

    def _guide(self, approx: Tensor) -> Tensor:
        return self.approx.scaled(approx)

    def of_pyramid(self, backbone: Backbone, pyramid: Pyramid) -> list[Conditionals]:
        """Of the integer Haar transform of images: the approximation, then the levels."""
        approx = pyramid.approx
        found = [self.approx.given(approx, self._start(approx), _byte_bounds(approx))]
        for context, model, bands in zip(self.contexts, self.details, pyramid.details, strict=True):
            guide = self._guide(approx)
            known = context(backbone, guide)
            low, high = integer_haar2_bounds(approx, bands)
            values, bounds = bands.flatten(1, 2), (low.flatten(1, 2), high.flatten(1, 2))
            found.append(cast(CellModel, model).given(values, known, bounds, guide))
            approx = inverse_integer_haar2(Pyramid(approx, (bands,)))
        return found

    def conditionals(self, backbone: Backbone, images: Tensor) -> list[Conditionals]:
        """Of byte images (B, C, H, W): see `of_pyramid`."""
        return self.of_pyramid(backbone, integer_haar2(images, self.levels))

    def sample(
        self,
        backbone: Backbone,
        shape: tuple[int, ...],
        generator: torch.Generator | None,
        given: Tensor | None = None,
        known: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Byte images of that shape, and the logarithm of the probability of what is drawn.

        Args:
            backbone: see the class.
            shape: (B, C, H, W).
            generator: on the CPU.
            given: byte images of that shape, to be completed.
            known: scales that are taken from them, the approximation first.
        """
        count, channels, *size = shape
        coarse = (count, channels, *(side >> self.levels for side in size))
        parts = None if given is None else integer_haar2(given, self.levels)
        if parts is not None and known:
            approx, total = parts.approx, self.start.new_zeros(count)
        else:
            approx, total = self.approx.sample(coarse, self._start, _byte_bounds, generator)
        for level, (context, model) in enumerate(zip(self.contexts, self.details, strict=True)):
            if parts is not None and level + 1 < known:
                approx = inverse_integer_haar2(Pyramid(approx, (parts.details[level],)))
                continue
            guide = self._guide(approx)
            read = context(backbone, guide)

            def bounds(values: Tensor, approx: Tensor = approx) -> tuple[Tensor, Tensor]:
                low, high = integer_haar2_bounds(approx, values.unflatten(1, (-1, 3)))
                return low.flatten(1, 2), high.flatten(1, 2)

            def context_of(values: Tensor, read: Tensor = read) -> Tensor:
                return read

            values, found = cast(CellModel, model).sample(
                (count, 3 * channels, *approx.shape[-2:]),
                context_of,
                bounds,
                generator,
                guide,
            )
            approx = inverse_integer_haar2(Pyramid(approx, (values.unflatten(1, (-1, 3)),)))
            total = total + found
        return approx, total

    def units(self, height: int) -> int:
        """What `sample` counts as known: the approximation and the levels."""
        return self.levels + 1


def _levels(size: tuple[int, int], least: int, cell: int) -> int:
    """Levels whose approximations a backbone can read, in whole cells."""
    count = 0
    while all(not side >> count & 1 for side in size):
        sides = [side >> (count + 1) for side in size]
        if min(sides) < least or any(side % cell for side in sides):
            break
        count += 1
    return count


#: Orders by name.
ORDERS: dict[str, type[Raster] | type[CoarseToFine]] = {
    "raster": Raster,
    "coarse_to_fine": CoarseToFine,
}
