"""From the grid of one stage to that of the next."""

from __future__ import annotations

from torch import Tensor, nn

from wavevit.layers.symmetry import Part, Symmetry
from wavevit.wavelets import dwt2

__all__ = ["DWTDownsample"]


class DWTDownsample(Part):
    """All four subbands of the map, normalised, mapped linearly: nothing is thrown away.

    For Haar this is Swin's patch merging in rotated coordinates (a LayerNorm over the four
    bands in place of the four neighbours); other filters overlap and do more.

    Args:
        dim: channels coming in.
        out_dim: channels going out.
        wavelet: name of the filter.
    """

    symmetry = Symmetry(2)

    def __init__(self, dim: int, out_dim: int, wavelet: str = "haar", eps: float = 1e-6) -> None:
        super().__init__()
        self.wavelet = wavelet
        self.norm = nn.LayerNorm(4 * dim, eps=eps)
        self.proj = nn.Linear(4 * dim, out_dim)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        """Tokens (B, h·w, D) on grid (h, w) to (B, ⌈h/2⌉·⌈w/2⌉, D') and the new grid."""
        bands = dwt2(x.transpose(1, 2).unflatten(2, grid), self.wavelet)
        grid = (bands.shape[-2], bands.shape[-1])
        return self.proj(self.norm(bands.flatten(1, 2).flatten(2).transpose(1, 2))), grid
