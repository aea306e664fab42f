"""From the grid of one stage to that of the next: tokens on (h, w) to (⌈h/2⌉, ⌈w/2⌉)."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.band_limit import resample
from wavevit.layers.norms import make_norm
from wavevit.layers.padding import pad_map
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.wavelets import dwt2

__all__ = [
    "BandLimitedDownsample",
    "BlurPoolDownsample",
    "ConvDownsample",
    "DWTDownsample",
    "Downsample",
    "LowPassDownsample",
    "PatchMerging",
    "PoolDownsample",
]


class Downsample(Part, ABC):
    """Halves both sides: `halve` makes the smaller map, the rest is the same for all."""

    @abstractmethod
    def halve(self, image: Tensor) -> Tensor:
        """Map (B, D, h, w) to (B, D', ⌈h/2⌉, ⌈w/2⌉)."""

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """Tokens (B, N, D') to (B, N, out_dim)."""

    def forward(self, x: Tensor, grid: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        """Tokens (B, h·w, D) on grid (h, w) to the smaller ones and their grid."""
        smaller = self.halve(x.transpose(1, 2).unflatten(2, grid))
        grid = (smaller.shape[-2], smaller.shape[-1])
        return self.project(smaller.flatten(2).transpose(1, 2)), grid


class PatchMerging(Downsample):
    """Four neighbours side by side, normalised, mapped linearly; odd sides get zeros.

    Source:
        Liu et al. 2021 (Swin), section 3.1.
    """

    def __init__(self, dim: int, out_dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim, eps=eps)
        self.proj = nn.Linear(4 * dim, out_dim, bias=False)
        self.symmetry = Symmetry(2)

    def halve(self, image: Tensor) -> Tensor:
        image = F.pad(image, (0, image.shape[-1] % 2, 0, image.shape[-2] % 2))
        # Swin's order of the four: rows change fastest, then columns, then channels.
        blocks = image.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (B, D, h, 2, w, 2)
        return blocks.permute(0, 5, 3, 1, 2, 4).flatten(1, 3)

    def project(self, x: Tensor) -> Tensor:
        return self.proj(self.norm(x))


class ConvDownsample(Downsample):
    """A 3 x 3 convolution of stride 2, then a norm: neighbouring tokens share pixels.

    Source:
        Wang et al. 2022 (PVT v2), overlapping patch embedding.
    """

    def __init__(self, dim: int, out_dim: int, padding: str, eps: float = 1e-6) -> None:
        super().__init__()
        self.border = padding
        self.conv = nn.Conv2d(dim, out_dim, 3, stride=2)
        self.norm = nn.LayerNorm(out_dim, eps=eps)
        self.symmetry = Symmetry(2, circular=padding == "circular")

    def halve(self, image: Tensor) -> Tensor:
        return self.conv(pad_map(image, 1, self.border))

    def project(self, x: Tensor) -> Tensor:
        return self.norm(x)


class _PooledDownsample(Downsample):
    """A fixed decimation of each channel, then norm and linear map."""

    def __init__(self, dim: int, out_dim: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.proj = nn.Linear(dim, out_dim)

    def project(self, x: Tensor) -> Tensor:
        return self.proj(self.norm(x))


class PoolDownsample(_PooledDownsample):
    """Maximum over 2 x 2 tokens: MViT's way of pooling, without parameters of its own.

    Source:
        Fan et al. 2021 (MViT), who found max and convolutional pooling close.
    """

    def __init__(self, dim: int, out_dim: int, eps: float = 1e-6) -> None:
        super().__init__(dim, out_dim, eps)
        self.symmetry = Symmetry(2)

    def halve(self, image: Tensor) -> Tensor:
        return F.max_pool2d(image, 2, ceil_mode=True)


class BlurPoolDownsample(_PooledDownsample):
    """A binomial low-pass of five taps, then every second token: what aliases is damped first.

    Source:
        Zhang 2019 ("Making convolutional networks shift-invariant again").
    """

    def __init__(self, dim: int, out_dim: int, padding: str, eps: float = 1e-6) -> None:
        super().__init__(dim, out_dim, eps)
        self.border = padding
        self.symmetry = Symmetry(2, circular=padding == "circular")
        self.register_buffer("kernel", torch.empty(1, 1, 5, 5), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fills the fixed filter: after `to_empty` of a model that was made on ``meta``."""
        taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
        self.kernel: Tensor
        with torch.no_grad():
            self.kernel.copy_(torch.outer(taps, taps)[None, None])

    def halve(self, image: Tensor) -> Tensor:
        kernel = self.kernel.to(image.dtype).expand(image.shape[1], 1, 5, 5)
        return F.conv2d(pad_map(image, 2, self.border), kernel, stride=2, groups=image.shape[1])


class BandLimitedDownsample(Downsample):
    """What the smaller grid can hold of each channel (`resample`), then norm and linear map.

    Args:
        dim: channels coming in.
        out_dim: channels going out.
        low_pass: remove what would alias; False takes every second token as it is.
        eps: of the norm.
        norm: of `NORMS`.
    """

    def __init__(
        self, dim: int, out_dim: int, low_pass: bool = True, eps: float = 1e-6, norm: str = "map"
    ) -> None:
        super().__init__()
        self.low_pass = low_pass
        self.norm = make_norm(norm, dim, eps)
        self.proj = nn.Linear(dim, out_dim)
        # A norm of each token of the smaller grid keeps that grid's steps only.
        self.symmetry = Symmetry(1, alias_free=True) if low_pass and norm == "map" else Symmetry(2)

    def halve(self, image: Tensor) -> Tensor:
        if not self.low_pass:
            return image[..., ::2, ::2]
        return resample(image, (-(-image.shape[-2] // 2), -(-image.shape[-1] // 2)))

    def project(self, x: Tensor) -> Tensor:
        return self.proj(self.norm(x))


class DWTDownsample(Downsample):
    """All four subbands of the map, normalised, mapped linearly: nothing is thrown away.

    For Haar this is Swin's patch merging in rotated coordinates (a LayerNorm over the four
    bands in place of the four neighbours); other filters overlap and do more.

    Args:
        dim: channels coming in.
        out_dim: channels going out.
        wavelet: name of the filter.
        eps: of the norm.
    """

    def __init__(self, dim: int, out_dim: int, wavelet: str = "haar", eps: float = 1e-6) -> None:
        super().__init__()
        self.wavelet = wavelet
        self.norm = nn.LayerNorm(4 * dim, eps=eps)
        self.proj = nn.Linear(4 * dim, out_dim)
        self.symmetry = Symmetry(2)

    def halve(self, image: Tensor) -> Tensor:
        return dwt2(image, self.wavelet).flatten(1, 2)

    def project(self, x: Tensor) -> Tensor:
        return self.proj(self.norm(x))


class LowPassDownsample(_PooledDownsample):
    """The approximation band alone: the details of the map are dropped.

    Args:
        dim: channels coming in.
        out_dim: channels going out.
        wavelet: name of the filter.
        eps: of the norm.
    """

    def __init__(self, dim: int, out_dim: int, wavelet: str = "haar", eps: float = 1e-6) -> None:
        super().__init__(dim, out_dim, eps)
        self.wavelet = wavelet
        self.symmetry = Symmetry(2)

    def halve(self, image: Tensor) -> Tensor:
        return dwt2(image, self.wavelet)[:, :, 0]
