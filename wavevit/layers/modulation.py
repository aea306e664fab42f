"""Block whose branches are shifted, scaled and gated by a condition (adaLN-Zero)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import fail
from wavevit.layers.blocks import Block

__all__ = ["ModulatedBlock"]


class ModulatedBlock(Block):
    """A `Block` with a condition: time, class, or both.

    ``x + gate · mixer(norm(x) · (1 + scale) + shift)``, and the same for the MLP. Shift, scale and
    gate of both branches are linear in the condition and start at 0: at the start the block is the
    identity, for every condition.

    Args:
        block: its layers are used, not copied; names of its parameters stay.
        dim: channels of a token.
        cond_dim: numbers of the condition.

    Guarantees:
        Identity at the start (tests/properties/test_diffusion_laws.py).

    Source:
        Peebles & Xie 2023 (DiT), adaLN-Zero.
    """

    def __init__(self, block: Block, dim: int, cond_dim: int) -> None:
        nn.Module.__init__(self)
        self.norm1, self.mixer, self.gain1 = block.norm1, block.mixer, block.gain1
        self.norm2, self.mlp, self.gain2 = block.norm2, block.mlp, block.gain2
        self.drop_path = block.drop_path
        self.modulation = nn.Linear(cond_dim, 6 * dim)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(
        self,
        x: Tensor,
        grid: tuple[int, int],
        attn_mask: Tensor | None = None,
        cond: Tensor | None = None,
    ) -> Tensor:
        """Tokens (B, N, D) on a grid (h, w) and a condition (B, E) to tokens of the same shape.

        Raises:
            ValueError: no condition.
        """
        if cond is None:
            fail("cond", "a condition (B, E) for a ModulatedBlock", None)
        steps = self.modulation(F.silu(cond))[:, None].chunk(6, dim=-1)
        shift1, scale1, gate1, shift2, scale2, gate2 = steps
        mask = () if attn_mask is None else (attn_mask,)
        moved = self.norm1(x) * (1 + scale1) + shift1
        x = x + gate1 * self.drop_path(self.gain1(self.mixer(moved, grid, *mask)))
        moved = self.norm2(x) * (1 + scale2) + shift2
        return x + gate2 * self.drop_path(self.gain2(self.mlp(moved, grid)))
