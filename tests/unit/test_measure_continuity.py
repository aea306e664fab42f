"""Local Lipschitz against known Jacobians."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import wavevit
from wavevit.measure import jacobian_spectrum, local_lipschitz


def test_linear_map_has_its_spectral_norm() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(7, 2 * 5 * 5, dtype=torch.float64, generator=generator)
    images = torch.randn(3, 2, 5, 5, dtype=torch.float64, generator=generator)
    found = local_lipschitz(lambda x: x.flatten(1) @ matrix.T, images, iterations=200)
    norm = float(torch.linalg.matrix_norm(matrix, 2))
    assert found.absolute == pytest.approx((norm,) * 3, rel=1e-6)
    outputs = (images.flatten(1) @ matrix.T).norm(dim=1)
    relative = (norm * images.flatten(1).norm(dim=1) / outputs).tolist()
    assert found.relative == pytest.approx(relative, rel=1e-6)
    assert found.median_absolute == pytest.approx(norm, rel=1e-6)


@pytest.mark.parametrize("name", ["test_vit", "test_haar_vit", "test_haar_pyramid"])
def test_networks_have_the_norm_of_their_explicit_jacobian(name: str) -> None:
    torch.manual_seed(0)
    model = wavevit.create_model(
        name, in_chans=1, img_size=16, num_classes=3, alignment="phase_lock"
    ).double()
    images = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    found = local_lipschitz(model, images, iterations=60)
    model.eval()
    for image, value in zip(images, found.absolute, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: model(x)[0], image[None])
        expected = float(torch.linalg.matrix_norm(jacobian.reshape(3, -1), 2))
        assert value == pytest.approx(expected, rel=1e-3)


def test_grey_images_as_three_channels_and_any_batch_size() -> None:
    grey = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)
    found = local_lipschitz(lambda x: x.square().flatten(1), grey)
    assert local_lipschitz(lambda x: x.square().flatten(1), grey, batch_size=2) == found
    assert found.absolute == pytest.approx((2 * grey.abs().amax((1, 2, 3))).tolist(), rel=0.1)


def test_steeper_model_has_a_larger_local_lipschitz_constant() -> None:
    """Negative control: the measure is no constant."""
    images = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    calm = local_lipschitz(lambda x: x.flatten(1), images)
    steep = local_lipschitz(lambda x: 5 * x.flatten(1), images)
    assert steep.absolute == pytest.approx(tuple(5 * v for v in calm.absolute), rel=1e-4)
    assert steep.relative == pytest.approx(calm.relative, rel=1e-4)


def test_training_mode_is_restored() -> None:
    model = wavevit.create_model("test_vit", img_size=32).train()
    local_lipschitz(model, torch.randn(1, 3, 32, 32), iterations=1)
    assert model.training
    with pytest.raises(ValueError, match="iterations: expected an integer of at least 1"):
        local_lipschitz(model, torch.randn(1, 3, 32, 32), iterations=0)


@pytest.mark.parametrize("outputs", [3, 20])
def test_singular_values_of_a_linear_map(outputs: int) -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(outputs, 48, generator=generator, dtype=torch.float64)
    image = torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    found = jacobian_spectrum(lambda x: x.flatten(1) @ matrix.T, image, 5, rounds=40)
    expected = torch.linalg.svdvals(matrix)[:5].tolist()
    assert found.values == pytest.approx(expected, rel=1e-6)
    few = jacobian_spectrum(lambda x: x.flatten(1) @ matrix.T, image, 5, rounds=1)
    pairs = zip(few.values, found.values, strict=True)
    assert all(a <= b * (1 + 1e-12) for a, b in pairs), "lower bounds"


def test_one_steep_direction_is_told_from_many() -> None:
    image = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    steep = torch.diag(torch.tensor([9.0, 1, 1, 1], dtype=torch.float64))
    for matrix, ratio in ((steep, 9.0), (torch.eye(4, dtype=torch.float64), 1.0)):
        values = jacobian_spectrum(lambda x, m=matrix: x.flatten(1) @ m, image, 2, rounds=30).values
        assert values[0] / values[1] == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": torch.zeros(2, 1, 2, 2)}, "image: expected one image"),
        ({"count": 0}, "count: expected an integer of at least 1"),
        ({"rounds": 0}, "rounds: expected an integer of at least 1"),
    ],
)
def test_what_has_no_spectrum_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jacobian_spectrum(
            **{"model": lambda x: x, "image": torch.zeros(1, 1, 2, 2), "count": 1} | arguments
        )


def test_huge_outputs_have_a_derivative_and_infinite_slopes_are_named() -> None:
    images = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    plain, huge = (local_lipschitz(lambda x, s=s: x * s, images) for s in (1.0, 1e30))
    assert huge.relative == pytest.approx(plain.relative, rel=1e-5)
    spectrum = jacobian_spectrum(lambda x: x * 1e30, images[:1], 3)
    assert spectrum.values == pytest.approx([1e30] * 3, rel=1e-5)
    for measure in (local_lipschitz, lambda m, x: jacobian_spectrum(m, x[:1], 2)):
        with pytest.raises(ValueError, match="model: expected finite derivatives, got NaN or inf"):
            measure(lambda x: (x * 0).sqrt(), images)


def test_the_steps_end_when_two_of_them_change_little() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(40, 200, dtype=torch.float64, generator=generator)
    images = torch.randn(2, 2, 10, 10, dtype=torch.float64, generator=generator)
    model = lambda x: x.flatten(1) @ matrix.T  # noqa: E731
    norm = float(torch.linalg.matrix_norm(matrix, 2))
    early = local_lipschitz(model, images, iterations=60, tolerance=0.02)
    assert early.iterations < 15
    assert early.absolute == pytest.approx((norm,) * 2, rel=0.02)
    assert max(early.absolute) <= norm * (1 + 1e-12)
    whole = local_lipschitz(model, images, iterations=60)
    assert whole.absolute == pytest.approx((norm,) * 2, rel=1e-9)
    assert whole.iterations <= 40  # nothing is left to look for


def test_first_derivative_of_a_process_warns_of_nothing() -> None:
    """torch compiles code of its own then, with what it deprecates."""
    code = """
import warnings
import torch, wavevit
from wavevit.measure import local_lipschitz
warnings.simplefilter("error")
x = torch.rand(2, 1, 8, 8)
local_lipschitz(torch.nn.Conv2d(1, 1, 3), x)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
