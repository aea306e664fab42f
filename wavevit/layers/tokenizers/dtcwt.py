"""Dual-tree and scattering tokenizers: averaged magnitudes of first or second order."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.layers.context import PartContext
from wavevit.layers.decimation import Decimation, chained
from wavevit.layers.options import NoOptions
from wavevit.layers.registry import register_tokenizer
from wavevit.layers.symmetry import Symmetry
from wavevit.layers.tokenizers.subbands import SubbandTokenizer, image_padding, levels_of
from wavevit.wavelets import dtcwt2, scattering2, smooth_magnitude
from wavevit.wavelets._engine.magnitudes import BandWriter, mean_of_pairs, writes_bands
from wavevit.wavelets._engine.pieces import by_images
from wavevit.wavelets.dtcwt import steps_of
from wavevit.wavelets.scattering import BIAS, written_paths

__all__ = ["BIORT", "QSHIFT", "DTCWTTokenizer", "ScatteringTokenizer"]


BIORT, QSHIFT = "near_sym_a", "qshift_a"  # what both transforms have by default


def _dual_tree(x: Tensor, level: int, mode: str) -> Tensor:
    """All that is linear in both tokenizers, (B, D, h, w): real, imaginary and approximation."""
    pyramid = dtcwt2(x, level, BIORT, mode=mode)
    maps = [F.pixel_unshuffle(pyramid.approx, 2)]
    for steps, details in enumerate(pyramid.details):
        maps.append(F.pixel_unshuffle(details.flatten(1, 3), 1 << steps))
    return torch.cat(maps, dim=1)


def _mode(padding: str) -> str:
    return "periodic" if padding == "circular" else "symmetric"


@register_tokenizer("dtcwt")
class DTCWTTokenizer(SubbandTokenizer):
    """Dual-tree magnitudes of six orientations at every scale, low-passed to the patch's stride.

    A small shift changes mostly the phase of complex wavelets, so their magnitude changes little
    even at the stride of each scale. The finer scales are then low-passed and strided
    down to the patch. The low-pass band, the mean of the four trees, is added to the magnitudes.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of a token.
        patch_size: stride in pixels, a power of two from 2 on.
        padding: ``"circular"``, or ``"zeros"``, for which the image is mirrored at its borders.
        subband_norm: see `SubbandTokenizer`.

    Raises:
        ValueError: another patch size.

    Guarantees:
        At random weights, a 1-px shift, circular or crop, moves its tokens of photographs at most
        2/3 as far as those of a patch of 4 pixels, 2/5 at 8 and 1/4 at 16;
        the bands of a mirrored image are the mirrored bands, orientations exchanged
        (tests/properties/test_tokenizer_laws.py). *Not* guaranteed: invariance, or exact shifts
        by less than the patch.

    Source:
        Kingsbury 2001 for the transform; magnitudes as features of networks: Singh & Kingsbury
        2017, Leterme et al. 2022 (arXiv 2212.00394). Ours as a tokenizer.
    """

    def __init__(
        self,
        in_chans: int,
        embed_dim: int,
        patch_size: int,
        padding: str = "zeros",
        subband_norm: bool = True,
    ) -> None:
        level = levels_of(patch_size, "dtcwt")
        # Coarse to fine, as the transform gives them; its low-pass doubles from level 2 on only.
        octaves = [level - 1] + [j for j in reversed(range(level)) for _ in range(6)]
        super().__init__(in_chans, embed_dim, octaves, subband_norm)
        self.level, self.mode = level, _mode(padding)
        self.decimate = Decimation(4, image_padding(padding))
        self.symmetry = Symmetry(patch_size, circular=padding == "circular")

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(
            context.in_chans,
            context.dim,
            context.patch_size,
            context.padding,
            context.subband_norm,
        )

    def analyse(self, x: Tensor) -> Tensor:
        pyramid = dtcwt2(x, self.level, mode=self.mode)
        bands = [F.avg_pool2d(pyramid.approx, 2)[:, :, None]]
        for steps, details in enumerate(pyramid.details):
            maps = smooth_magnitude(details).flatten(1, 2)
            for _ in range(steps):
                maps = self.decimate(maps)
            bands.append(maps.unflatten(1, (-1, 6)))
        return torch.cat(bands, dim=2).flatten(1, 2)

    def write(self, x: Tensor) -> Tensor | None:
        if not writes_bands(x):
            return None
        pyramid = dtcwt2(x, self.level, mode=self.mode)
        rows, columns = map(mean_of_pairs, pyramid.approx.shape[-2:])
        writer = BandWriter(x, self.bands, (rows.outputs, columns.outputs))
        writer.write("linear", pyramid.approx, 0, (rows, columns))
        for steps, details in enumerate(pyramid.details):
            low_pass = chained((self.decimate,) * steps, details.shape[-2:])
            first = 1 + 6 * steps
            writer.write("smooth", details, first, low_pass, taken=range(6), bias=BIAS)
        return writer.tokens

    def linear_part(self, x: Tensor) -> Tensor:
        """The dual tree before its magnitudes."""
        return _dual_tree(x, self.level, self.mode)


@register_tokenizer("scattering")
class ScatteringTokenizer(SubbandTokenizer):
    """Scattering of second order at the scale of the patch.

    First-order paths contain the same as the dual-tree tokenizer. Second-order paths add how a
    magnitude varies within the patch, which distinguishes textures with equal spectra.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of a token.
        patch_size: stride in pixels, a power of two from 2 on; its logarithm is the number of
            scales. With 2 there is one scale and so no second order.
        padding: ``"circular"``, or ``"zeros"``, for which the image is mirrored at its borders.
        subband_norm: see `SubbandTokenizer`.

    Raises:
        ValueError: another patch size.

    Guarantees:
        At random weights, a 1-px shift, circular or crop, moves its tokens of photographs at most
        as far as those of a patch of 4 pixels, 3/4 as far at 8 and 1/2 at 16;
        the bands of a mirrored image are the mirrored bands, orientations exchanged
        (tests/properties/test_tokenizer_laws.py). *Not* guaranteed: invariance, or exact shifts
        by less than the patch.

    Source:
        Bruna & Mallat 2013. Oyallon et al. 2018 put it before a ResNet; before a transformer ours.
    """

    def __init__(
        self,
        in_chans: int,
        embed_dim: int,
        patch_size: int,
        padding: str = "zeros",
        subband_norm: bool = True,
    ) -> None:
        scales = levels_of(patch_size, "scattering")
        super().__init__(in_chans, embed_dim, scattering_octaves(scales), subband_norm)
        self.scales, self.mode = scales, _mode(padding)
        self.symmetry = Symmetry(patch_size, circular=padding == "circular")

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(
            context.in_chans,
            context.dim,
            context.patch_size,
            context.padding,
            context.subband_norm,
        )

    def analyse(self, x: Tensor) -> Tensor:
        return scattering2(x, self.scales, mode=self.mode)

    def write(self, x: Tensor) -> Tensor | None:
        if not writes_bands(x):
            return None
        steps = steps_of(BIORT, QSHIFT, self.mode)
        return by_images(lambda x: written_paths(x, self.scales, 2, steps, BIAS), x)

    def linear_part(self, x: Tensor) -> Tensor:
        """The first dual tree before its magnitudes."""
        return _dual_tree(x, self.scales, self.mode)


def scattering_octaves(scales: int) -> list[int]:
    """Octaves of strength of each of `wavevit.wavelets.scattering_paths`, in that order.

    A scale's magnitude is twice as strong as the one below it (1/f), and so is every further
    level of a low-pass but the first, which keeps energy. The magnitude of a magnitude has a
    quarter of its strength on photographs (measured: 0.2 to 0.5).
    """

    def low_pass(levels: int) -> int:
        return max(levels - 1, 0)

    first = [scale - 1 + low_pass(scales - scale) for scale in range(1, scales + 1)]
    second = [
        (one - 1) + (two - one - 1) + low_pass(scales - two) - 2
        for one in range(1, scales)
        for two in range(one + 1, scales + 1)
    ]
    return [
        low_pass(scales),
        *(octave for octave in first for _ in range(6)),
        *(octave for octave in second for _ in range(36)),
    ]
