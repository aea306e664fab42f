"""Diffusion: zero at the start, sampler follows shifts, likelihoods are those of known flows."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from wavevit.tasks import Diffusion, create_task
from wavevit.tasks.flow import divergence, integrate, log_likelihood
from wavevit.tasks.time_filters import bands_to_pixels
from wavevit.wavelets import Pyramid, wavedec2

BACKBONES = ("test_vit", "test_haar_vit", "test_dtcwt_vit") + (
    "test_haar_pyramid",
    "test_dtcwt_pyramid",
    "test_swin",
)


def build(backbone: str, fresh: bool = False, size: Any = 32, **options: Any) -> Diffusion:
    torch.manual_seed(0)
    task = create_task("diffusion", backbone, options, in_chans=1, img_size=size)
    assert isinstance(task, Diffusion)
    if not fresh:
        with torch.no_grad():
            for parameter in task.parameters():
                noise = torch.randn(parameter.shape) / parameter.shape[-1] ** 0.5
                parameter.copy_(0.5 * noise)
    return task.double().eval()


def noisy(task: Diffusion, count: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    size = task.backbone.config.image_size
    z = torch.randn(count, 1, *size, generator=generator, dtype=torch.float64)
    return z, torch.linspace(0.1, 0.8, count, dtype=torch.float64)


@pytest.mark.parametrize("options", [{}, {"input": "gated", "basis": "haar"}])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_prediction_is_zero_at_the_start(backbone: str, options: dict[str, Any]) -> None:
    task = build(backbone, fresh=True, **options)
    assert not task.denoise(*noisy(task)).any()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_condition_changes_nothing_at_the_start(backbone: str) -> None:
    task = build(backbone, fresh=True, input="gated")
    z, _ = noisy(task)
    conds = torch.randn(2, 2, task.options.cond_dim, dtype=torch.float64)
    seen = [task.input(z, z[:, 0, 0, 0], cond) for cond in conds]
    assert torch.allclose(seen[0], z, atol=1e-12)
    maps = [task.backbone.maps(z, cond) for cond in conds]
    assert all(torch.equal(a, b) for a, b in zip(*maps, strict=True))


def test_blocks_are_the_identity_at_the_start() -> None:
    task = build("test_vit", fresh=True)
    block = task.backbone.stages[0].blocks[0]
    tokens = torch.randn(2, 5, 64, dtype=torch.float64)
    cond = torch.randn(2, 64, dtype=torch.float64)
    assert torch.equal(block(tokens, (2, 2), None, cond), tokens)


def test_negative_control_a_trained_condition_changes_the_prediction() -> None:
    for backbone in ("test_vit", "test_haar_pyramid"):
        task = build(backbone)
        z, t = noisy(task)
        assert not torch.allclose(task.denoise(z, t), task.denoise(z, t + 0.1), atol=1e-3)


def test_guidance_is_a_line_through_the_velocities_with_and_without_a_class() -> None:
    task = build("test_vit", classes=3, label_dropout=0.2)
    z, t = noisy(task)
    labels, known = torch.tensor([2, 0]), torch.tensor([True, False])
    gap = (1 - t)[:, None, None, None]
    with_class, without = ((task.denoise(z, t, own) - z) / gap for own in (labels, None))
    assert not torch.allclose(with_class, without, atol=1e-3)
    assert torch.equal(task.velocity(z, t, labels), with_class)
    assert torch.equal(task.velocity(z, t, labels, guidance=1.0), with_class)
    assert torch.equal(task.velocity(z, t, labels, guidance=0.0), without)
    beyond = task.velocity(z, t, labels, guidance=2.5)
    assert torch.allclose(beyond, without + 2.5 * (with_class - without), atol=1e-9)
    # An example that is trained without its class has the prediction without one.
    mixed = task.denoise(z, t, labels, known)
    assert torch.allclose(mixed[0], task.denoise(z, t, labels)[0], atol=1e-9)
    assert torch.allclose(mixed[1], task.denoise(z, t)[1], atol=1e-9)
    drawn = [
        task.sample(2, 2, labels=labels, noise=z, guidance=scale)["values"] for scale in (0, 1, 3)
    ]
    assert not torch.allclose(drawn[0], drawn[1], atol=1e-3)
    assert not torch.allclose(drawn[1], drawn[2], atol=1e-3)


def test_label_dropout_trains_so_many_examples_without_their_class() -> None:
    """With almost all labels dropped, the loss hardly depends on them; without, it does."""
    for share, differ in ((0.0, True), (0.999999, False)):
        task = build("test_vit", classes=3, label_dropout=share)
        batch = task.dummy_batch(4)
        other = {**batch, "labels": (batch["labels"] + 1) % 3}
        one, two = (task.loss(b, torch.Generator().manual_seed(0)).total for b in (batch, other))
        assert bool((one - two).abs() > 1e-6) is differ


@pytest.mark.parametrize(
    "options", [{}, {"input": "low_passed"}, {"input": "gated", "basis": "haar"}]
)
@pytest.mark.parametrize("backbone", ["test_haar_pyramid", "test_dtcwt_pyramid"])
def test_sampler_follows_shifts_by_the_period(backbone: str, options: dict[str, Any]) -> None:
    task = build(backbone, **options)
    period = task.backbone.symmetry.period
    assert period == 16
    z, _ = noisy(task, 1)
    moved = torch.roll(z, (period, 0), (2, 3))
    first, second = (task.sample(1, 2, noise=noise)["values"] for noise in (z, moved))
    wanted = torch.roll(first, (period, 0), (2, 3))
    assert torch.allclose(second, wanted, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(second, first, atol=1e-2)


@pytest.mark.parametrize(("backbone", "shift"), [("test_haar_pyramid", 5), ("test_vit", 16)])
def test_negative_control_sampler_does_not_follow(backbone: str, shift: int) -> None:
    """A shift that is no period, and learned positions."""
    task = build(backbone)
    z, _ = noisy(task, 1)
    moved = torch.roll(z, (shift, 0), (2, 3))
    first, second = (task.sample(1, 2, noise=noise)["values"] for noise in (z, moved))
    assert not torch.allclose(second, torch.roll(first, (shift, 0), (2, 3)), atol=1e-3)


@pytest.mark.parametrize("exact", [False, True])
def test_bits_of_normal_data_are_those_of_the_normal_density(
    exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The velocity of normal data is known, and so is their density."""
    task = build("test_vit", size=16)
    task.multiple, square = 4, 0.5**2

    def velocity(z: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        t = t[:, None, None, None]
        return z * (t * square - (1 - t)) / (t**2 * square + (1 - t) ** 2)

    monkeypatch.setattr(task, "velocity", velocity)
    images = task.dummy_batch(2)["images"][..., :4, :4]
    found = task.bits({"images": images}, torch.Generator().manual_seed(0), 80, exact)
    x = task._numbers(images, torch.Generator().manual_seed(0))
    density = -0.5 * x.square() / square - 0.5 * math.log(2 * math.pi * square)
    wanted = 7 - density.flatten(1).mean(1) / math.log(2)
    assert torch.allclose(found, wanted, atol=1e-3)
    assert (wanted[0] - wanted[1]).abs() > 0.1


def test_velocity_points_from_the_noisy_image_to_the_prediction() -> None:
    task = build("test_vit")
    z, t = noisy(task)
    ahead = z + task.velocity(z, t) * (1 - t)[:, None, None, None]
    assert torch.allclose(ahead, task.denoise(z, t))


def test_hutchinson_estimate_agrees_with_the_exact_trace() -> None:
    task = build("test_haar_vit", size=16)
    z, t = noisy(task, 1)
    z, t = z[..., :16, :16], t[:1]
    exact = divergence(lambda x, s: task.velocity(x, s), z, t, None)[1]
    count = 400
    probes = torch.randint(0, 2, (count, *z.shape[1:]), generator=torch.Generator().manual_seed(0))
    many = z.expand(count, -1, -1, -1)
    found = divergence(task.velocity, many, t.expand(count), probes.double() * 2 - 1)[1]
    error = found.std() / count**0.5
    assert error < 0.05 * exact.abs()
    assert (found.mean() - exact).abs() < 4 * error


def test_exact_trace_of_a_linear_field() -> None:
    matrix = torch.randn(6, 6, dtype=torch.float64)
    x = torch.randn(3, 6, dtype=torch.float64)
    slope, trace = divergence(lambda y, _: y @ matrix.T, x, x[:, 0], None)
    assert torch.allclose(trace, matrix.trace().expand(3))
    assert torch.allclose(slope, x @ matrix.T)


def test_sampler_and_likelihood_use_the_same_flow() -> None:
    """A linear field: samples are scaled noise, and their density is known."""
    noise = torch.randn(4, 1, 2, 2, dtype=torch.float64)
    field = lambda x, t: 0.7 * x  # noqa: E731
    data = integrate(field, noise, 200)
    assert torch.allclose(data, noise * math.exp(0.7), rtol=1e-5)
    assert not torch.allclose(integrate(field, noise, 5, "euler"), data, rtol=1e-2)
    found = log_likelihood(field, data, 200, None)
    normal = -0.5 * (noise.flatten(1).square().sum(1) + 4 * math.log(2 * math.pi))
    assert torch.allclose(found, normal - 4 * 0.7, rtol=1e-5)


def test_bands_in_place_are_an_orthonormal_basis() -> None:
    x = torch.randn(2, 1, 8, 16, dtype=torch.float64)
    pixels = bands_to_pixels(x, 3)
    assert torch.allclose(pixels.square().sum(), x.square().sum())
    found = wavedec2(pixels, "haar", level=3)
    assert isinstance(found, Pyramid)
    assert torch.allclose(found.approx, x[..., ::8, ::8])
    assert torch.allclose(found.details[-1][:, :, 2], x[..., 1::2, 1::2])


def test_low_pass_opens_with_time() -> None:
    task = build("test_vit", input="low_passed")
    z, _ = noisy(task)
    kept = [
        float(task.input(z, torch.full((2,), t).double(), None).square().sum() / z.square().sum())
        for t in (0.0, 0.3, 0.6, 1.0)
    ]
    assert kept == sorted(kept)
    assert kept[0] < 0.05
    assert kept[-1] > 0.7
    smooth = torch.full_like(z, 3.0)
    seen = task.input(smooth, torch.zeros(2).double(), None)
    assert torch.allclose(seen, smooth * torch.sigmoid(torch.tensor(1.5)).double(), atol=1e-6)
