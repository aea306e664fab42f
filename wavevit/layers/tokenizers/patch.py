"""ViT's own tokenizer: one linear map of each square patch."""

from __future__ import annotations

from torch import Tensor, nn

from wavevit.layers.lipschitz import LipschitzConstant, lipschitz_of
from wavevit.layers.symmetry import Part, Symmetry

__all__ = ["PatchTokenizer"]


class PatchTokenizer(Part):
    """Cuts the image into patches and maps each linearly: a convolution of stride = kernel.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of a token.
        patch_size: side of a patch in pixels.

    Source:
        Dosovitskiy et al. 2021, section 3.1.
    """

    def __init__(self, in_chans: int, embed_dim: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_chans, embed_dim, patch_size, stride=patch_size)
        self.symmetry = Symmetry(patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W), sides divisible by the patch, to tokens (B, H/P, W/P, D)."""
        return self.proj(x).permute(0, 2, 3, 1)

    def lipschitz_bound(self, tokens: int | None = None) -> float:
        """The kernel's norm as a matrix: exact, because patches share no pixel."""
        return lipschitz_of(self.proj)

    def constant_at(self, size: tuple[int, int]) -> LipschitzConstant:
        """The same at every size."""
        return LipschitzConstant(self.lipschitz_bound(), exact=True)

    def linear_part(self, x: Tensor) -> Tensor:
        """All of it, (B, D, h, w)."""
        return self.proj(x)
