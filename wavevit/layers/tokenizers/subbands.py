"""Base of wavelet tokenizers: a gain for each subband, then a linear map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import fail
from wavevit.layers.channels import Source, fit_subbands
from wavevit.layers.symmetry import Part
from wavevit.layers.tokenizers.start import start_at_pixel_size, start_projection
from wavevit.wavelets._engine.torch_private import has_hooks

__all__ = ["SubbandNorm", "SubbandTokenizer", "image_padding", "levels_of"]


class SubbandNorm(nn.Module):
    """Divides every subband by the root of the strength it has in natural images, learnably.

    Photographs have spectra like 1/f: a detail whose finest half-band is `o` octaves below the
    pixels is about ``2**o`` times stronger than the finest one, which then hardly counts. Dividing
    by the whole strength would amplify the sensor's noise, so training starts from the root of it,
    ``2**(o / 2)``. The gain is the same for every image. So the ratios between bands and between
    places, which distinguish textures, are kept, and the map keeps every shift of its grid.

    Args:
        octaves: `o` of each subband.
        channels: image channels; each has its own gains.

    Source:
        The 1/f law is Field 1987. Ours otherwise; dividing by each image's own band strength
        was tried first and gave a lower accuracy (docs/lab-log.md, the first study).
    """

    def __init__(self, octaves: Sequence[int], channels: int) -> None:
        super().__init__()
        gains = 2.0 ** (-0.5 * torch.tensor(octaves, dtype=torch.get_default_dtype()))
        self.weight = nn.Parameter(gains.repeat(channels))
        self.bias = nn.Parameter(torch.zeros(channels * len(octaves)))

    def forward(self, x: Tensor) -> Tensor:
        """Subbands (B, channels * bands, h, w) to the same shape."""
        return x * self.weight[:, None, None] + self.bias[:, None, None]


def levels_of(patch_size: int, tokenizer: str, minimum: int = 2) -> int:
    """How often a patch halves down to one pixel.

    Raises:
        ValueError: a patch size below `minimum` or that is no power of two.
    """
    level = patch_size.bit_length() - 1
    if patch_size < minimum or patch_size != 1 << level:
        fail("patch_size", f"a power of two from {minimum} on for {tokenizer=}", patch_size)
    return level


def image_padding(padding: str) -> str:
    """How `pad_map` extends an image where token maps are padded with `padding`.

    Zeros around an image are an edge that is not there; the border's own pixels are none.
    """
    return "circular" if padding == "circular" else "replicate"


class SubbandTokenizer(Part, ABC):
    """Subbands at the stride of the patch, a learned gain for each, a linear map.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of a token.
        octaves: see `SubbandNorm`; one for each subband of one image channel.
        subband_norm: learn a gain for each subband (`SubbandNorm`).
    """

    def __init__(
        self, in_chans: int, embed_dim: int, octaves: Sequence[int], subband_norm: bool
    ) -> None:
        super().__init__()
        self.in_chans, self.bands = in_chans, len(octaves)
        self.norm = SubbandNorm(octaves, in_chans) if subband_norm else nn.Identity()
        self.proj = nn.Conv2d(in_chans * len(octaves), embed_dim, 1)

    def reset_parameters(self) -> None:
        """Tokens of photographs as large as the pixels (`start_at_pixel_size`); no bias."""
        start_projection(self.proj)
        start_at_pixel_size(self, self.proj, self.in_chans)

    @abstractmethod
    def analyse(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to subbands (B, C * bands, H/P, W/P), those of a channel together."""

    def write(self, x: Tensor) -> Tensor | None:
        """`analyse` with channels innermost, (B, H/P, W/P, C * bands), by a kernel.

        None where no kernel does it, and for images whose gradient is asked for (in a training step
        it is not).
        """
        return None

    def activate(self, bands: Tensor) -> Tensor:
        """A pointwise map of the scaled subbands; none where `analyse` is not linear itself."""
        return bands

    @property
    def _is_linear_after_gains(self) -> bool:
        """Whether `activate` changes nothing."""
        return True

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """Channels fitted by `fit_subbands`."""
        return fit_subbands(state, self.in_chans, self.bands, source, self._is_linear_after_gains)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W), sides divisible by the patch, to tokens (B, H/P, W/P, D)."""
        if self._is_linear_after_gains and self._has_its_own_modules:
            bands = self.write(x)
            if bands is not None:
                return F.linear(bands, *self._merged())
        return self.proj(self.activate(self.norm(self.analyse(x)))).permute(0, 2, 3, 1)

    def followed_by(self, x: Tensor, after: nn.Linear) -> Tensor:
        """A linear map of the tokens, ``after(self(x))``, computed as one with the tokenizer's own.

        The two maps together cost a token `bands * D + D * D` products, the one map `bands * D`. It
        is computed anew at each call, which pays where there are more tokens than bands. Elsewhere,
        in a graph (`torch.compile`, export) and where no kernel writes the bands, both are applied.

        Args:
            x: images (B, C, H, W).
            after: of tokens; where it or the tokenizer has a hook, both are applied.

        Returns:
            (B, H/P, W/P, features of `after`), equal up to rounding.
        """
        bands = self.write(x) if self._merges_with(after) else None
        if bands is None:
            return after(self(x))
        weight, bias = self._merged()
        if bands.shape[:-1].numel() <= bands.shape[-1]:
            return after(F.linear(bands, weight, bias))
        shift = after.bias if bias is None else F.linear(bias, after.weight, after.bias)
        return F.linear(bands, after.weight @ weight, shift)

    def _merges_with(self, after: nn.Module) -> bool:
        """Whether nothing but linear maps lies between the bands and what `after` gives."""
        return (
            not torch.compiler.is_compiling()
            and type(self).forward is SubbandTokenizer.forward
            and type(after) is nn.Linear
            and not (has_hooks(self) or has_hooks(after))
            and self._is_linear_after_gains
            and self._has_its_own_modules
        )

    @property
    def _has_its_own_modules(self) -> bool:
        """Whether nobody has put a module or a hook in the place of the gains or the projection."""
        expected = (SubbandNorm, nn.Identity), (nn.Conv2d,)
        return all(
            type(module) in types and not has_hooks(module)
            for module, types in zip((self.norm, self.proj), expected, strict=True)
        )

    def _merged(self) -> tuple[Tensor, Tensor | None]:
        """Gains and linear map as one linear map, with the gradients of both."""
        weight, bias = self.proj.weight.flatten(1), self.proj.bias
        if not isinstance(self.norm, SubbandNorm):
            return weight, bias
        shift = weight @ self.norm.bias
        return weight * self.norm.weight, shift if bias is None else bias + shift

    def projection(self, factors: Sequence[float] | Tensor = (1.0,)) -> Tensor:
        """Gains and linear map as one matrix (D, C * bands) in float64, columns times `factors`.

        Args:
            factors: one for each subband of a channel, or a single one.
        """
        weight = self.proj.weight.detach().double().flatten(1)
        if isinstance(self.norm, SubbandNorm):
            weight = weight * self.norm.weight.detach().double()
        bands = weight.shape[1] // self.in_chans
        each = torch.as_tensor(factors, dtype=torch.float64, device=weight.device).expand(bands)
        return weight * each.repeat(self.in_chans)
