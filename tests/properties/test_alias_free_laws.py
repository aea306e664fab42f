"""The alias-free pyramid follows every circular shift and never jumps; a control for each part."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from torch import Tensor

import wavevit
from tests.examples import examples
from wavevit import Backbone, StageConfig
from wavevit.alignment import PhaseLock
from wavevit.layers.activations import Activation
from wavevit.layers.blocks import ConvMlp
from wavevit.measure import fourier_shift, local_lipschitz, shift_sensitivity
from wavevit.testing import assert_close_relative, assert_shift_invariant, tolerance
from wavevit.testing.strategies import images, shifts, sizes

NAME = "test_alias_free_pyramid"
SIDES = sizes(24, 50)


def model_of(name: str = NAME, loud: bool = True, **changes: object) -> Backbone:
    """A small model; `loud` weights are of order 1, so that every branch is heard."""
    torch.manual_seed(0)
    small = {"in_chans": 1, "img_size": 32, "num_classes": 5} | changes
    model = wavevit.create_model(name, **small)
    if loud:
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    std = parameter[0].numel() ** -0.5
                    torch.nn.init.trunc_normal_(parameter, std=std)
    return model.double().eval()


def stages_with(mixer: str) -> tuple[StageConfig, ...]:
    stages = wavevit.model_config(NAME).stages
    return tuple(dataclasses.replace(stage, mixer=mixer) for stage in stages)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@examples(daily=15)
@given(x=images(SIDES, SIDES, channels=1), shift=shifts())
def test_every_integer_shift_at_every_size(x: Tensor, shift: tuple[int, int]) -> None:
    model = model_of()
    assert model.symmetry.lockable_period == 1
    assert_shift_invariant(model, x, [shift], bound=1e-9)


@examples(daily=10)
@given(x=images(SIDES, SIDES, channels=1), shift=shifts())
def test_maps_follow(x: Tensor, shift: tuple[int, int]) -> None:
    """The map of every stage moves by the shift's fraction of its own circle."""
    model = model_of()
    moved = model.forward_intermediates(torch.roll(x, shift, (-2, -1)), intermediates_only=True)
    still = model.forward_intermediates(x, intermediates_only=True)
    for before, after in zip(still, moved, strict=True):
        steps = [
            s * n / side for s, n, side in zip(shift, before.shape[-2:], x.shape[-2:], strict=True)
        ]
        assert_close_relative(after, fourier_shift(before, (steps[0], steps[1])), bound=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"low_pass": "none"},
        {"low_pass": "short"},
        {"norm": "token"},
        {"activation": "gelu"},
        {"activation": "gelu_2x"},
        {"padding": "zeros"},
        {"stages": stages_with("global")},
        {"tokenizer": "patch"},
    ],
    ids=["strides", "short", "norm per token", "gelu", "gelu 2x", "zeros", "softmax", "patches"],
)
def test_negative_control_each_choice_is_needed(changes: dict[str, object]) -> None:
    """Negative controls, one field each; the declaration knows."""
    model = model_of(**changes)
    x = noise(2, 1, 32, 32)
    assert model.symmetry.lockable_period != 1
    with pytest.raises(AssertionError, match="not invariant"):
        assert_shift_invariant(model, x, [(0, 1), (3, 0), (5, 2)], bound=1e-9)
    if model.symmetry.circular:
        period = model.symmetry.lockable_period
        assert_shift_invariant(model, x, [(period, 0), (0, -period)], bound=1e-9)


def missed(side: int, **changes: object) -> float:
    """Relative change of a loud model's answer to white noise under one odd shift."""
    model, x = model_of(**changes), noise(4, 1, side, side)
    with torch.no_grad():
        y, moved = model(x), model(torch.roll(x, (3, 1), (-2, -1)))
    return float((moved - y).norm() / y.norm())


def test_oversampling_is_close_and_the_token_rate_is_not() -> None:
    """How far GELU misses at twice the rate: little, and less than at the token rate."""
    errors = {kind: missed(32, activation=kind) for kind in ("gelu", "gelu_2x")}
    assert errors["gelu_2x"] < 1e-2
    assert errors["gelu_2x"] < errors["gelu"] / 4, errors


def test_a_short_low_pass_is_close_and_plain_striding_is_not() -> None:
    errors = {kind: missed(64, low_pass=kind) for kind in ("short", "none")}
    assert 1e-6 < errors["short"] < 2e-3 < 0.1 < errors["none"], errors


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_half_and_single_precision(dtype: torch.dtype) -> None:
    model, x = model_of().to(dtype), noise(2, 1, 32, 40).to(dtype)
    assert_shift_invariant(model, x, [(1, 0), (7, -3)], bound=tolerance(dtype, depth=4))


