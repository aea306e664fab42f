"""Middles of the bundled photographs, as the models of benchmarks see them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wavevit.data.photographs import NAMES, load_photograph
from wavevit.measure import center_crop


def middles(
    side: int,
    names: Sequence[str] = NAMES,
    short_side: int = 160,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Grey windows (N, 1, side, side), about zero and of about unit variance, of photographs that
    are first reduced to this shorter side."""
    views = [
        center_crop(load_photograph(name, short_side)[None, None], (side, side)) for name in names
    ]
    return (torch.cat(views).to(dtype) - 0.5) / 0.25
