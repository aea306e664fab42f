"""The mixer of the pyramids' coarse grids: what it computes, and the shifts it keeps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.layers.mixers import LowPassAttention

GRID = (6, 8)


def mixer(padding: str = "circular") -> LowPassAttention:
    torch.manual_seed(0)
    return LowPassAttention(8, 2, padding=padding).double().eval()


def tokens() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, GRID[0] * GRID[1], 8, generator=generator, dtype=torch.float64)


def rolled(x: Tensor, shift: tuple[int, int]) -> Tensor:
    return torch.roll(x.unflatten(1, GRID), shift, dims=(1, 2)).flatten(1, 2)


def test_keys_and_values_are_those_of_the_mean_of_four() -> None:
    part, x = mixer(), tokens()
    with torch.no_grad():
        for parameter in part.bands.parameters():
            parameter.zero_()  # leaves the attention alone
        means = F.avg_pool2d(x.transpose(1, 2).unflatten(2, GRID), 2).flatten(2).transpose(1, 2)
        q, kv = part.q(x).unflatten(2, (2, 4)), part.kv(means).unflatten(2, (2, 2, 4))
        scores = torch.einsum("bnhd,bmhd->bhnm", q, kv[:, :, 0]) / 2
        mixed = torch.einsum("bhnm,bmhd->bnhd", scores.softmax(-1), kv[:, :, 1])
        torch.testing.assert_close(part(x, GRID), part.proj(mixed.flatten(2)))


def test_bands_that_pass_unchanged_add_the_tokens_themselves() -> None:
    part, x = mixer(), tokens()
    with torch.no_grad():
        part.kv.weight.zero_()
        part.kv.bias.zero_()  # leaves the local branch alone
        part.bands.weight.zero_()
        part.bands.weight[:, :, 1, 1] = 1
        part.bands.bias.zero_()
        torch.testing.assert_close(part(x, GRID), part.proj(x))


@pytest.mark.parametrize("shift", [(2, 0), (0, -2), (4, 2)])
def test_shifts_by_two_tokens_are_kept(shift: tuple[int, int]) -> None:
    part, x = mixer(), tokens()
    assert part.symmetry.lockable_period == 2
    with torch.no_grad():
        torch.testing.assert_close(part(rolled(x, shift), GRID), rolled(part(x, GRID), shift))


@pytest.mark.parametrize(("padding", "shift"), [("circular", (1, 0)), ("zeros", (2, 0))])
def test_negative_control_other_shifts_fail(padding: str, shift: tuple[int, int]) -> None:
    """Negative control: one token, or a border of zeros."""
    part, x = mixer(padding), tokens()
    with torch.no_grad():
        change = part(rolled(x, shift), GRID) - rolled(part(x, GRID), shift)
    assert float(change.abs().max()) > 1e-3
