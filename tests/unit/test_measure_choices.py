"""`choice_turnover`: known values, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wavevit.measure import choice_turnover


def brightest(x: Tensor) -> Tensor:
    """Weight 1 on the brightest column."""
    columns = x.mean(dim=(1, 2))
    return (columns == columns.amax(dim=1, keepdim=True)).float()


def test_known_values() -> None:
    images = torch.zeros(2, 1, 8, 8)
    images[0, 0, :, 3] = images[1, 0, :, 5] = 1
    moved = choice_turnover(brightest, images, (0, 1), kind="circular")
    assert moved.percent == 100.0
    assert moved.tokens == 1.0
    assert choice_turnover(brightest, images, (1, 0), kind="circular").percent == 0.0
    half = choice_turnover(lambda x: 1 + brightest(x), images, (0, 2), kind="circular")
    assert half.percent == pytest.approx(100 * 2 / 18)
    window = torch.zeros(1, 1, 10, 10)
    window[..., 4] = 1
    crop = choice_turnover(brightest, window, (0, 1), kind="crop", crop_size=8)
    assert (crop.percent, crop.images, crop.kind) == (100.0, 1, "crop")


def test_what_is_refused() -> None:
    images = torch.rand(2, 1, 8, 8)
    with pytest.raises(ValueError, match=r"choose: expected weights of shape \(B, M\)"):
        choice_turnover(lambda x: x, images, kind="circular")
    with pytest.raises(ValueError, match="choose: expected weights of at least 0"):
        choice_turnover(lambda x: -torch.ones(len(x), 2), images, kind="circular")
    with pytest.raises(ValueError, match="kind: expected one of"):
        choice_turnover(brightest, images, kind="roll")
    with pytest.raises(ValueError, match="crop_size: expected the side"):
        choice_turnover(brightest, images)
