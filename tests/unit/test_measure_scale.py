"""Zoom: what is shown, and how far embeddings move."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wavevit.measure import scale_sensitivity
from wavevit.measure.scale import zoomed


def ramp(side: int) -> Tensor:
    axis = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    return axis.expand(side, side)[None, None]


@pytest.mark.parametrize("zoom", [0.5, 2.0])
def test_a_ramp_gets_flatter_when_the_camera_comes_closer(zoom: float) -> None:
    middle = zoomed(ramp(64), zoom, 32)[0, 0, 12:20, 12:20]
    slope = middle.diff(dim=-1)
    torch.testing.assert_close(slope, torch.full_like(slope, 1 / zoom), rtol=0.02, atol=0)


def test_a_constant_feature_of_scale_does_not_move_and_a_slope_does() -> None:
    windows = torch.cat([(i + 1) * ramp(64) for i in range(4)])
    mean_slope = scale_sensitivity(
        lambda x: x[..., 8:24, 8:24].diff(dim=-1).mean(dim=(2, 3)),
        windows,
        (1.0, 2.0),
        crop_size=32,
    )
    assert mean_slope.values[0] == 0
    assert mean_slope.values[1] > 0.5
    constants = torch.arange(4.0, dtype=torch.float64)[:, None, None, None].expand(4, 1, 64, 64)
    still = scale_sensitivity(lambda x: x.mean(dim=(2, 3)), constants, crop_size=32)
    assert still.values == pytest.approx([0] * 6, abs=1e-12)
    assert still.images == 4


@pytest.mark.parametrize(
    ("zoom", "message"), [(0.25, "at least 128 pixels"), (-1.0, "positive"), (0.0, "positive")]
)
def test_what_a_window_cannot_show_is_refused(zoom: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        zoomed(ramp(64), zoom, 32)
