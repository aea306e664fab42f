"""What the measured claims rest on, in cases whose answer is known."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from experiments.core.measurement import MeasurementOptions
from experiments.measurements import MEASUREMENTS
from experiments.measurements.attention import uniform_distance
from experiments.measurements.convolutions import CONVOLUTIONS, SmallCnn
from experiments.measurements.decoding import decoding_error, patches_of
from experiments.measurements.noise import same_spectrum
from experiments.measurements.permutation import residual
from experiments.measurements.retrieval import KINDS, chance, kind_of_classes, nearest, shares
from experiments.measurements.samples import by_photograph, mean_over, photographs
from experiments.measurements.subjects import trained
from experiments.measurements.vocabulary import orthonormal_pyramid, probe, turned
from tests.tensors import noise
from wavevit.data import Scenes
from wavevit.measure import equivariance_error


def test_a_permutation_leaves_no_residual_and_another_state_does() -> None:
    tokens = noise(2, 8, 4, 5)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    permuted = tokens.flatten(2)[:, :, order].unflatten(2, (4, 5))
    assert float(residual(tokens, permuted).max()) == 0.0
    moved = permuted + 0.1 * noise(2, 8, 4, 5).roll(1, 0)
    assert 0.05 < float(residual(tokens, moved).min()) < 0.2
    assert float(residual(tokens, noise(3, 8, 4, 5)[1:]).min()) > 0.3


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_only_circular_padding_without_strides_is_equivariant(name: str) -> None:
    torch.manual_seed(0)
    model = SmallCnn(**CONVOLUTIONS[name]).double()
    errors = [equivariance_error(model, noise(2, 1, 16, 16), (0, s)).relative for s in (1, 4)]
    if name == "stride-free, circular":
        assert max(errors) < 1e-12
    else:
        assert errors[0] > 1e-3
    if "strided" in name:  # whole cells of a circular grid
        assert errors[1] < 1e-12


def test_a_blur_reduces_the_error_of_a_stride() -> None:
    errors = []
    for blur in (False, True):
        torch.manual_seed(0)
        model = SmallCnn(stride=2, blur=blur).double()
        errors.append(equivariance_error(model, noise(4, 1, 32, 32), (0, 1)).relative)
    assert errors[1] < 0.7 * errors[0]


def test_randomised_phases_keep_the_spectrum_only() -> None:
    images = noise(2, 1, 16, 16) + torch.linspace(0, 3, 16, dtype=torch.float64)
    twin = same_spectrum(images, torch.Generator().manual_seed(1))
    own, other = (torch.fft.fft2(x).abs() for x in (images, twin))
    torch.testing.assert_close(own, other)
    correlation = torch.corrcoef(torch.stack([images[0].flatten(), twin[0].flatten()]))[0, 1]
    assert abs(float(correlation)) < 0.5


def test_values_are_averaged_by_photograph() -> None:
    labels = torch.tensor([1, 0, 1, 0])
    assert by_photograph(torch.tensor([1.0, 2.0, 3.0, 6.0]), labels) == [4.0, 2.0]
    assert mean_over([[1.0, 2.0], [3.0, 6.0]]) == [2.0, 4.0]
    scenes, batch = photographs(2)
    assert torch.bincount(batch.labels).tolist() == [2] * len(scenes.classes)


def test_uniform_attention_distance() -> None:
    """Two cells of 4 px: half of all pairs are the cell with itself, half are 4 px apart, ..."""
    assert uniform_distance(8, 4) == pytest.approx((0 + 4 + 4 + 4 * 2**0.5) / 4)


def test_probe_reads_labels_from_features_and_not_from_noise() -> None:
    labels = torch.arange(400) % 4
    clear = torch.nn.functional.one_hot(labels).double() + 0.05 * noise(400, 4)
    assert probe(clear[:200], labels[:200], clear[200:], labels[200:]) == 100.0
    blind = probe(noise(400, 4)[:200], labels[:200], noise(400, 4)[200:], labels[200:])
    assert 10 < blind < 40  # chance is 25


def test_decoding_error_is_zero_for_tokens_that_hold_the_pixels() -> None:
    """A rotated patch says all of it, half of its numbers half of its energy, noise nothing."""
    images = noise(64, 1, 16, 16)
    cells = patches_of(images, 4, 4)
    assert torch.equal(cells[3, 5].reshape(4, 4), images[3, 0, 4:8, 4:8])
    turn = torch.linalg.qr(noise(16, 16))[0]
    maps = (cells @ turn).transpose(1, 2).unflatten(2, (4, 4))
    halves = images.chunk(2)

    def error(maps: Tensor) -> float:
        fitted, judged = maps.chunk(2)
        return decoding_error((fitted, halves[0]), (judged, halves[1]))

    assert error(maps) < 1
    assert error(maps[:, :8]) == pytest.approx(100 * 0.5**0.5, abs=4)
    assert error(noise(65, 16, 4, 4)[1:]) == pytest.approx(100, abs=4)


def test_nearest_crop_is_of_the_same_photograph_or_kind() -> None:
    """Three photographs, the first two kin, in embeddings that say so, with one stray crop."""
    kinds = torch.tensor([0, 0, -1])
    held = torch.tensor([0, 0, 1, 1, 2, 2])
    gallery = torch.tensor([[4.0, 1], [4, 0], [3, 2], [3, 2], [-7, 0], [-7, -5]])
    queries = torch.tensor([[9.0, 2], [3, 2], [-8, -1], [-8, -2]])
    asked = torch.tensor([0, 1, 2, 0])
    assert nearest(queries, gallery, torch.ones(4, 6, dtype=torch.bool)).tolist() == [0, 2, 4, 4]
    found = shares(queries, asked, gallery, held, kinds)
    assert found == {"photograph": 75.0, "kind": pytest.approx(200 / 3)}
    drawn = chance(asked, held, kinds)
    assert drawn == {"photograph": pytest.approx(100 / 3), "kind": pytest.approx(50)}


def test_kinds_name_bundled_photographs() -> None:
    classes = Scenes("test", 64).classes
    kinds = kind_of_classes(classes)
    assert [int((kinds == i).sum()) for i in range(len(KINDS))] == [len(v) for v in KINDS.values()]
    assert min(len(names) for names in KINDS.values()) >= 2


def test_crops_are_rotated_by_their_label() -> None:
    images, turns, labels = turned("test", 2, seed=5)
    plain = Scenes("test", 64).sample(len(images), torch.Generator().manual_seed(5))
    assert set(turns.tolist()) == {0, 1, 2, 3}
    assert torch.equal(labels, plain.labels)
    for image, turn, before in zip(images, turns.tolist(), plain.images, strict=True):
        assert torch.equal(image.rot90(-turn, (-2, -1)), before)


@pytest.mark.parametrize("wavelet", ["haar", "db4"])
def test_pyramid_keeps_energy_and_number_of_coefficients(wavelet: str) -> None:
    images = noise(2, 1, 64, 64)
    coefficients = orthonormal_pyramid(images, wavelet)
    assert coefficients.shape == (2, 64 * 64)
    torch.testing.assert_close(coefficients.norm(dim=1), images.flatten(1).norm(dim=1))


def test_missing_runs_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"runs: expected 'vit', seed 0, trained"):
        trained(tmp_path, "vit", 0)
    assert not list(tmp_path.rglob("*.json"))


def test_measurement_record_is_written(tmp_path: Path) -> None:
    one = dataclasses.replace(MEASUREMENTS["turnover"], measure=lambda runs: {"tokens": {}})
    assert one.run(MeasurementOptions(out=tmp_path)) == 0
    text = (tmp_path / "turnover" / "measurement.json").read_text()
    assert '"device_name"' in text
    assert '"tokens": {}' in text
    assert '"command": "python -m experiments run turnover"' in text
    assert '"seconds": 0' in text


def test_measurements_show_their_steps() -> None:
    """Some take many minutes: a line for each step, with the time left."""
    showing = ("in_steps(", "side_by_side(", "Progress(", "progress=True")
    for name, one in MEASUREMENTS.items():
        module = sys.modules[one.measure.__module__]
        text = Path(str(module.__file__)).read_text()
        parts = [text]
        if name == "graft":  # a line for each distillation
            parts.append(Path(str(module.__file__)).with_name("label_free.py").read_text())
        assert any(word in part for word in showing for part in parts), name
