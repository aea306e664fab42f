"""Adaptive tokenizer: patches of several sizes, small ones where the image has details."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_at_least, check_choice, fail
from wavevit.layers import quadtree
from wavevit.layers.channels import Source, fit_channels, fit_first
from wavevit.layers.context import PartContext
from wavevit.layers.options import PartOptions
from wavevit.layers.registry import register_tokenizer
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.layers.token_layout import BACKENDS, level_grids, painted, present
from wavevit.layers.tokenizers.start import start_at_pixel_size, start_projection
from wavevit.layers.tokenizers.subbands import image_padding
from wavevit.wavelets._engine.torch_private import has_forward_hooks, is_derived

__all__ = ["AdaptiveOptions", "AdaptiveTokenizer"]

ENERGIES = ("haar", "swt", "random")
SPLITTINGS = ("soft", "hard")


@dataclass(frozen=True)
class AdaptiveOptions(PartOptions):
    """Options of the tokenizer ``"adaptive"``.

    Attributes:
        levels: sizes of patches: 4 for P, 2P, 4P and 8P pixels a side, with P the `patch_size`.
        energy: what the choice is made by: ``"haar"`` (details that a large patch would lose),
            ``"swt"`` (the same, averaged over all positions of the Haar grid, so that the choice
            depends less on where the image is cut), ``"random"`` (a hash: the control).
        splitting: ``"soft"`` (weights fade, the tokens are a continuous function of the image) or
            ``"hard"`` (a patch is split or not).
        softness: of a soft split, half the width of the transition as a share of the threshold.
        threshold: energy above which a patch is split, in mean squares of pixels over one finest
            patch. 0 splits every patch. With `share` or `budget` it is the smallest threshold.
        budget: largest number of tokens of an image, as the sum of their weights: a whole number,
            or a share of the finest grid in (0, 1]; None for no limit. The threshold of each image
            is raised until it is met, or nothing is split: an image never has fewer tokens than
            its largest patches and the rows and columns that they leave over.
        budget_of: ``"image"``, or ``"batch"`` for one threshold of a batch whose images have
            `budget` tokens on average. Images of a batch then depend on each other.
        share: share of an image's detail energy that the tokens keep; None for no such rule. Of
            `share` and `budget` the one with fewer tokens counts.
        backend: how attention runs over different numbers of tokens
            (`wavevit.layers.token_layout.BACKENDS`).
        capacity: most tokens of an image in a graph (`torch.compile`, `torch.export`), which has
            fixed sizes: the heaviest ones; 0 for all candidates.

    Raises:
        ValueError: an unknown name, a number out of range, or a threshold of 0 with a budget or a
            share.
    """

    levels: int = 4
    energy: str = "haar"
    splitting: str = "soft"
    softness: float = 0.1
    threshold: float = 1e-3
    budget: int | float | None = 0.5
    budget_of: str = "image"
    share: float | None = None
    backend: str = "padded"
    capacity: int = 0

    def __post_init__(self) -> None:
        check_at_least("levels", self.levels, 1)
        check_choice("energy", self.energy, ENERGIES)
        check_choice("splitting", self.splitting, SPLITTINGS)
        if not 0 < self.softness < 1:
            fail("softness", "a share of the threshold in (0, 1)", self.softness)
        if not 0 <= self.threshold < float("inf"):
            fail("threshold", "an energy of at least 0", self.threshold)
        counts = isinstance(self.budget, int) and not isinstance(self.budget, bool)
        if self.budget is not None:
            if counts:
                check_at_least("budget", int(self.budget), 1)
            elif not isinstance(self.budget, float) or not 0 < self.budget <= 1:
                expected = "a whole number of tokens, a share in (0, 1], or None"
                fail("budget", expected, repr(self.budget))
        check_choice("budget_of", self.budget_of, ("image", "batch"))
        if self.share is not None and not 0 < self.share < 1:
            fail("share", "a share of the energy in (0, 1), or None", self.share)
        if self.threshold == 0 and (self.budget is not None or self.share is not None):
            expected = "above 0 with a budget or a share (0 splits every patch)"
            fail("threshold", expected, self.threshold)
        check_choice("backend", self.backend, BACKENDS)
        check_at_least("capacity", self.capacity, 0)

    def scaled(self, width: int, pixels: Fraction) -> Self:
        """Numbers of tokens grow as the grid does; shares of it stay."""
        budget = self.budget
        return dataclasses.replace(
            self,
            budget=round(budget * pixels**2) if isinstance(budget, int) else budget,
            capacity=round(self.capacity * pixels**2),
        )


@register_tokenizer("adaptive")
class AdaptiveTokenizer(Part):
    """Patches of several sizes from a quadtree: small ones where the image has details.

    A patch of ``2**l`` P pixels a side is seen at the resolution of means over ``2**l`` pixels, by
    the same linear map as the patches of P pixels. A second linear map, which starts at 0, adds the
    Haar details of level l, and a vector, which starts at 0, is added l times. So with every patch
    split this is `PatchTokenizer`, and its weights are good ones to start from.

    In a columnar model with global attention each of these tokens is one of the sequence, and those
    of weight 0 are not computed. Every other model gets the map of them: each finest cell has the
    weighted sum of the tokens that cover it.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of a token.
        patch_size: side of the finest patch in pixels.
        padding: of the energies ``"swt"``: ``"circular"``, or ``"zeros"``, for which the image
            repeats its border pixels.
        options: see `AdaptiveOptions`.

    Guarantees:
        With ``splitting="soft"`` tokens, weights and their map are continuous functions of the
        image, of bounded slope; the weights over a pixel sum to 1; a constant image has the fewest
        tokens; the number of tokens falls with the threshold; circular shifts by the largest patch
        permute the tokens (tests/properties/test_adaptive_laws.py). *Not* guaranteed: continuity
        under `share` for an image whose details of one scale are exactly 0 where finer ones are
        not; a bounded slope of a constant image's threshold.

    Source:
        Zerotrees: Shapiro 1993. Patches of several sizes and the branch that starts at 0: APT
        (Choudhury et al. 2025, arXiv 2510.18091), which splits by a hard threshold. Energies,
        soft split and continuous budget are ours.
    """

    Options = AdaptiveOptions
    any_patch = weighted = True
    unbounded = "divides energies by a threshold, so that its slope grows with the image"

    def __init__(
        self,
        in_chans: int,
        embed_dim: int,
        patch_size: int,
        padding: str = "zeros",
        options: AdaptiveOptions | None = None,
    ) -> None:
        super().__init__()
        self.in_chans, self.options = in_chans, options or AdaptiveOptions()
        self.patch_size, self.padding = patch_size, image_padding(padding)
        self.proj = nn.Conv2d(in_chans, embed_dim, patch_size, stride=patch_size)
        self.details: nn.Conv2d | None = None
        self.octave: nn.Parameter | None = None
        if self.options.levels > 1:
            self.details = nn.Conv2d(
                3 * in_chans, embed_dim, patch_size, stride=patch_size, bias=False
            )
            self.octave = nn.Parameter(torch.zeros(embed_dim))
        exact = self.options.energy != "swt" or padding == "circular"
        self.symmetry = Symmetry(patch_size << (self.options.levels - 1), circular=exact)

    @classmethod
    def build(cls, context: PartContext, options: AdaptiveOptions) -> Self:
        return cls(context.in_chans, context.dim, context.patch_size, context.padding, options)

    @classmethod
    def first_conv(cls, options: AdaptiveOptions) -> str | tuple[()]:
        return "proj"

    @property
    def stride(self) -> int:
        """Pixels per finest token."""
        return self.patch_size

    def reset_parameters(self) -> None:
        """The map of photographs as large as the pixels; what larger patches add is 0."""
        start_projection(self.proj)
        if self.details is not None and self.octave is not None:
            nn.init.zeros_(self.details.weight)
            nn.init.zeros_(self.octave)
        start_at_pixel_size(self, self.proj, self.proj.in_channels)

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """Channels fitted by `fit_channels`."""
        channels = self.proj.in_channels
        fitted = fit_first(state, "proj.weight", channels, source)
        kernel = state.get("details.weight")
        if fitted and kernel is not None and kernel.ndim == 4:
            bands = kernel.unflatten(1, (-1, 3)).transpose(1, 2).flatten(0, 1)
            bands = fit_channels(bands, channels).unflatten(0, (-1, 3)).transpose(1, 2)
            fitted["details.weight"] = bands.flatten(1, 2)
        return fitted

    def _levels(self, grid: tuple[int, int]) -> int:
        return len(level_grids(grid, self.options.levels))

    def weights_of(self, x: Tensor) -> list[Tensor]:
        """Weights of all patches of images: (B, h, w) for each size, finest first.

        Args:
            x: images (B, C, H, W), sides divisible by `patch_size`.
        """
        levels = self._levels((x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size))
        energies, means, _ = quadtree.haar_pyramid(x, self.patch_size, levels)
        return self._weights(x, energies, means)

    def _weights(self, x: Tensor, energies: list[Tensor], means: list[Tensor]) -> list[Tensor]:
        options = self.options
        if options.threshold == 0 or len(energies) == 1:
            return quadtree.node_weights([torch.ones_like(e) for e in energies])
        if options.energy == "swt":
            energies = quadtree.swt_energies(x, self.patch_size, len(energies), self.padding)
        elif options.energy == "random":
            energies = quadtree.hashed_energies(means, self.patch_size)
        softness = options.softness if options.splitting == "soft" else 0.0
        threshold = torch.full_like(energies[0][:, 0, 0], options.threshold)
        if options.share is not None:
            threshold = quadtree.share_threshold(
                energies, options.share, softness, options.threshold
            )
        if options.budget is not None:
            most = options.budget
            if isinstance(most, float):
                most = most * (energies[0].shape[-2] * energies[0].shape[-1])
            together = options.budget_of == "batch"
            other = quadtree.count_threshold(energies, most, softness, options.threshold, together)
            threshold = torch.maximum(threshold, other)
        wide = threshold[:, None, None]
        return quadtree.node_weights(
            [quadtree.split_share(energy, wide, softness) for energy in energies]
        )

    def seen(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) at the resolution that the tokens have: what the choice keeps.

        Each pixel is the weighted mean of the squares of means that cover it.

        Args:
            x: images, sides divisible by `patch_size`.
        """
        patch = self.patch_size
        grid = (x.shape[-2] // patch, x.shape[-1] // patch)
        energies, means, _ = quadtree.haar_pyramid(x, patch, self._levels(grid))
        weights = self._weights(x, energies, means)
        found = torch.zeros_like(x)
        for level, (weight, mean) in enumerate(zip(weights, means, strict=True)):
            wide = F.interpolate(mean, scale_factor=1 << level)
            share = F.interpolate(weight[:, None], scale_factor=patch << level).to(x.dtype)
            missing = (0, x.shape[-1] - wide.shape[-1], 0, x.shape[-2] - wide.shape[-2])
            found = found + F.pad(wide * share, missing)
        return found

    def forward(
        self, x: Tensor, candidates: bool = False, sparse: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Images (B, C, H, W), sides divisible by the patch, to tokens (B, H/P, W/P, D).

        Args:
            x: images.
            candidates: return all patches of all sizes (B, M, D) and their weights (B, M) instead
                of their map: finest first, rows before columns.
            sparse: patches of weight 0 may be left out: their tokens are 0. They are where no
                derivative is asked for and the linear maps are plain convolutions.
        """
        grid = (x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size)
        levels = self._levels(grid)
        energies, means, details = quadtree.haar_pyramid(x, self.patch_size, levels)
        weights = self._weights(x, energies, means)
        weight = torch.cat([w.flatten(1) for w in weights], dim=1)
        if sparse and self._may_leave_out(x):
            every = self._chosen(means, details, weights)
        else:
            every = self._every(means, details)
        if candidates:
            return every, weight
        return painted(every, weight, grid, self.options.levels).unflatten(1, grid)

    def _every(self, means: Sequence[Tensor], details: Sequence[Tensor]) -> Tensor:
        """Tokens of all patches (B, M, D)."""
        tokens = [self._embedded(means[0])]
        for level in range(1, len(means)):
            assert self.details is not None
            assert self.octave is not None
            token = self._embedded(means[level])
            fine = self.details(details[level - 1]).flatten(2).transpose(1, 2)
            tokens.append(token + fine + level * self.octave)
        return torch.cat(tokens, dim=1)

    def _may_leave_out(self, x: Tensor) -> bool:
        """Whether `_chosen` gives what `_every` does: a hook sees all patches, and a layer in the
        place of a convolution may read pixels beside the patch."""
        convs = [conv for conv in (self.proj, self.details) if conv is not None]
        plain = all(type(conv) is nn.Conv2d and not has_forward_hooks(conv) for conv in convs)
        return plain and not is_derived(x, *self.parameters())

    def _chosen(
        self, means: Sequence[Tensor], details: Sequence[Tensor], weights: Sequence[Tensor]
    ) -> Tensor:
        """Tokens of all patches (B, M, D), 0 for those of weight 0, which are not computed."""
        tokens = []
        for level, weight in enumerate(weights):
            place = present(weight).nonzero().unbind(1)
            token = _embedded_at(place, means[level], self.proj)
            if level:
                assert self.details is not None
                assert self.octave is not None
                token = token + _embedded_at(place, details[level - 1], self.details)
                token = token + level * self.octave
            image, row, column = place
            index = (image * weight.shape[1] + row) * weight.shape[2] + column
            empty = token.new_zeros(weight.numel(), token.shape[1])
            tokens.append(empty.index_copy(0, index, token).unflatten(0, (len(weight), -1)))
        return torch.cat(tokens, dim=1)

    def _embedded(self, image: Tensor) -> Tensor:
        embedded: Tensor = self.proj(image)
        return embedded.flatten(2).transpose(1, 2)

    def linear_part(self, x: Tensor) -> Tensor:
        """Pixels of the finest patches: both the energies and the linear maps read them."""
        return F.pixel_unshuffle(x, self.patch_size)


def _embedded_at(place: Sequence[Tensor], image: Tensor, conv: nn.Conv2d) -> Tensor:
    """A convolution whose kernel is its stride, at chosen patches alone: (N, D).

    Args:
        place: image, row and column of each patch, (N) each.
        image: (B, C, H, W).
        conv: of patches.
    """
    (height, width), (index, row, column) = conv.kernel_size, place
    cells = image.unflatten(3, (-1, width)).unflatten(2, (-1, height))
    patches = cells[index, :, row, :, column, :]  # of (B, C, rows, P, columns, P): (N, C, P, P)
    return F.linear(patches.flatten(1), conv.weight.flatten(1), conv.bias)
