"""Slopes across a tie: closed forms, and alignments that choose hard, softly or not at all."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from torch import Tensor

import wavevit
from wavevit.alignment import PhaseLockOptions, WeightedFrameOptions
from wavevit.alignment.statistics import energy, laplacian_energy, sum_by_phase
from wavevit.data.photographs import load_photograph
from wavevit.layers import PartOptions
from wavevit.measure import center_crop, tie_slope

LEVELS = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)]).double()


def of_mean(function) -> object:
    """A model that sees the mean: along the path from black to white that is the time."""
    return lambda x: function(x.mean(dim=(1, 2, 3)))[:, None]


@pytest.mark.parametrize(
    ("function", "exponent", "slope"),
    [
        (lambda t: 3.0 * t, 0.0, 0.75),  # the path is 4 long: √16 pixels
        (lambda t: 2.0 * (t > 0.3), 1.0, 2 / (4 * 1e-6)),
        (lambda t: (t - 0.3).sign() * (t - 0.3).abs().sqrt(), 0.5, 2 * (5e-7) ** 0.5 / 4e-6),
    ],
    ids=["line", "step", "root"],
)
def test_closed_forms(function, exponent: float, slope: float) -> None:
    found = tie_slope(of_mean(function), LEVELS[:1], ends=LEVELS[1:])
    assert found.exponents[0] == pytest.approx(exponent, abs=1e-3)
    assert found.slopes[0][-1] == pytest.approx(slope, rel=1e-3)
    assert found.saturates() == (exponent < 0.1,)
    if exponent:
        assert found.place[0] == pytest.approx(0.3, abs=1e-7)


def two_scores(x: Tensor) -> Tensor:
    mean = x.mean(dim=(1, 2, 3))
    return torch.stack([torch.full_like(mean, 0.4), mean], dim=1)


def test_the_tie_of_given_scores_is_found() -> None:
    """At 0.4 the maximum has a kink and its index a step; what is steepest lies elsewhere."""
    steep = of_mean(lambda t: torch.sin(40 * t))
    found = tie_slope(steep, LEVELS[:1], ends=LEVELS[1:], scores=two_scores)
    assert found.place[0] == pytest.approx(0.4, abs=1e-7)
    assert found.slopes[0][-1] == pytest.approx(abs(10 * math.cos(16)), rel=1e-4)
    soft = tie_slope(
        lambda x: two_scores(x).amax(dim=1, keepdim=True),
        LEVELS[:1],
        ends=LEVELS[1:],
        scores=two_scores,
    )
    assert soft.slopes[0][-1] == pytest.approx(0.5 / 4, rel=1e-3)
    assert all(soft.saturates())


@functools.cache
def pyramid(alignment: str, options: PartOptions | None = None) -> wavevit.Backbone:
    torch.manual_seed(0)
    model = wavevit.create_model(
        "test_haar_pyramid",
        in_chans=1,
        img_size=32,
        num_classes=0,
        alignment=alignment,
        alignment_options=options,
    )
    return model.double().eval()


def photographs() -> Tensor:
    views = [load_photograph(name)[None, None] for name in ("camera", "coins")]
    return torch.cat([center_crop(view, (32, 32)) for view in views]).double()


def energies(x: Tensor) -> Tensor:
    return sum_by_phase(energy(x), (16, 16)).flatten(1)


def strengths(x: Tensor) -> Tensor:
    return sum_by_phase(laplacian_energy(x), (16, 16)).flatten(1)


@pytest.mark.parametrize(
    ("alignment", "options", "scores"),
    [
        ("weighted_frame", WeightedFrameOptions(threshold=0.05), strengths),
        ("phase_lock", PhaseLockOptions(shift="fractional"), None),
        ("none", None, None),
    ],
)
def test_slope_of_a_continuous_map_is_bounded(alignment: str, options, scores) -> None:
    found = tie_slope(pyramid(alignment, options), photographs(), scores=scores)
    assert all(found.saturates()), found


@pytest.mark.parametrize("scores", [energies, None])
def test_polyphase_grows_without_end(scores) -> None:
    """Negative control: an argmax of energies jumps: a tenth of the gap, ten times the slope."""
    found = tie_slope(pyramid("polyphase"), photographs(), scores=scores)
    assert not any(found.saturates())
    assert found.exponents == pytest.approx((1.0,) * 2, abs=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": LEVELS.float()}, "images: expected float64"),
        ({"gaps": (1e-3, 1e-2)}, r"gaps: expected at least two shares in \(0, 1\], decreasing"),
        ({"gaps": (1e-3,)}, "gaps: expected at least two"),
        ({"ends": LEVELS[:1]}, "ends: expected shape"),
        ({"steps": 0}, "steps: expected an integer of at least 1"),
        ({"scores": two_scores}, "scores: expected another argmax at the end"),
    ],
)
def test_refuses(changes: dict, message: str) -> None:
    arguments = {"images": LEVELS} | changes
    with pytest.raises(ValueError, match=message):
        tie_slope(lambda x: x.flatten(1), **arguments)
