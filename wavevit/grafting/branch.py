"""`GraftBranch`: a wavelet tokenizer beside a patch embedding, with a zero-initialised map."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.alignment import LowPass
from wavevit.checks import fail
from wavevit.grafting.options import GraftOptions
from wavevit.grafting.resample import next_power_of_two, resample_patches
from wavevit.layers import TOKENIZERS, PartContext
from wavevit.layers.fx_leaf import FxLeaf
from wavevit.layers.tokenizers.subbands import SubbandTokenizer

__all__ = ["GatedLowPass", "GraftBranch"]


class GatedLowPass(FxLeaf):
    """Mixes an image with its low-pass; the share of the low-pass is learned and starts at 0.

    Args:
        stride: of the low-pass in pixels, see `wavevit.alignment.LowPass`.
        padding: ``"circular"``, or ``"zeros"``, for which the image repeats its border pixels.
    """

    def __init__(self, stride: int, padding: str) -> None:
        super().__init__()
        boundary = "circular" if padding == "circular" else "window"
        self.low_pass = LowPass((stride, stride), boundary)
        # Not a scalar: FSDP refuses parameters of shape ().
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return x + self.gate.to(x.dtype) * (self.low_pass(x) - x)


class GraftBranch(FxLeaf):
    """What `wavevit.graft` adds to a patch embedding: tokens of a registered tokenizer.

    A patch whose side is no power of two is resampled to the next power of two on each axis
    (14 x 14 pixels to 16 x 16), because the transforms halve the image. The tokens of the branch
    are then on the grid of the patch embedding for every patch, and a circular shift by the patch
    is a shift by one token. (On a grid of its own, of 16 pixels, the branch would not commute with
    shifts by 14 pixels.) A tokenizer that takes every stride reads the image without resampling.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of the patch embedding's tokens.
        patch: rows and columns of a patch in pixels.
        grid: rows and columns of tokens at the training size.
        options: the tokenizer and its options.

    Attributes:
        options: as given.
        tokenizer: images to tokens of `options.width` channels.
        proj: linear map to `embed_dim` channels; zero at the start.
        stride: pixels of a patch that the tokenizer reads on each axis.
        beside: name of the embedding's convolution, whose stride is the patch.
        low_pass: what the patch embedding itself reads the image through: a `GatedLowPass`, or
            the identity.

    Raises:
        ValueError: a tokenizer that cannot be built at this patch, or whose tokens are on another
            grid.
    """

    def __init__(
        self,
        in_chans: int,
        embed_dim: int,
        patch: tuple[int, int],
        grid: tuple[int, int],
        options: GraftOptions,
    ) -> None:
        super().__init__()
        self.options, self.in_chans, self.beside = options, in_chans, ""
        kind = TOKENIZERS.get(options.tokenizer)
        square = patch[0] == patch[1]
        self.stride = patch[0] if kind.any_patch and square else next_power_of_two(max(patch))
        width = options.width or embed_dim
        context = PartContext(
            in_chans=in_chans,
            dim=width,
            out_dim=width,
            patch_size=self.stride,
            grid=grid,
            padding=options.padding,
            wavelet=options.wavelet,
            subband_norm=options.subband_norm,
            subband_act=options.subband_act,
        )
        self.tokenizer = kind.build(context, options.tokenizer_options)
        self.tokenizer.reset_parameters()
        self.proj = nn.Linear(width, embed_dim)
        nn.init.zeros_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)
        self.low_pass: nn.Module = nn.Identity()
        if options.lowpass is not None:
            self.low_pass = GatedLowPass(options.lowpass, options.padding)
        self._check_grid(width)

    @torch.no_grad()
    def _check_grid(self, width: int) -> None:
        """Refuses a tokenizer whose tokens are not one for each patch."""
        if self.proj.weight.is_meta:
            return
        training = self.training
        image = self.proj.weight.new_zeros(1, self.in_chans, 2 * self.stride, 3 * self.stride)
        found = self.tokenizer.eval()(image)
        self.tokenizer.train(training)
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        if shape != (1, 2, 3, width):
            expected = f"a tokenizer of 2 x 3 patches to shape {(1, 2, 3, width)}"
            fail("tokenizer", expected, f"{self.options.tokenizer!r}, which gives {shape}")

    def kept_period(self, patch: int) -> int | None:
        """Shift period of the branch in pixels, for square patches."""
        if self.options.padding != "circular":
            return None
        kept = self.tokenizer.symmetry.lockable_period
        if kept is None or patch == self.stride:
            return kept
        return math.lcm(kept, self.stride) // self.stride * patch  # resampling keeps whole patches

    def whole_patches(self, x: Tensor, patch: tuple[int, int], pad: bool) -> Tensor:
        """The pixels that become tokens: cropped to whole patches, or with repeated borders."""
        if pad:
            missing = (-x.shape[-1] % patch[1], -x.shape[-2] % patch[0])
            if missing == (0, 0):
                return x
            return F.pad(x, (0, missing[0], 0, missing[1]), mode="replicate")
        height, width = x.shape[-2:]
        return x[..., : height - height % patch[0], : width - width % patch[1]]

    def pixels(self, x: Tensor, patch: tuple[int, int], pad: bool = False) -> Tensor:
        """The image that the tokenizer reads, `stride` pixels for each patch on both axes."""
        x = self.whole_patches(x, patch, pad)
        return resample_patches(x, patch, (self.stride, self.stride), self.options.padding)

    def forward(self, x: Tensor, patch: tuple[int, int], pad: bool = False) -> Tensor:
        """Images (B, C, H, W) to what is added to the tokens, (B, h, w, D).

        Args:
            x: images.
            patch: rows and columns of a patch in pixels.
            pad: whether the last row and column of tokens may reach beyond the image; else pixels
                that fill no patch are left out.
        """
        pixels = self.pixels(x, patch, pad)
        if isinstance(self.tokenizer, SubbandTokenizer):
            return self.tokenizer.followed_by(pixels, self.proj)
        tokens: Tensor = self.proj(self.tokenizer(pixels))
        return tokens

    def extra_repr(self) -> str:
        return f"stride={self.stride}"
