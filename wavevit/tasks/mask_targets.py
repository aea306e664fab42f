"""Targets of masked image modelling: pixels, normalised pixels, or Haar bands of each patch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wavevit.checks import check_choice, fail
from wavevit.wavelets import Pyramid, wavedec2, waverec2

__all__ = ["TARGETS", "PatchTarget"]

TARGETS = ("pixels", "normed_pixels", "bands")

_EPS = 1e-6  # added to a patch's variance, as in MAE


class PatchTarget(nn.Module):
    """Target of a hidden patch and its loss: pixels, normalised pixels or Haar bands.

    Args:
        kind: one of `TARGETS`. ``"normed_pixels"``: minus the patch's mean, over its deviation.
            ``"bands"``: the orthonormal Haar coefficients of all levels.
        side: of a patch in pixels; a power of two for bands.
        weights: of the bands, the approximation first, then the levels from coarse to fine; None
            for bands of equal weight. Each is the weight of the *mean* over its coefficients; with
            weights as the numbers of coefficients the cost is that of pixels (Parseval).

    Raises:
        ValueError: an unknown kind, a side that cannot be halved to 1, or wrong weights.
    """

    weight: Tensor

    def __init__(
        self, kind: str, side: int, channels: int, weights: tuple[float, ...] | None = None
    ) -> None:
        super().__init__()
        self.kind, self.side = check_choice("target", kind, TARGETS), side
        self.channels, self.level = channels, side.bit_length() - 1
        if kind == "bands" and side != 1 << self.level:
            fail("target", f"'pixels' or 'normed_pixels' for patches of {side} pixels", "'bands'")
        if weights is not None and kind != "bands":
            fail("band_weights", f"None with target={kind!r}", weights)
        spread = torch.ones(channels * side * side)
        if kind == "bands":
            sizes = [1, *(3 * 4**index for index in range(self.level))]
            chosen = weights or (1.0,) * len(sizes)
            if len(chosen) != len(sizes) or min(chosen) < 0 or not sum(chosen):
                expected = f"{len(sizes)} weights of at least 0, one for each band, not all 0"
                fail("band_weights", expected, weights)
            total = sum(sizes) / sum(chosen)
            spread = torch.cat(
                [
                    torch.full((channels * size,), total * weight / size)
                    for size, weight in zip(sizes, chosen, strict=True)
                ]
            )
        self.register_buffer("weight", spread, persistent=False)

    def forward(self, patches: Tensor, of: Tensor | None = None) -> Tensor:
        """Patches (B, N, C, s, s) to targets (B, N, V).

        Args:
            patches: to describe.
            of: the patches whose mean and deviation are used to normalise; None for `patches`.
        """
        if self.kind == "bands":
            found = wavedec2(patches.flatten(0, 1), "haar", level=self.level)
            parts = [found.approx.flatten(1), *(detail.flatten(1) for detail in found.details)]
            return torch.cat(parts, dim=1).unflatten(0, patches.shape[:2])
        if self.kind == "normed_pixels":
            mean, deviation = self._statistics(patches if of is None else of)
            patches = (patches - mean) / deviation
        return patches.flatten(2)

    def inverse(self, values: Tensor, of: Tensor) -> Tensor:
        """Targets (B, N, V) to patches (B, N, C, s, s).

        Args:
            values: as `forward` gives them.
            of: patches whose mean and deviation normalised pixels get back.
        """
        shape = (self.channels, self.side, self.side)
        if self.kind == "bands":
            sizes = [1, *(3 * 4**index for index in range(self.level))]
            bands = values.flatten(0, 1).split([self.channels * size for size in sizes], dim=1)
            details = tuple(
                band.unflatten(1, (self.channels, 3, 1 << index, 1 << index))
                for index, band in enumerate(bands[1:])
            )
            approx = bands[0].unflatten(1, (self.channels, 1, 1))
            return waverec2(Pyramid(approx, details), "haar").unflatten(0, values.shape[:2])
        patches = values.unflatten(2, shape)
        if self.kind == "normed_pixels":
            mean, deviation = self._statistics(of)
            patches = patches * deviation + mean
        return patches

    def cost(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Mean squared error of each patch, weighted by band: (B, N)."""
        weight = self.weight.to(target.dtype)
        return ((predicted.to(target.dtype) - target).square() * weight).mean(2)

    @staticmethod
    def _statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
        values = patches.flatten(2)
        mean, variance = values.mean(2), values.var(2)
        shape = (*mean.shape, 1, 1, 1)
        return mean.reshape(shape), (variance + _EPS).sqrt().reshape(shape)
