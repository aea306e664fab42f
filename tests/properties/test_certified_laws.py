"""Certified constants hold on every pair that a search can find, and are tight where they can be.

The search climbs: from a drawn image along the steepest direction of the Jacobian, at several
distances, and Hypothesis' `target` steers the next draw towards steeper ones. That it can break a
bound is seen where the bound is made too small.
"""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings, target
from hypothesis import strategies as st
from torch import Tensor, nn

import wavevit
from tests.properties.test_merge_laws import scrambled
from tests.tensors import noise
from wavevit import Backbone
from wavevit.layers.bounded_linear import BoundedLinear
from wavevit.layers.tokenizers import OverlapTokenizer, PacketTokenizer, PatchTokenizer
from wavevit.measure import (
    NoLipschitzBound,
    certified_lipschitz,
    frame_bounds,
    local_lipschitz,
)
from wavevit.measure.certify import GELU_CONSTANT, lipschitz_of
from wavevit.testing import steepest_pair

PRESETS = ("test_lipschitz_vit", "test_lipschitz_pyramid")
SIZES = ((32, 32), (32, 48), (33, 31))


def build(name: str, seed: int = 0, **changes: object) -> Backbone:
    torch.manual_seed(seed)
    settings = {"in_chans": 1, "img_size": 32, "num_classes": 0} | changes
    return wavevit.create_model(name, **settings).double().eval()


def redrawn(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with weights that do not depend on what ran before."""
    torch.manual_seed(0)
    layer.reset_parameters()
    return layer


def hunted(model: nn.Module, seed: int, size: tuple[int, int], contrast: float) -> float:
    """The steepest slope found from one drawn image on."""
    images = contrast * noise(2, 1, *size, seed=seed)
    slope = float(steepest_pair(model, images, iterations=8, seed=seed)[1].max())
    target(slope)
    return slope


@pytest.mark.parametrize("name", PRESETS)
@settings(max_examples=settings().max_examples // 5)  # each climbs to the steepest pair
@given(
    weights=st.integers(0, 2**31),
    seed=st.integers(0, 2**31),
    size=st.sampled_from(SIZES),
    contrast=st.floats(1e-3, 1e3),
    position=st.sampled_from(["learned", "conv", "rope"]),
)
def test_no_pair_breaks_the_certificate(
    name: str,
    weights: int,
    seed: int,
    size: tuple[int, int],
    contrast: float,
    position: str,
) -> None:
    """Trained or not: the weights are moved away from where they start."""
    model = scrambled(build(name, weights, position=position), weights)
    bound = certified_lipschitz(model, torch.zeros(1, 1, *size)).bound
    assert hunted(model, seed, size, contrast) <= bound * (1 + 1e-9)


@pytest.mark.parametrize("name", PRESETS)
def test_a_bound_that_is_too_small_is_broken(name: str) -> None:
    """Negative control: nine tenths of the steepest slope measured anywhere are exceeded."""
    model = build(name)
    images = torch.cat([contrast * noise(2, 1, 32, 32) for contrast in (1e-2, 1, 10)])
    steepest = max(local_lipschitz(model, images, iterations=20).absolute)
    assert steepest <= certified_lipschitz(model, images).bound

    @settings(
        max_examples=100,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.target],
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=st.integers(0, 2**31), contrast=st.floats(1e-3, 1e3))
    def hunt(seed: int, contrast: float) -> None:
        assert hunted(model, seed, (32, 32), contrast) <= 0.9 * steepest

    with pytest.raises(AssertionError):
        hunt()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("lipschitz_vit_tiny", marks=pytest.mark.nightly),
        pytest.param("lipschitz_pyramid_tiny", marks=pytest.mark.nightly),
        *PRESETS,
    ],
)
def test_bound_is_not_too_loose(name: str) -> None:
    """Within a hundred times what random images reach; plain ViT's product is beyond 1e20."""
    model, images = build(name, img_size=64).float(), noise(1, 1, 64, 64).float()
    bound = certified_lipschitz(model, images).bound
    measured = max(local_lipschitz(model, images, iterations=20).absolute)
    assert measured <= bound <= 100 * measured


def test_steps_list_the_factors_of_the_bound() -> None:
    found = certified_lipschitz(build("test_lipschitz_pyramid"), torch.zeros(1, 1, 32, 32))
    bound = 1.0
    for step in found.steps:
        bound = step.factor * bound + step.plus
        assert step.bound == pytest.approx(bound)
    assert found.bound == found.steps[-1].bound
    names = [step.name for step in found.steps]
    assert names == [
        "tokenizer",
        "stages.0.blocks.0",
        "stages.1.downsample",
        "stages.1.inject",
        "stages.1.blocks.0",
        "pool",
    ]
    assert [step.name for step in found.steps if step.plus] == ["stages.1.inject"]


def test_bounded_maps_do_not_grow_with_their_weights() -> None:
    model, images = build("test_lipschitz_vit"), torch.zeros(1, 1, 32, 32)
    before = certified_lipschitz(model, images).bound
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, BoundedLinear):
                module.weight.mul_(1000)
    assert certified_lipschitz(model, images).bound == pytest.approx(before)
    free = build("test_lipschitz_vit", spectral_control=False)
    with torch.no_grad():
        for stage in free.stages:
            for block in stage.blocks:
                block.mlp.fc1.weight.mul_(1000)
    assert certified_lipschitz(free, images).bound > 1e3 * before  # negative control


