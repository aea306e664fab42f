"""Effective rank and best n-term errors with known answers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.tensors import noise
from wavevit.data.photographs import NAMES, load_photograph
from wavevit.measure import effective_rank, n_term_error
from wavevit.wavelets import iwavepacket2, wavepacket2


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_white_features_use_as_many_dimensions_as_they_have(rank: int) -> None:
    basis = torch.linalg.qr(noise(16, 16)).Q[:rank]
    result = effective_rank(lambda x: 5 * x[:, 0, 0, :rank] @ basis, noise(2000, 1, 4, 16))
    assert result.rank == pytest.approx(rank, rel=0.02)
    assert result.low <= result.rank <= result.high
    assert (result.dim, result.samples) == (16, 2000)


def test_unequal_dimensions_count_less() -> None:
    scale = torch.tensor([10.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    result = effective_rank(lambda x: x[:, 0, 0] * scale, noise(500, 1, 1, 4))
    assert 1 < result.rank < 3.5


def test_equal_features_are_refused() -> None:
    with pytest.raises(ValueError, match="embeddings that differ"):
        effective_rank(lambda x: torch.ones(len(x), 3), noise(8, 1, 2, 2))


def packet(x: Tensor) -> Tensor:
    return wavepacket2(x, "haar", level=2)


def test_both_ways_of_an_orthonormal_transform_agree_and_errors_fall() -> None:
    x = noise(3, 2, 16, 16)
    direct = n_term_error(packet, x)
    rebuilt = n_term_error(packet, x, synthesise=lambda c: iwavepacket2(c, "haar"))
    assert direct.errors == pytest.approx(rebuilt.errors)
    assert list(direct.errors) == sorted(direct.errors, reverse=True)
    assert n_term_error(packet, x, shares=[1.0]).errors == pytest.approx([0], abs=1e-12)


@pytest.mark.parametrize(
    ("images", "coefficients"), [(torch.float32, torch.float64), (torch.float64, torch.float32)]
)
def test_images_and_coefficients_may_differ_in_precision(
    images: torch.dtype, coefficients: torch.dtype
) -> None:
    x = noise(3, 2, 16, 16)

    def analyse(x: Tensor) -> Tensor:
        return packet(x.to(coefficients))

    expected = n_term_error(packet, x).errors
    assert n_term_error(analyse, x.to(images)).errors == pytest.approx(expected, rel=1e-4)
    rebuilt = n_term_error(analyse, x.to(images), synthesise=lambda c: iwavepacket2(c, "haar"))
    assert rebuilt.errors == pytest.approx(expected, rel=1e-4)


def test_a_sparse_image_needs_as_many_coefficients_as_it_has() -> None:
    coefficients = torch.zeros(1, 1, 16, 4, 4, dtype=torch.float64)
    coefficients[0, 0, [0, 3, 9], [1, 2, 3], 0] = torch.tensor([3.0, -2.0, 1.0]).double()
    x = iwavepacket2(coefficients, "haar")
    errors = n_term_error(packet, x, shares=[2 / 256, 3 / 256]).errors
    assert errors == pytest.approx([(1 / 14) ** 0.5, 0], abs=1e-12)


def test_a_complex_coefficient_is_two_numbers() -> None:
    """Of 16 numbers a half is 8: four complex coefficients, or eight real ones."""
    images = torch.arange(1.0, 17).reshape(1, 1, 4, 4)

    def analyse(x: Tensor) -> Tensor:
        return torch.complex(x, x).flatten(1) / 2**0.5

    found = n_term_error(analyse, images, shares=(0.5, 1.0)).errors
    energy = images.flatten().square()
    wanted = [float((energy[:count].sum() / energy.sum()).sqrt()) for count in (12, 8)]
    assert found == pytest.approx(wanted, rel=1e-6)
    real = n_term_error(lambda x: x.flatten(1), images, shares=(0.5,)).errors[0]
    assert real == pytest.approx(wanted[1], rel=1e-6)


def test_an_image_of_zeros_has_no_relative_error() -> None:
    images = torch.stack([torch.ones(1, 4, 4), torch.zeros(1, 4, 4)])
    with pytest.raises(ValueError, match="images: expected images with other values than 0"):
        n_term_error(lambda x: x.flatten(1), images)


def test_photographs_are_sparse_in_haar_and_not_in_pixels() -> None:
    x = torch.stack([load_photograph(name)[:128, :128] for name in NAMES[:6]])[:, None]
    haar = n_term_error(lambda x: wavepacket2(x, "haar", level=3), x, shares=[0.05])
    pixels = n_term_error(lambda x: x, x, shares=[0.05])
    assert haar.errors[0] < pixels.errors[0] / 3


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"analyse": lambda x: 2 * x}, "orthonormal"),
        ({"analyse": lambda x: x, "synthesise": lambda c: 2 * c}, "inverse"),
        ({"analyse": lambda x: x, "shares": [0.0]}, r"\(0, 1\]"),
        ({"analyse": lambda x: x.long()}, "analyse: expected floating-point .* got torch.int64"),
    ],
)
def test_bad_transforms_are_refused(kwargs, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        n_term_error(images=noise(1, 1, 4, 4), **kwargs)
