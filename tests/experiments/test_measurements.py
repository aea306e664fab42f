"""What the measured claims rest on, in cases whose answer is known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from experiments.measurements.__main__ import MEASUREMENTS, Options, run
from experiments.measurements.attention import uniform_distance
from experiments.measurements.convolutions import CONVOLUTIONS, SmallCnn
from experiments.measurements.noise import same_spectrum
from experiments.measurements.permutation import residual
from experiments.measurements.samples import by_photograph, mean_over, photographs
from experiments.measurements.subjects import trained
from wavevit.measure import equivariance_error


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_permutation_leaves_no_residual_and_another_state_does() -> None:
    tokens = noise(2, 8, 4, 5)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    permuted = tokens.flatten(2)[:, :, order].unflatten(2, (4, 5))
    assert float(residual(tokens, permuted).max()) == 0.0
    moved = permuted + 0.1 * noise(2, 8, 4, 5).roll(1, 0)
    assert 0.05 < float(residual(tokens, moved).min()) < 0.2
    assert float(residual(tokens, noise(3, 8, 4, 5)[1:]).min()) > 0.3


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_only_the_stride_free_circle_is_equivariant(name: str) -> None:
    torch.manual_seed(0)
    model = SmallCnn(**CONVOLUTIONS[name]).double()
    errors = [equivariance_error(model, noise(2, 1, 16, 16), (0, s)).relative for s in (1, 4)]
    if name == "stride-free, circular":
        assert max(errors) < 1e-12
    else:
        assert errors[0] > 1e-3
    if "strided" in name:  # whole cells of a circular grid
        assert errors[1] < 1e-12


def test_a_blur_mends_part_of_what_a_stride_breaks() -> None:
    errors = []
    for blur in (False, True):
        torch.manual_seed(0)
        model = SmallCnn(stride=2, blur=blur).double()
        errors.append(equivariance_error(model, noise(4, 1, 32, 32), (0, 1)).relative)
    assert errors[1] < 0.7 * errors[0]


def test_the_twin_keeps_the_spectrum_and_nothing_else() -> None:
    images = noise(2, 1, 16, 16) + torch.linspace(0, 3, 16, dtype=torch.float64)
    twin = same_spectrum(images, torch.Generator().manual_seed(1))
    own, other = (torch.fft.fft2(x).abs() for x in (images, twin))
    torch.testing.assert_close(own, other)
    correlation = torch.corrcoef(torch.stack([images[0].flatten(), twin[0].flatten()]))[0, 1]
    assert abs(float(correlation)) < 0.5


def test_figures_are_gathered_by_photograph() -> None:
    labels = torch.tensor([1, 0, 1, 0])
    assert by_photograph(torch.tensor([1.0, 2.0, 3.0, 6.0]), labels) == [4.0, 2.0]
    assert mean_over([[1.0, 2.0], [3.0, 6.0]]) == [2.0, 4.0]
    scenes, batch = photographs(2)
    assert torch.bincount(batch.labels).tolist() == [2] * len(scenes.classes)


def test_attention_to_all_alike() -> None:
    """Two cells of 4 px: half of all pairs are the cell with itself, half are 4 px apart, ..."""
    assert uniform_distance(8, 4) == pytest.approx((0 + 4 + 4 + 4 * 2**0.5) / 4)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"names: expected one of 'attention'.*got 'attentoin'"):
        run(Options(names=("attentoin",), out=tmp_path))
    with pytest.raises(ValueError, match=r"runs: expected 'vit', seed 0, trained"):
        trained(tmp_path, "vit", 0)
    assert not list(tmp_path.rglob("*.json"))


def test_a_measurement_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEASUREMENTS, "turnover", lambda runs: {"photographs": ["a"], "tokens": {}})
    run(Options(names=("turnover",), out=tmp_path))
    text = (tmp_path / "turnover" / "measurement.json").read_text()
    assert '"device_name"' in text
    assert '"tokens": {}' in text
