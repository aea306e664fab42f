"""The small ViT that alignments are tried on, and the methods that are exact."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import wavevit
from wavevit.alignment import AlignedModel
from wavevit.testing.strategies import sizes

__all__ = ["EXACT", "PERIOD", "SIDES", "Patches", "aligned"]

EXACT: dict[str, dict[str, Any]] = {
    "polyphase": {},
    "phase_lock": {},
    "phase_lock fractional": {"shift": "fractional"},
    "phase_tree": {},
    "weighted_frame": {},
    "weighted_frame bounded": {"max_phases": 2},
    "group_average": {},
}
PERIOD = 4
SIDES = sizes(8, 20)  # some that the period divides, some that it does not


class Patches(nn.Module):
    """A small ViT: keeps shifts by 4, and by the whole image where 4 does not divide a side."""

    def __init__(self, dense: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        changes = {"position": "none", "pool": "avg", "patch_size": PERIOD, "in_chans": 2}
        self.vit = wavevit.create_model("test_vit", img_size=16, num_classes=5, **changes)
        self.dense = dense
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        if self.dense:
            return self.vit.forward_intermediates(x, indices=1, intermediates_only=True)[0]
        return self.vit(x)


def aligned(name: str, dense: bool = False) -> AlignedModel:
    return wavevit.align(Patches(dense), name.split()[0], PERIOD, **EXACT[name])
