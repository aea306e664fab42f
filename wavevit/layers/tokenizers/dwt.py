"""Wavelet-packet tokenizer: each patch as wavelet coefficients, with gains and GELU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import fail
from wavevit.layers.channels import Source
from wavevit.layers.context import PartContext
from wavevit.layers.options import NoOptions
from wavevit.layers.registry import register_tokenizer
from wavevit.layers.symmetry import Symmetry
from wavevit.layers.tokenizers.patch import PatchTokenizer
from wavevit.layers.tokenizers.subbands import SubbandTokenizer, levels_of
from wavevit.wavelets import iwavepacket2, wavepacket2

__all__ = ["PacketTokenizer", "packet_octaves"]


def packet_octaves(level: int) -> list[int]:
    """For each band of a packet, the number of low-pass steps before its first high-pass one."""
    digits = [[(band >> 2 * (level - 1 - i)) & 3 for i in range(level)] for band in range(4**level)]
    return [next((i for i, digit in enumerate(path) if digit), level) for path in digits]


@register_tokenizer("dwt")
class PacketTokenizer(SubbandTokenizer):
    """Haar packet of each patch, each subband normalised, a pointwise GELU, then a linear map.

    With Haar filters, no normalisation and no GELU this is a patch convolution in rotated
    coordinates (see `wavevit.unfold`): the same function class. Each of the three changes that.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of a token.
        patch_size: side of a patch in pixels, a power of two.
        wavelet: name of the filter.
        subband_norm: normalise each subband (`SubbandNorm`).
        subband_act: apply GELU to each coefficient before the projection.

    Raises:
        ValueError: a patch size that is no power of two.

    Source:
        The packet patcher of Cosmos (NVIDIA 2025) is the linear part at two levels; the
        normalisation and the non-linearity are ours.
    """

    def __init__(
        self,
        in_chans: int,
        embed_dim: int,
        patch_size: int,
        wavelet: str = "haar",
        subband_norm: bool = True,
        subband_act: bool = True,
    ) -> None:
        level = levels_of(patch_size, "dwt", minimum=1)
        super().__init__(in_chans, embed_dim, packet_octaves(level), subband_norm)
        self.level, self.wavelet, self.act = level, wavelet, subband_act
        self.decimation = patch_size
        self.low_pass: nn.Module = nn.Identity()  # a slot for `blur_strides`
        self.symmetry = Symmetry(patch_size)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(
            context.in_chans,
            context.dim,
            context.patch_size,
            context.wavelet,
            context.subband_norm,
            context.subband_act,
        )

    def analyse(self, x: Tensor) -> Tensor:
        return wavepacket2(self.low_pass(x), self.wavelet, level=self.level).flatten(1, 2)

    @property
    def _is_linear_after_gains(self) -> bool:
        return not self.act

    def patch_kernel(self) -> Tensor | None:
        """The kernel (D, C, P, P) of the patch convolution that it is; None if it is none."""
        if not isinstance(self.norm, nn.Identity) or self.act or self.wavelet != "haar":
            return None
        weight = self.proj.weight.detach()
        return iwavepacket2(weight.unflatten(1, (self.in_chans, -1)))

    @torch.no_grad()
    def simplified(self) -> PatchTokenizer | None:
        """The patch convolution that it is, without normalisation, activation and low-pass."""
        kernel = self.patch_kernel()
        if kernel is None or not isinstance(self.low_pass, nn.Identity):
            return None
        dim, channels, patch, _ = kernel.shape
        tokenizer = PatchTokenizer(channels, dim, patch).to(kernel)
        tokenizer.proj.weight.copy_(kernel)
        assert tokenizer.proj.bias is not None
        assert self.proj.bias is not None
        tokenizer.proj.bias.copy_(self.proj.bias)
        return tokenizer

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """Channels fitted by `fit_subbands`.

        Raises:
            ValueError: the number of channels is unknown, and a patch twice as large with a quarter
                of them has as many subbands.
        """
        weight = state.get("proj.weight")
        if source.channels is None and weight is not None and weight.ndim == 4:
            found, left = divmod(weight.shape[1], self.bands)
            if left == 0 and found != self.in_chans and found % 4 == 0:
                expected = f"the channels of the checkpoint's images ({found}, or {found // 4} with"
                fail("in_chans", f"{expected} patches twice as large)", None)
        return super().adapt_state(state, source)

    def activate(self, bands: Tensor) -> Tensor:
        return F.gelu(bands) if self.act else bands

    def linear_part(self, x: Tensor) -> Tensor:
        """Packet and gains, and the projection where no GELU comes before it."""
        bands = self.norm(self.analyse(x))
        return bands if self.act else self.proj(bands)
