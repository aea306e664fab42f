"""Borders of convolutions and of images whose sides no patch divides."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_choice

__all__ = ["PADDINGS", "DepthwiseConv", "pad_map", "pad_to_multiple"]

PADDINGS = ("zeros", "circular")


def pad_map(x: Tensor, amount: int, padding: str) -> Tensor:
    """Pads (…, H, W) by `amount` on all four sides with zeros or with the opposite side."""
    if amount == 0:
        return x
    if padding == "zeros":
        return F.pad(x, (amount,) * 4)
    height, width = x.shape[-2:]
    if amount <= min(height, width):
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


class DepthwiseConv(nn.Conv2d):
    """A depthwise convolution of odd kernel that keeps the size and knows both paddings."""

    def __init__(self, dim: int, kernel_size: int, padding: str, bias: bool = True) -> None:
        check_choice("padding", padding, PADDINGS)
        reach = kernel_size // 2
        outside = reach if padding == "zeros" else 0
        super().__init__(dim, dim, kernel_size, groups=dim, bias=bias, padding=outside)
        self.border, self.reach = padding, reach - outside

    def forward(self, x: Tensor) -> Tensor:
        # Depthwise kernels on CPUs are 2 to 7 times faster in this layout, backward above all; a
        # map of tokens has it already.
        x = x.contiguous(memory_format=torch.channels_last)
        return super().forward(pad_map(x, self.reach, self.border))
