"""Rules for downsampling layers, activations and MLPs, held against the Jacobian at drawn maps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, target
from hypothesis import strategies as st
from torch import Tensor, nn

from wavevit.layers.activations import Gelu, OversampledGelu
from wavevit.layers.blocks import ConvMlp, Mlp
from wavevit.layers.downsample import (
    BandLimitedDownsample,
    BlurPoolDownsample,
    ConvDownsample,
    DWTDownsample,
    LowPassDownsample,
    PatchMerging,
    PoolDownsample,
)
from wavevit.layers.merged_downsample import MergedDownsample
from wavevit.measure import NoLipschitzBound
from wavevit.measure.certify import lipschitz_at, lipschitz_of

GRIDS = ((1, 1), (1, 2), (2, 2), (3, 1), (3, 4), (4, 4), (5, 3))
PADDINGS = ("zeros", "circular")
MADE = {
    "patch merging": lambda: PatchMerging(2, 3, norm="center"),
    "pool": lambda: PoolDownsample(2, 3, norm="center"),
    **{f"conv, {p}": lambda p=p: ConvDownsample(2, 3, p, norm="center") for p in PADDINGS},
    **{f"blur, {p}": lambda p=p: BlurPoolDownsample(2, 3, p, norm="center") for p in PADDINGS},
    **{
        f"band-limited, {low}, {p}": lambda low=low, p=p: BandLimitedDownsample(
            2, 3, low, p, norm="center"
        )
        for low, p in (("ideal", "circular"), ("none", "zeros"), ("short", "zeros"))
    },
    **{
        f"{kind.__name__} {wavelet}": lambda kind=kind, wavelet=wavelet: kind(
            2, 3, wavelet, norm="center"
        )
        for kind in (DWTDownsample, LowPassDownsample)
        for wavelet in ("haar", "db2", "bior2.2")
    },
    "merged": lambda: MergedDownsample(DWTDownsample(2, 3, norm="center")),
    "gelu": Gelu,
    "gelu_2x": OversampledGelu,
    "mlp": lambda: Mlp(2, 3),
    **{f"conv mlp, {p}": lambda p=p: ConvMlp(2, 3, p) for p in PADDINGS},
}
# How much larger than the steepest slope that was found the constant may be.
SLACK = {
    "DWTDownsample": 2,
    "pool": 2,
    "blur": 4,
    "conv": 5,
    "mlp": 3,
    "band-limited": 2,
    "LowPassDownsample": 3,
}


def built(name: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    made = MADE[name]().double().eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    return made.requires_grad_(False)


def slope(module: nn.Module, grid: tuple[int, int], seed: int) -> float:
    """Spectral norm of the Jacobian at a drawn map."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.randn(1, grid[0] * grid[1], 2, dtype=torch.float64, generator=generator)

    def tokens(x: Tensor) -> Tensor:
        found = module(x, grid)
        return found[0] if isinstance(found, tuple) else found

    jacobian = torch.autograd.functional.jacobian(tokens, x)
    assert isinstance(jacobian, Tensor)
    return float(torch.linalg.matrix_norm(jacobian.reshape(-1, x.numel()), 2))


@pytest.mark.parametrize("name", MADE)
@settings(max_examples=settings().max_examples // 2)
@given(weights=st.integers(0, 2**31), seed=st.integers(0, 2**31), grid=st.sampled_from(GRIDS))
def test_no_slope_exceeds_the_constant(
    name: str, weights: int, seed: int, grid: tuple[int, int]
) -> None:
    module = built(name, weights)
    steepest = slope(module, grid, seed)
    constant = lipschitz_at(module, grid).value
    target(steepest / constant)
    assert steepest <= constant * (1 + 1e-9)
    if "short" in name:
        with pytest.raises(NoLipschitzBound, match="low-pass, whose norm depends on the grid"):
            lipschitz_of(module)
    else:
        assert steepest <= lipschitz_of(module) * (1 + 1e-9)


def test_a_smaller_constant_is_broken() -> None:
    """Negative control: the slopes found come within a known factor of every constant."""
    for name in MADE:
        slack = SLACK.get(name.replace(",", "").split()[0], 1.5)
        shares = []
        for seed in range(20):
            module = built(name, seed)
            shares.append(slope(module, (4, 4), seed) / lipschitz_at(module, (4, 4)).value)
        assert max(shares) > 1 / slack, (name, max(shares))
