"""`boundary="mirror"`: the grid is laid without a circle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavevit.alignment import Alignment, PhaseLock, Polyphase, WeightedFrame, phase_of
from wavevit.alignment.statistics import spans
from wavevit.data import Scenes
from wavevit.testing.strategies import images, sizes


@pytest.mark.parametrize("lock", [PhaseLock, Polyphase, WeightedFrame])
@given(x=images(sizes(8, 33), sizes(8, 33)), period=st.sampled_from([4, 8, None]))
def test_a_mirror_moves_by_half_a_period_at_most_and_never_wraps(
    lock: type[Alignment], x: torch.Tensor, period: int | None
) -> None:
    alignment = lock(period, "mirror")
    views = alignment.views(x)
    span = spans(x.shape[-2:], period)
    for n, view in enumerate(alignment(x)):
        image = x[n if views.image is None else int(views.image[n])]
        moves = []
        for k, p in zip(views.offset[n].tolist(), span, strict=True):
            moves.append(k if k < p - p // 2 else k - p)
        wide = np.pad(image.numpy(), [(0, 0), *[(p, p) for p in span]], mode="symmetric")
        rows, columns = (p + m for p, m in zip(span, moves, strict=True))
        expected = wide[:, rows : rows + x.shape[-2], columns : columns + x.shape[-1]]
        assert np.array_equal(view.numpy(), expected)
        assert all(2 * abs(m) <= p for m, p in zip(moves, span, strict=True))


def _agree(a: torch.Tensor, b: torch.Tensor, margin: int) -> bool:
    """Whether two images (C, 64, 64) are the same but for a margin, up to a whole token."""
    own = slice(8 + margin, 56 - margin)
    places = [slice(own.start + d, own.stop + d) for d in (-8, 0, 8)]
    return any(torch.equal(a[:, own, own], b[:, r, c]) for r in places for c in places)


def test_a_crop_that_the_grid_follows_changes_the_border_only() -> None:
    """Up to whole tokens; without a lock, the negative control, everything changes."""
    windows = Scenes("train", 64, margin=4).sample(60, torch.Generator().manual_seed(0)).images
    base, moved = (windows[..., 4:68, start : start + 64] for start in (4, 3))
    phases = [phase_of(crop, 8, "mirror").offset for crop in (base, moved)]
    still = ((phases[0] + torch.tensor([0, 1]) - phases[1]) % 8 == 0).all(dim=1)
    assert int(still.sum()) > 30
    lock = PhaseLock(8, "mirror")
    pairs = zip(lock(base[still]), lock(moved[still]), strict=True)
    assert all(_agree(a, b, margin=4) for a, b in pairs)
    assert not any(_agree(a, b, margin=4) for a, b in zip(base, moved, strict=True))
