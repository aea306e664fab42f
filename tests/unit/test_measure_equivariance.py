"""Equivariance of maps and accuracy under the worst shift, with known answers."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.tensors import noise
from wavevit.measure import adversarial_shift_accuracy, equivariance_error


def convolution(stride: int):
    kernel = noise(3, 2, 3, 3)
    return lambda x: F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), kernel, stride=stride)


@pytest.mark.parametrize("shift", [(1, 0), (3, -5), (0.5, 0.25)])
def test_a_circular_convolution_moves_with_the_image(shift: tuple[float, float]) -> None:
    kind = "circular" if shift[0] == int(shift[0]) else "subpixel"
    result = equivariance_error(convolution(1), noise(2, 2, 15, 21), shift, kind=kind)
    assert result.relative == pytest.approx(0, abs=1e-12)
    assert result.decibel > 200


def test_a_stride_keeps_its_multiples_and_no_other_shift() -> None:
    images = noise(2, 2, 16, 16)
    assert equivariance_error(convolution(4), images, (4, -8)).relative < 1e-12
    odd = equivariance_error(convolution(4), images, (1, 0))
    assert odd.relative > 0.5
    assert odd.decibel == pytest.approx(-20 * math.log10(odd.relative))


def test_a_map_that_follows_the_camera_is_exact_where_both_crops_see() -> None:
    """A strided map does at multiples of its stride; what enters on one side is not compared."""
    windows = noise(2, 2, 32, 32)
    pooled = torch.nn.AvgPool2d(4)
    arguments = {"kind": "crop", "crop_size": 16}
    assert equivariance_error(pooled, windows, (4, -8), **arguments).relative < 1e-12
    assert equivariance_error(lambda x: x, windows, (-2, 3), **arguments).relative == 0
    odd = equivariance_error(pooled, windows, (0, 1), **arguments).relative
    assert 0.1 < odd < 1  # interpolation between cells of noise is not what the camera sees
    ramp = torch.arange(24.0, dtype=torch.float64).expand(1, 1, 24, 24)
    smooth = equivariance_error(pooled, ramp, (0, 1), **arguments)
    assert smooth.relative < 1e-12  # linear interpolation of a linear picture
    placed = equivariance_error(lambda x: x + x[..., :1], windows, (0, 1), **arguments)
    assert placed.relative > 0.5
    with pytest.raises(ValueError, match="crops that have cells in common"):
        equivariance_error(torch.nn.AvgPool2d(8), windows, (0, -8), kind="crop", crop_size=8)


@pytest.mark.parametrize(
    ("features", "kind", "message"),
    [
        (lambda x: x.mean(dim=(2, 3)), "circular", "maps of shape"),
        (lambda x: x[..., :7, :7], "circular", "sides divide"),
        (lambda x: x, "crop", "crop_size"),
        (lambda x: x, "roll", "'circular', 'crop', 'subpixel'"),
    ],
)
def test_outputs_that_are_not_maps_are_refused(features, kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        equivariance_error(features, noise(1, 1, 16, 16), (1, 0), kind=kind)


def brightness(x: Tensor) -> Tensor:
    mean = x.mean(dim=(1, 2, 3))
    return torch.stack([-mean, mean], dim=1)


def corner(x: Tensor) -> Tensor:
    return torch.stack([-x[:, 0, 0, 0], x[:, 0, 0, 0]], dim=1)


@pytest.mark.parametrize("kind", ["circular", "crop"])
def test_a_map_of_zeros_follows_nothing(kind: str) -> None:
    """A model that answers nothing would be exactly equivariant."""
    with pytest.raises(ValueError, match="features: expected maps that are not all zero, got zero"):
        equivariance_error(torch.zeros_like, noise(2, 2, 12, 12), (0, 1), kind=kind, crop_size=8)


def test_position_blind_models_lose_nothing_and_a_pixel_reader_loses_all() -> None:
    images = torch.zeros(6, 1, 8, 8)
    images[:, :, 0, 0] = 1
    labels = torch.tensor([1, 1, 1, 1, 0, 0])
    blind = adversarial_shift_accuracy(brightness, images, labels, 2, kind="circular")
    assert blind.percent == blind.plain_percent == pytest.approx(400 / 6)
    assert blind.low < blind.percent < blind.high
    reader = adversarial_shift_accuracy(corner, images - 0.5, labels, 1, kind="circular")
    assert reader.plain_percent == pytest.approx(400 / 6)
    assert reader.percent == 0


def test_the_grid_is_the_minimum_over_every_shift() -> None:
    images, labels = noise(40, 1, 12, 12), torch.zeros(40, dtype=torch.long)
    kernel = noise(2, 1, 8, 8)

    def model(x: Tensor) -> Tensor:
        return F.conv2d(x, kernel)[..., 0, 0]

    result = adversarial_shift_accuracy(model, images, labels, 1, kind="crop", crop_size=8)
    every = [
        model(images[..., i : i + 8, j : j + 8]).argmax(dim=1) == 0
        for i in (1, 2, 3)
        for j in (1, 2, 3)
    ]
    assert result.percent == pytest.approx(
        100 * float(torch.stack(every).all(dim=0).double().mean())
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.zeros(3)}, "labels"),
        ({"step": 0.0}, "step"),
        ({"step": 0.5}, "whole pixels"),
        ({"kind": "crop"}, "crop_size"),
    ],
)
def test_bad_grids_are_refused(change, message: str) -> None:
    arguments = {"labels": torch.ones(2, dtype=torch.long), "radius": 1, "kind": "circular"}
    with pytest.raises(ValueError, match=message):
        adversarial_shift_accuracy(brightness, torch.ones(2, 1, 8, 8), **(arguments | change))