@pytest.mark.parametrize("name", PRESETS)
def test_folded_and_headed_models_have_it_too(name: str) -> None:
    model, images = build(name, num_classes=5), torch.zeros(1, 1, 33, 32)
    expected = certified_lipschitz(model, images)
    assert certified_lipschitz(model.fold(), images).bound == pytest.approx(expected.bound)
    assert expected.steps[-1].name == "head"
    norm = float(torch.linalg.matrix_norm(model.head.weight.detach(), 2))
    assert expected.steps[-1].factor == pytest.approx(norm)


@given(seed=st.integers(0, 2**31), rows=st.integers(1, 40), columns=st.integers(1, 40))
def test_a_bounded_linear_map_has_a_norm_just_below_one(seed: int, rows: int, columns: int) -> None:
    linear = BoundedLinear(columns, rows).double()
    with torch.no_grad():
        linear.weight.copy_(noise(rows, columns, seed=seed))
        norm = lipschitz_of(linear)
        assert min(rows, columns) ** (-1 / 16) * (1 - 1e-9) <= norm <= 1 + 1e-9
        linear.weight.zero_()
        assert linear(noise(2, columns)).isfinite().all()


@given(seed=st.integers(0, 2**31), rows=st.integers(1, 40), columns=st.integers(1, 40))
def test_autocast_does_not_lift_a_bounded_linear_map_above_one(
    seed: int, rows: int, columns: int
) -> None:
    """Of a matrix of rank one the bound is the norm itself: any rounding of it would show."""
    linear = BoundedLinear(columns, rows)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        linear.weight.copy_(noise(rows, 1, seed=seed) * noise(1, columns, seed=seed + 1))
        norm = torch.linalg.matrix_norm(linear.bounded_weight().double(), 2)
        assert linear(noise(2, columns).float()).dtype == torch.bfloat16
    assert abs(float(norm) - 1) <= 1e-5


def test_the_constant_of_gelu_is_its_steepest_slope() -> None:
    x = torch.linspace(-6, 6, 120_001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(nn.functional.gelu(x).sum(), x)
    steepest = slope.abs().argmax()
    assert float(slope[steepest]) == pytest.approx(GELU_CONSTANT, rel=1e-8)
    assert float(x.detach()[steepest]) == pytest.approx(math.sqrt(2), abs=1e-4)
    assert pytest.approx(1.1289, abs=1e-4) == GELU_CONSTANT


@pytest.mark.parametrize(
    ("tokenizer", "slack"),
    [
        (PatchTokenizer(2, 5, 4), 1.0),
        (PatchTokenizer(1, 40, 4), 1.0),
        (PacketTokenizer(2, 5, 4, subband_act=False), 1.0),
        (PacketTokenizer(2, 5, 4, "db2", subband_act=False), 1.0),
        (PacketTokenizer(2, 5, 4, "bior2.2", subband_act=False), 4.0),
        (OverlapTokenizer(2, 5, 4, "circular"), 2.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_tokenizers_have_their_exact_norm(tokenizer: nn.Module, slack: float) -> None:
    """Where patches share pixels or filters are not orthogonal, at most `slack` times that."""
    redrawn(tokenizer.proj)
    tokenizer.double()
    exact = frame_bounds(
        lambda x: tokenizer(x).permute(0, 3, 1, 2),
        stride=4,
        in_chans=1 if tokenizer.proj.in_channels in (1, 16) else 2,
    )
    declared = lipschitz_of(tokenizer)
    assert exact.operator_norm <= declared * (1 + 1e-9)
    assert declared <= slack * exact.operator_norm * (1 + 1e-9)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Conv2d(3, 4, 5, stride=2, padding=2),
        nn.Conv2d(4, 4, 3, groups=4, padding=1),
        nn.Conv2d(4, 6, 3, groups=2, dilation=2),
        nn.Conv2d(3, 2, 4, stride=4),
        nn.Conv2d(3, 2, 3, padding=1, padding_mode="circular"),
    ],
)
def test_convolutions_stay_below_their_bound(conv: nn.Conv2d) -> None:
    redrawn(conv).double()
    size = (conv.in_channels, 9, 8)
    jacobian = torch.autograd.functional.jacobian(lambda x: conv(x[None])[0], noise(*size))
    assert isinstance(jacobian, Tensor)
    exact = float(torch.linalg.matrix_norm(jacobian.flatten(0, 2).flatten(1), 2))
    assert exact <= lipschitz_of(conv) * (1 + 1e-9)
    assert lipschitz_of(conv) <= 4 * exact
    if conv.kernel_size == conv.stride:
        assert lipschitz_of(conv) == pytest.approx(exact)


def test_a_layer_norm_is_as_steep_as_its_epsilon_lets_it() -> None:
    norm = nn.LayerNorm(6, eps=1e-2).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -3, 2, 1, 1, 1]))
    flat = 1e-6 * noise(1, 6)
    jacobian = torch.autograd.functional.jacobian(norm, flat).reshape(6, 6)
    exact = float(torch.linalg.matrix_norm(jacobian, 2))
    assert 0.8 * lipschitz_of(norm) <= exact <= lipschitz_of(norm) == pytest.approx(30)


