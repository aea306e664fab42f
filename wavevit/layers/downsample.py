"""Downsampling layers between stages: tokens on (h, w) to (⌈h/2⌉, ⌈w/2⌉)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import fail
from wavevit.layers.band_limit import decimate
from wavevit.layers.context import PartContext
from wavevit.layers.decimation import Decimation
from wavevit.layers.merged_downsample import MergedDownsample
from wavevit.layers.norms import make_norm, norm_symmetry
from wavevit.layers.old_bounds import OldGrowth
from wavevit.layers.options import NoOptions
from wavevit.layers.padding import pad_map
from wavevit.layers.registry import register_downsample
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.wavelets import Lifting, dwt2

__all__ = [
    "BandLimitedDownsample",
    "BlurPoolDownsample",
    "ConvDownsample",
    "DWTDownsample",
    "Downsample",
    "LiftingDownsample",
    "LowPassDownsample",
    "PatchMerging",
    "PoolDownsample",
]


class Downsample(Part, OldGrowth, ABC):
    """Base class of downsampling layers: halves both sides; `halve` makes the smaller map.

    Attributes:
        decimation: stride of a `halve` without its own low-pass, for `blur_strides`.
        low_pass: module that a map passes before such a `halve`.
    """

    decimation = 2

    def __init__(self) -> None:
        super().__init__()
        self.low_pass: nn.Module = nn.Identity()

    @abstractmethod
    def halve(self, image: Tensor) -> Tensor:
        """Map (B, D, h, w) to (B, D', ⌈h/2⌉, ⌈w/2⌉)."""

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """Tokens (B, N, D') to (B, N, out_dim)."""

    def forward(self, x: Tensor, grid: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        """Tokens (B, h·w, D) on grid (h, w) to the smaller ones and their grid."""
        smaller = self.halve(self.low_pass(x.transpose(1, 2).unflatten(2, grid)))
        grid = (smaller.shape[-2], smaller.shape[-1])
        return self.project(smaller.flatten(2).transpose(1, 2)), grid


@register_downsample("patch_merging")
class PatchMerging(Downsample):
    """Four neighbours side by side, normalised, mapped linearly; odd sides get zeros.

    Args:
        dim: channels coming in.
        out_dim: channels going out.
        eps: of the norm.
        norm: of `NORMS`.

    Source:
        Liu et al. 2021 (Swin), section 3.1.
    """

    def __init__(self, dim: int, out_dim: int, eps: float = 1e-5, norm: str = "token") -> None:
        super().__init__()
        self.norm = make_norm(norm, 4 * dim, eps)
        self.proj = nn.Linear(4 * dim, out_dim, bias=False)
        self.symmetry = Symmetry(2)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(context.dim, context.out_dim, context.norm_eps, context.norm)

    def halve(self, image: Tensor) -> Tensor:
        image = F.pad(image, (0, image.shape[-1] % 2, 0, image.shape[-2] % 2))
        # Swin's order of the four: rows change fastest, then columns, then channels.
        blocks = image.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (B, D, h, 2, w, 2)
        return blocks.permute(0, 5, 3, 1, 2, 4).flatten(1, 3)

    def project(self, x: Tensor) -> Tensor:
        return self.proj(self.norm(x))


@register_downsample("conv")
class ConvDownsample(Downsample):
    """A 3 x 3 convolution of stride 2, then a norm: neighbouring tokens share pixels.

    Args:
        dim: channels coming in.
        out_dim: channels going out.
        padding: borders, ``"zeros"`` or ``"circular"``.
        eps: of the norm.
        norm: of `NORMS`.

    Source:
        Wang et al. 2022 (PVT v2), overlapping patch embedding.
    """

    decimation = 1  # `blur_strides` sees the convolution itself

    def __init__(
        self, dim: int, out_dim: int, padding: str, eps: float = 1e-6, norm: str = "token"
    ) -> None:
        super().__init__()
        self.padding = padding
        self.conv = nn.Conv2d(dim, out_dim, 3, stride=2)
        self.norm = make_norm(norm, out_dim, eps)
        self.symmetry = Symmetry(2, circular=padding == "circular")

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(context.dim, context.out_dim, context.padding, context.norm_eps, context.norm)

    def halve(self, image: Tensor) -> Tensor:
        return self.conv(pad_map(image, 1, self.padding))

    def project(self, x: Tensor) -> Tensor:
        return self.norm(x)


class _PooledDownsample(Downsample):
    """A fixed decimation of each channel, then norm and linear map."""

    def __init__(self, dim: int, out_dim: int, eps: float, norm: str) -> None:
        super().__init__()
        self.norm = make_norm(norm, dim, eps)
        self.proj = nn.Linear(dim, out_dim)

    def project(self, x: Tensor) -> Tensor:
        return self.proj(self.norm(x))


@register_downsample("pool")
class PoolDownsample(_PooledDownsample):
    """Maximum over 2 x 2 tokens, then a norm and a linear map.

    Args:
        dim: channels coming in.
        out_dim: channels going out.
        eps: of the norm.
        norm: of `NORMS`.

    Source:
        Fan et al. 2021 (MViT), who found max and convolutional pooling close.
    """

    def __init__(self, dim: int, out_dim: int, eps: float = 1e-6, norm: str = "token") -> None:
        super().__init__(dim, out_dim, eps, norm)
        self.symmetry = Symmetry(2)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(context.dim, context.out_dim, context.norm_eps, context.norm)

    def halve(self, image: Tensor) -> Tensor:
        return F.max_pool2d(image, 2, ceil_mode=True)


@register_downsample("blur_pool")
class BlurPoolDownsample(_PooledDownsample):
    """Blur pooling: a binomial low-pass of five taps against aliasing, then every second token.

    A norm and a linear map follow.

    Args:
        dim: channels coming in.
        out_dim: channels going out.
        padding: borders, ``"zeros"`` or ``"circular"``.
        eps: of the norm.
        norm: of `NORMS`.

    Source:
        Zhang 2019 ("Making convolutional networks shift-invariant again").
    """

    decimation = 1

    def __init__(
        self, dim: int, out_dim: int, padding: str, eps: float = 1e-6, norm: str = "token"
    ) -> None:
        super().__init__(dim, out_dim, eps, norm)
        self.blur = Decimation(5, padding)
        self.symmetry = Symmetry(2, circular=padding == "circular")

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(context.dim, context.out_dim, context.padding, context.norm_eps, context.norm)

    def halve(self, image: Tensor) -> Tensor:
        return self.blur(image)


@register_downsample("band_limited")
class BandLimitedDownsample(Downsample):
    """Low-pass to the Nyquist frequency of the smaller grid (`decimate`), then norm and linear map.

    Args:
        dim: channels coming in.
        out_dim: channels going out.
        low_pass: of `LOW_PASSES`.
        padding: borders of the short low-pass.
        eps: of the norm.
        norm: of `NORMS`.
    """

    def __init__(
        self,
        dim: int,
        out_dim: int,
        low_pass: str = "ideal",
        padding: str = "circular",
        eps: float = 1e-6,
        norm: str = "map",
    ) -> None:
        super().__init__()
        self.filter, self.padding = low_pass, padding
        self.norm = make_norm(norm, dim, eps)
        self.proj = nn.Linear(dim, out_dim)
        # A norm of each token of the smaller grid keeps that grid's steps only.
        exact = low_pass == "ideal" and norm_symmetry(norm).alias_free
        circular = low_pass != "short" or padding == "circular"
        self.symmetry = Symmetry(1 if exact else 2, circular, alias_free=exact)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(
            context.dim,
            context.out_dim,
            context.low_pass,
            context.padding,
            context.norm_eps,
            context.norm,
        )

    def halve(self, image: Tensor) -> Tensor:
        return decimate(image, 2, self.filter, self.padding == "circular")

    def project(self, x: Tensor) -> Tensor:
        return self.proj(self.norm(x))


class _SubbandDownsample(Downsample):
    """Norm of every token, subbands of the map, one linear map of them.

    The norm comes first, so that what follows it is linear: for Haar a convolution of kernel and
    stride 2, which `Backbone.fold` makes of it.
    """

    kept: int  # subbands, in PyWavelets' order

    def __init__(
        self,
        dim: int,
        out_dim: int,
        wavelet: str = "haar",
        eps: float = 1e-6,
        norm: str = "token",
    ) -> None:
        super().__init__()
        self.wavelet = wavelet
        self.norm = make_norm(norm, dim, eps)
        self.proj = nn.Linear(self.kept * dim, out_dim)
        self.symmetry = Symmetry(2)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(context.dim, context.out_dim, context.wavelet, context.norm_eps, context.norm)

    def transform(self, image: Tensor) -> Tensor:
        """Maps (B, D, H, W) to their subbands (B, D, 4, h, w)."""
        return dwt2(image, self.wavelet)

    def halve(self, image: Tensor) -> Tensor:
        normed = self.norm(image.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        # Bands before channels: the order that channels-last coefficients have in memory.
        return self.transform(normed)[:, :, : self.kept].transpose(1, 2).flatten(1, 2)

    def project(self, x: Tensor) -> Tensor:
        return self.proj(x)


@register_downsample("dwt")
class DWTDownsample(_SubbandDownsample):
    """All four wavelet subbands of the normalised map, then a linear map: nothing is dropped.

    For Haar this is Swin's patch merging in rotated coordinates with the norm before it; other
    filters overlap and do more.

    Args:
        dim: channels coming in.
        out_dim: channels going out.
        wavelet: name of the filter.
        eps: of the norm.
        norm: of `NORMS`.
    """

    kept = 4

    def simplified(self) -> nn.Module | None:
        """One map of 2 x 2 tokens side by side, for Haar."""
        return MergedDownsample(self) if self.wavelet == "haar" else None


# The filters that lifting steps can start as, by their names as wavelets.
_LIFTING_STARTS = {"haar": "haar", "db1": "haar", "bior2.2": "cdf5/3"}


@register_downsample("lifting")
class LiftingDownsample(_SubbandDownsample):
    """`DWTDownsample` with a learned wavelet: lifting steps, one filter for each channel.

    For all weights the four bands determine the normalised map (on even sides), so only the linear
    map can lose information.

    Args:
        dim: channels coming in.
        out_dim: channels going out.
        wavelet: initial wavelet: ``"haar"`` or ``"bior2.2"`` (CDF 5/3).
        eps: of the norm.
        norm: of `NORMS`.

    Raises:
        ValueError: another wavelet.

    Guarantees:
        As built, equal to `DWTDownsample` of the same wavelet and weights; its lifting inverts
        for all weights (tests/properties/test_tokenizer_laws.py, test_lifting_laws.py).
    """

    kept = 4

    def __init__(
        self,
        dim: int,
        out_dim: int,
        wavelet: str = "haar",
        eps: float = 1e-6,
        norm: str = "token",
    ) -> None:
        super().__init__(dim, out_dim, wavelet, eps, norm)
        if wavelet not in _LIFTING_STARTS:
            fail(
                "wavelet", "'haar' or 'bior2.2', from which lifting steps can start", repr(wavelet)
            )
        self.lifting = Lifting(dim, _LIFTING_STARTS[wavelet])

    def transform(self, image: Tensor) -> Tensor:
        return self.lifting(image)


@register_downsample("dwt_ll")
class LowPassDownsample(_SubbandDownsample):
    """The approximation band alone: the details of the map are dropped.

    Args:
        dim: channels coming in.
        out_dim: channels going out.
        wavelet: name of the filter.
        eps: of the norm.
        norm: of `NORMS`.
    """

    kept = 1

    def simplified(self) -> nn.Module | None:
        """One map of 2 x 2 tokens side by side, for Haar."""
        return MergedDownsample(self) if self.wavelet == "haar" else None
