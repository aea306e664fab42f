"""Padding of convolutions, and of images whose sides the patch does not divide."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_choice
from wavevit.layers.old_bounds import OldBounds
from wavevit.wavelets._engine.depthwise import depthwise
from wavevit.wavelets._engine.torch_private import transforms_active

__all__ = ["PADDINGS", "DepthwiseConv", "pad_map", "pad_to_least", "pad_to_multiple"]

PADDINGS = ("zeros", "circular")


def pad_map(x: Tensor, amount: int, padding: str) -> Tensor:
    """Pads (B, C, H, W) by `amount` on all four sides.

    Args:
        x: maps.
        amount: samples on each side.
        padding: ``"zeros"``, ``"circular"`` (the opposite side) or ``"replicate"`` (the border).
    """
    if amount == 0:
        return x
    if padding == "zeros":
        return F.pad(x, (amount,) * 4)
    if padding == "replicate":
        return F.pad(x, (amount,) * 4, mode="replicate")
    height, width = x.shape[-2:]
    if amount <= height and amount <= width:
        # Not F.pad, which gives planes: a map of tokens stays channels-last.
        x = torch.cat([x[..., -amount:, :], x, x[..., :amount, :]], dim=-2)
        return torch.cat([x[..., -amount:], x, x[..., :amount]], dim=-1)
    # A map smaller than the kernel goes round the circle more than once, which F.pad refuses.
    rows = torch.arange(-amount, height + amount, device=x.device) % height
    columns = torch.arange(-amount, width + amount, device=x.device) % width
    return x[..., rows[:, None], columns]


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Repeats the bottom and right edge of images until `multiple` divides both sides."""
    height, width = x.shape[-2:]
    missing = (-width % multiple, -height % multiple)
    if missing == (0, 0):
        return x
    return F.pad(x, (0, missing[0], 0, missing[1]), mode="replicate")


def pad_to_least(x: Tensor, side: int) -> Tensor:
    """Repeats the bottom and right edge of maps until no side is shorter than `side`."""
    missing = (max(side - x.shape[-1], 0), max(side - x.shape[-2], 0))
    if missing == (0, 0):
        return x
    return F.pad(x, (0, missing[0], 0, missing[1]), mode="replicate")


class DepthwiseConv(nn.Conv2d, OldBounds):
    """A depthwise convolution of odd kernel, (h, w) to (⌈h/stride⌉, ⌈w/stride⌉), both paddings."""

    def __init__(
        self, dim: int, kernel_size: int, padding: str, bias: bool = True, stride: int = 1
    ) -> None:
        check_choice("padding", padding, PADDINGS)
        reach = kernel_size // 2
        outside = reach if padding == "zeros" else 0
        super().__init__(
            dim, dim, kernel_size, stride=stride, groups=dim, bias=bias, padding=outside
        )
        self.map_padding, self.reach = padding, reach - outside

    def forward(self, x: Tensor) -> Tensor:
        if self.stride != (1, 1):
            return self._by_torch(x, self.weight, self.bias)
        circular = self.map_padding == "circular"
        return depthwise(x, self.weight, self.bias, circular, self._by_torch)

    def _by_torch(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # Depthwise kernels on CPUs are 2 to 7 times faster in this layout, backward above all; a
        # map of tokens has it already. `vmap` does not answer for a layout.
        if torch.compiler.is_compiling() or not transforms_active():
            x = x.contiguous(memory_format=torch.channels_last)
        return self._conv_forward(pad_map(x, self.reach, self.map_padding), weight, bias)