def sizes_at_gates(model: Backbone, x: Tensor) -> list[tuple[float, float]]:
    """Root mean square of what every MLP's non-linearity gets and gives."""
    found: list[tuple[float, float]] = []
    for module in model.modules():
        if isinstance(module, Activation):
            module.register_forward_hook(
                lambda _, i, o: found.append((float(i[0].pow(2).mean()), float(o.pow(2).mean())))
            )
    with torch.no_grad():
        model(x)
    return [(before**0.5, after**0.5) for before, after in found]


def test_what_a_gate_gets_keeps_its_size() -> None:
    """As initialised; with weights of 0.02 like the others, a gate is seen to fall silent."""
    model, x = model_of(loud=False), noise(4, 1, 64, 64)
    for before, after in sizes_at_gates(model, x):
        assert 0.7 < before < 1.5
        assert 0.4 < after < 2
    for module in model.modules():
        if isinstance(module, ConvMlp):
            torch.nn.init.trunc_normal_(module.fc1.weight, std=0.02)
    assert all(after < 0.1 for _, after in sizes_at_gates(model, x))


def steepest(model: Backbone, x: Tensor, start: float, length: float, steps: int = 32) -> float:
    """Largest change per pixel of shift along a part of the path from `x` to a moved `x`."""
    places = torch.linspace(start, start + length, steps + 1, dtype=torch.float64)
    with torch.no_grad():
        path = model(torch.cat([fourier_shift(x, (0.3 * t, t)) for t in places.tolist()]))
    return float((path[1:] - path[:-1]).norm(dim=1).max() * steps / length)


@pytest.mark.parametrize(
    ("name", "changes", "jumps"),
    [
        (NAME, {}, False),
        # A channel changes sign on a map of one harmonic.
        (NAME, {"stages": stages_with("cross_covariance")}, True),
        ("test_vit", {"alignment": "phase_lock"}, True),  # a phase in whole pixels
    ],
    ids=["alias free", "normalised channels", "phase lock"],
)
def test_no_jump_on_a_path_of_fractions(name: str, changes: dict[str, object], jumps: bool) -> None:
    """The steepest slope stays what it is as the steps shrink; at a jump it grows like 1/step."""
    model = model_of(name, **changes)
    x = noise(1, 1, 32, 32)
    start, length, slopes = 0.0, 1.0, [steepest(model, x, 0.0, 1.0)]
    for _ in range(4):  # into the steepest quarter, again and again
        length /= 4
        quarters = [start + length * i for i in range(4)]
        found = [steepest(model, x, quarter, length) for quarter in quarters]
        start = quarters[found.index(max(found))]
        slopes.append(max(found))
    if jumps:
        assert slopes[-1] > 30 * slopes[0], slopes
    else:
        assert slopes[-1] < 2 * slopes[0], slopes


def test_it_can_be_locked_at_no_loss() -> None:
    plain, locked = model_of(), model_of(alignment="phase_lock")
    assert isinstance(locked.alignment, PhaseLock)
    x = noise(2, 1, 32, 32)
    torch.testing.assert_close(plain(x), locked(x), rtol=1e-10, atol=1e-12)


def test_a_fractional_lock_adds_the_half_pixel() -> None:
    """Harmonics made on the pixels fold there, so half a pixel is not exact; a lock undoes it."""
    kept = (torch.fft.fftfreq(32).abs() < 0.3).double()
    x = torch.fft.ifft2(torch.fft.fft2(noise(2, 1, 32, 32)) * kept[:, None] * kept).real
    model, half = model_of(), fourier_shift(x, (0.5, 0.5))
    locked = wavevit.align(model, period=8, shift="fractional")

    def error(tried: torch.nn.Module) -> float:
        with torch.no_grad():
            still = tried(x)
            return float((tried(half) - still).norm() / still.norm())

    assert error(locked) < 1e-9 < 1e-6 < error(model)


@pytest.mark.parametrize("other", ["test_vit", "test_haar_pyramid"])
def test_smoother_than_models_that_alias(other: str) -> None:
    """On photographs, random weights as initialised: half the condition number or less, and a
    real crop moved by a pixel changes the features less than a third as far."""
    from wavevit.data import Scenes

    windows = Scenes("train", 64, margin=2).sample(12, torch.Generator().manual_seed(0)).images
    windows = windows.double()
    figures = {}
    for name in (NAME, other):
        model = model_of(name, loud=False, img_size=64, num_classes=0)
        crop = shift_sensitivity(model, windows, (1,), kind="crop", crop_size=64).values[0]
        condition = local_lipschitz(model, windows[:6, :, 2:66, 2:66], iterations=6)
        figures[name] = (crop, condition.median_relative)
    (crop, condition), (crop_other, condition_other) = figures.values()
    assert crop < crop_other / 3, figures
    assert condition < condition_other / 2, figures
