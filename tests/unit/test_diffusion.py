"""Diffusion: bad input, classes, metrics, memorisation."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from wavevit.tasks import create_task
from wavevit.tasks.memorisation import nearest_distances


def build(backbone: str = "test_vit", options: dict[str, Any] | None = None, **changes: Any):
    torch.manual_seed(0)
    return create_task("diffusion", backbone, options, **{"in_chans": 1, "img_size": 32, **changes})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input": "wavelets"}, "input: expected one of 'plain', 'low_passed', 'gated'"),
        ({"basis": "dct"}, "basis: expected one of 'pixels', 'haar'"),
        ({"classes": -1}, "classes: expected an integer of at least 0"),
        ({"label_dropout": 0.1}, "label_dropout: expected 0 without classes"),
        ({"classes": 2, "label_dropout": 1.0}, "label_dropout: expected a number of at least 0"),
        ({"time_std": 0.0}, "time_std: expected a positive number"),
        ({"least_gap": 0.0}, "least_gap: expected a number above 0"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(options=options)


def test_backbones_that_cannot_diffuse_are_refused() -> None:
    with pytest.raises(ValueError, match="backbone: expected alignment='none'"):
        build(alignment="phase_lock")
    with pytest.raises(ValueError, match="backbone: expected strides that are powers of two"):
        build(options={"basis": "haar"}, patch_size=12, img_size=48)
    with pytest.raises(ValueError, match="backbone: expected blocks without a condition"):
        create_task("diffusion", build().backbone)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"images": torch.zeros(2, 1, 32, 32)}, "expected uint8"),
        ({"images": torch.zeros(2, 1, 32, 24, dtype=torch.uint8)}, "multiples of 16"),
        ({}, "expected an entry"),
    ],
)
def test_bad_batches_are_refused(batch: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"batch\['images'\]: {message}|{message}"):
        build().loss(batch)


def test_condition_is_refused_without_blocks_that_read_it() -> None:
    plain = create_task("classification", "test_vit", img_size=32).backbone
    with pytest.raises(ValueError, match="cond: expected None"):
        plain.maps(torch.zeros(1, 3, 32, 32), torch.zeros(1, 8))
    with pytest.raises(ValueError, match="cond: expected a condition"):
        build().backbone.maps(torch.zeros(1, 1, 32, 32))


def test_recomputed_blocks_have_the_same_gradients() -> None:
    gradients = []
    for recompute in (False, True):
        task = build("test_haar_pyramid").double().train()
        for parameter in task.output.parameters():
            torch.nn.init.ones_(parameter)
        task.backbone.set_grad_checkpointing(recompute)
        task.loss(task.dummy_batch(2), torch.Generator().manual_seed(0)).total.backward()
        gradients.append([p.grad for p in task.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_classes_change_samples_and_are_checked() -> None:
    task = build(options={"classes": 3})
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.copy_(torch.randn(parameter.shape) / parameter.shape[-1] ** 0.5)
    noise = torch.randn(1, 1, 32, 32)
    one, two = (
        task.sample(1, 2, labels=torch.tensor([label]), noise=noise)["values"] for label in (0, 2)
    )
    assert not torch.allclose(one, two, atol=1e-3)
    with pytest.raises(ValueError, match="labels: expected 1 classes"):
        task.sample(1, 2)
    with pytest.raises(ValueError, match=r"batch\['labels'\]: expected classes from 0 to 2"):
        task.loss({**task.dummy_batch(2), "labels": torch.tensor([0, 3])})
    assert task.loss(task.dummy_batch(2)).total.isfinite()
    with pytest.raises(ValueError, match="labels: expected None"):
        build().sample(1, 2, labels=torch.tensor([0]))


def test_guidance_needs_a_task_trained_without_some_labels() -> None:
    task, labels = build(options={"classes": 3}), torch.tensor([1])
    with pytest.raises(ValueError, match="guidance: expected 1 for a task that was trained"):
        task.sample(1, 2, labels=labels, guidance=2.0)
    task = build(options={"classes": 3, "label_dropout": 0.5})
    with pytest.raises(ValueError, match="guidance: expected a finite number"):
        task.sample(1, 2, labels=labels, guidance=math.nan)


def test_samples_follow_the_generator_and_are_bytes() -> None:
    task = build("test_swin")
    first, again = (task.sample(2, 2, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first["images"].dtype == torch.uint8
    assert first["images"].shape == (2, 1, 32, 32)
    assert torch.equal(first["values"], again["values"])
    with pytest.raises(ValueError, match=r"noise: expected shape \(2, 1, H, W\)"):
        task.sample(2, 2, noise=torch.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match="method: expected one of 'euler', 'heun'"):
        task.sample(2, 2, method="rk45")


def test_errors_of_bands_add_up_to_the_error() -> None:
    """Parseval: the mean over the bands, weighted by their sizes, is the mean over pixels."""
    task = build("test_haar_pyramid").double()
    with torch.no_grad():
        found = task.evaluate(task.dummy_batch(3), torch.Generator().manual_seed(0))
    sizes = [4, 12, 48, 192]
    for quarter in range(4):
        assert f"band3_time{quarter}" in found
        assert f"band4_time{quarter}" not in found
        total = sum(size * found[f"band{i}_time{quarter}"] for i, size in enumerate(sizes))
        assert torch.allclose(total / 256, found[f"time{quarter}"], rtol=1e-6)


def test_held_out_flow_is_the_loss_of_training() -> None:
    """The same in the mean: times are drawn from the same distribution, here a narrow one."""
    task = build("test_vit", {"time_std": 0.2})
    one = task.dummy_batch(1)
    many = {"images": one["images"].expand(256, -1, -1, -1)}
    with torch.no_grad():
        loss = float(task.loss(many, torch.Generator().manual_seed(0)).total)
        found = task.evaluate(many, torch.Generator().manual_seed(1))
    assert float(found["flow"].mean()) == pytest.approx(loss, rel=0.05)
    quarters = torch.stack([found[f"time{quarter}"] for quarter in range(4)])
    assert float(quarters.mean()) > 2 * loss  # uniform times are another measure


def test_copies_have_distance_zero() -> None:
    images = torch.randn(5, 1, 4, 4)
    found = nearest_distances(images, torch.cat([images[2:3], images[2:3] + 1, -images[:1]]))
    assert found[2] == 0
    assert found[0] > 0.1
    assert torch.allclose(
        nearest_distances(images + 2, images[:1] + 2)[:1], torch.zeros(1).double()
    )
    with pytest.raises(ValueError, match="references: expected at least one image"):
        nearest_distances(images, images[:0])