def test_chains_of_torchs_own_layers() -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 2, 2), nn.GELU(), nn.Flatten(), nn.Linear(12, 2)).double()
    found = certified_lipschitz(net, torch.zeros(1, 1, 4, 4))
    assert [step.name for step in found.steps] == ["0", "1", "2", "3"]
    assert found.bound == pytest.approx(math.prod(lipschitz_of(part) for part in net))
    assert hunted_once(net) <= found.bound


def hunted_once(net: nn.Module) -> float:
    return float(steepest_pair(net, noise(4, 1, 4, 4), iterations=50)[1].max())


def test_error_names_the_layer_without_a_bound() -> None:
    from timm.models import create_model

    def aligned(x: Tensor) -> Tensor:
        return x

    cases = {
        r"stages\.0\.blocks\.0\.mixer \(GlobalAttention\) multiplies queries": build("test_vit"),
        r"stages\.0\.blocks\.0\.mixer \(WindowAttention\) multiplies": build("test_swin"),
        r"stages\.0\.blocks\.0\.mixer \(CovarianceAttention\) multiplies channels": build(
            "test_alias_free_pyramid"
        ),
        r"Backbone is aligned \(phase_lock\)": build(
            "test_lipschitz_pyramid", alignment="phase_lock"
        ),
        r"blocks\.0\.attn \(Attention\) attends and declares no": create_model(
            "test_vit", in_chans=1, img_size=32
        ),
        r"function is no module": aligned,
        r"LayerNorm divides by the size of a token": nn.LayerNorm(4, eps=0),
        r"Conv2d repeats pixels": nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"),
        r"0 \(Softmax\) declares no": nn.Sequential(nn.Softmax(dim=-1)),
    }
    for message, model in cases.items():
        with pytest.raises(NoLipschitzBound, match=f"no global Lipschitz bound, because {message}"):
            certified_lipschitz(model, torch.zeros(1, 1, 32, 32))


def test_hooked_or_subclassed_layers_have_no_bound() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    hooked = nn.Linear(2, 2)
    hooked.register_forward_hook(lambda module, inputs, output: 2 * output)
    for module in (Doubled(2, 2), hooked):
        with pytest.raises(NoLipschitzBound):
            lipschitz_of(module)


def test_dot_product_attention_outgrows_any_number() -> None:
    """Negative control of the refusal: the preset with ViT's own mixer has no limit."""
    config = build("test_lipschitz_vit").config
    stages = tuple(dataclasses.replace(stage, mixer="global") for stage in config.stages)
    torch.manual_seed(0)
    plain = Backbone(dataclasses.replace(config, stages=stages, position="none")).double().eval()
    own = build("test_lipschitz_vit", position="none")
    image = noise(1, 1, 32, 32)
    image[..., :16, :16] = 0  # a query between keys: its scores are equal, however large they get
    for model, grows in ((plain, True), (own, False)):
        slopes = [
            local_lipschitz(model, size * image, iterations=15).absolute[0] for size in (1.0, 1e2)
        ]
        assert (slopes[1] > 10 * slopes[0]) == grows, slopes
