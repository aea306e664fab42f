"""Peak memory against hand counts; exponents of known powers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wavevit.measure import growth_exponent, peak_activation_bytes


def test_what_is_freed_is_not_counted() -> None:
    x = torch.zeros(1, 1, 16, 16)
    size = 4 * 256

    def chain(x: torch.Tensor) -> torch.Tensor:
        for _ in range(5):
            x = x + 1  # the sum and what it is made from: two at a time, the image not counted
        return x

    assert peak_activation_bytes(chain, x) == 2 * size
    assert peak_activation_bytes(lambda x: [x + i for i in range(5)], x) == 5 * size
    assert peak_activation_bytes(lambda x: x[..., :8].flatten(), x) == size // 2
    assert peak_activation_bytes(lambda x: x.view(-1)[3:], x) == 0


def test_weights_are_not_counted() -> None:
    layer = nn.Sequential(nn.Linear(64, 8), nn.Linear(8, 64)).train()
    assert peak_activation_bytes(layer, torch.zeros(5, 64)) == 4 * 5 * (8 + 64)
    assert layer.training


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
def test_exponent_of_a_power(power: float) -> None:
    costs = {side: 3.0 * (side * side) ** power for side in (224, 448, 896)}
    assert growth_exponent(costs) == pytest.approx(power)


def test_one_size_does_not_grow() -> None:
    with pytest.raises(ValueError, match="costs: expected at least two image sizes, got 1"):
        growth_exponent({224: 1.0})
