"""Two more roads of a lock: a grid inside the image, and a gate that fades a weak lock out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from wavevit import align, create_model
from wavevit.alignment import PhaseLock, phase_of
from wavevit.data import Scenes
from wavevit.measure import jump_scan
from wavevit.testing import assert_shift_invariant
from wavevit.testing.strategies import images, shifts, sizes

PERIOD = 8


def small_vit(**changes: object) -> nn.Module:
    torch.manual_seed(0)
    fields = {"in_chans": 1, "img_size": 32, "num_classes": 5, "position": "none"} | changes
    return create_model("test_vit", **fields).double().eval()


# The interior.


@given(x=images(sizes(16, 40, multiple=8), sizes(16, 40, multiple=8)))
def test_the_interior_is_a_window_of_the_image(x: Tensor) -> None:
    lock = PhaseLock(PERIOD, "interior")
    offsets = lock.views(x).offset.tolist()
    for image, view, (row, column) in zip(x, lock(x), offsets, strict=True):
        height, width = (side - PERIOD for side in image.shape[-2:])
        assert torch.equal(view, image[:, row : row + height, column : column + width])


def test_a_crop_that_the_grid_follows_changes_a_row_of_tokens_at_most() -> None:
    """Up to whole tokens; without a lock, the negative control, everything changes."""
    windows = Scenes("train", 64, margin=4).sample(60, torch.Generator().manual_seed(0)).images
    base, moved = (windows[..., 4:68, start : start + 64] for start in (4, 3))
    phases = [phase_of(crop, PERIOD, "interior").offset for crop in (base, moved)]
    still = ((phases[0] + torch.tensor([0, 1]) - phases[1]) % PERIOD == 0).all(dim=1)
    assert int(still.sum()) > 30
    lock = PhaseLock(PERIOD, "interior")

    def agree(a: Tensor, b: Tensor) -> bool:
        own = slice(PERIOD, a.shape[-1] - PERIOD)
        places = [slice(own.start + d, own.stop + d) for d in (-PERIOD, 0, PERIOD)]
        return any(torch.equal(a[..., own], b[..., place]) for place in places)

    assert all(agree(*pair) for pair in zip(lock(base[still]), lock(moved[still]), strict=True))
    assert not any(agree(*pair) for pair in zip(base, moved, strict=True))


@pytest.mark.parametrize("side", [30, 8])
def test_the_interior_needs_two_periods(side: int) -> None:
    with pytest.raises(ValueError, match=r"x: expected sides of two or more whole periods \(8\)"):
        PhaseLock(PERIOD, "interior")(torch.ones(1, 1, 32, side))
    with pytest.raises(ValueError, match="the whole image"):
        PhaseLock(None, "interior")(torch.ones(1, 1, 32, 32))


def test_maps_of_the_interior_are_at_image_coordinates() -> None:
    """A map that is linear in the place comes back at its place, and repeats its border."""
    x = torch.zeros(2, 2, 64, 64, dtype=torch.float64)
    x += torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype) * 1e-3
    places = torch.arange(64.0, dtype=torch.float64)
    x[:, 0], x[:, 1] = places[:, None], places
    model = align(nn.AvgPool2d(PERIOD), period=PERIOD, boundary="interior")
    assert model.alignment is not None
    offsets = model.alignment.views(x).offset
    found = model(x)
    assert found.shape == (2, 2, 8, 8)
    for image, (row, column) in zip(found, offsets.tolist(), strict=True):
        for axis, start in enumerate((row, column)):
            centres = places.unflatten(0, (8, 8)).mean(1).clamp(start + 3.5, start + 51.5)
            expected = centres[:, None] if axis == 0 else centres[None]
            assert torch.allclose(image[axis], expected.expand(8, 8), atol=1e-9)


def test_a_backbone_gives_maps_of_the_whole_image() -> None:
    model = small_vit(alignment="phase_lock", alignment_boundary="interior")
    x = torch.randn(2, 1, 64, 64, dtype=torch.float64)
    assert model(x).shape == (2, 5)
    _, maps = model.forward_intermediates(x)
    assert {tuple(m.shape[-2:]) for m in maps} == {(4, 4)}


# The gate.


def stripes(shift: int = 0) -> Tensor:
    """Bars as wide as gaps: edges at 0 and half a period, so the first harmonic is gone."""
    bars = ((torch.arange(32) + shift) % PERIOD < PERIOD // 2).double()
    return bars.expand(1, 1, 32, 32)


def past_no_phase() -> Tensor:
    """Two images whose line passes bars that have no phase, by one with either sign of one."""
    column = torch.arange(32)
    tilt = torch.cos(2 * torch.pi * column / PERIOD).expand(1, 1, 32, 32).double()
    rows = torch.sin(2 * torch.pi * torch.arange(32) / PERIOD)[:, None].expand(1, 1, 32, 32)
    base = stripes() + rows.double() + 0.3 * rows.square().double()
    return torch.cat([base - 0.2 * tilt, base + 0.2 * tilt])


def test_a_gate_is_continuous_where_an_image_has_no_phase() -> None:
    model = small_vit(patch_size=PERIOD)
    ends = past_no_phase()
    scans = {
        gate: jump_scan(
            align(model, period=PERIOD, shift="fractional", gate=gate),
            ends,
            path="line",
            steps=64,
            candidates=8,
        )
        for gate in (0.0, 0.2)
    }
    assert not any(scans[0.2].jumps()), scans[0.2]
    assert any(scans[0.0].jumps()), scans[0.0]  # the negative control


@given(x=images(sizes(32, 40, multiple=8), sizes(32, 40, multiple=8), channels=1), shift=shifts())
def test_lock_with_whole_image_period_is_invariant(x: Tensor, shift: tuple[int, int]) -> None:
    weakest = float(phase_of(x, PERIOD).margin.min())
    model = align(small_vit(patch_size=PERIOD), period=PERIOD, gate=min(weakest * 0.999, 1.0))
    assert model.alignment is not None
    assert model.alignment.calls(x).tolist() == [1] * len(x)
    assert_shift_invariant(model, x, [shift], bound=1e-9)


@given(seed=st.integers(0, 2**32 - 1), gate=st.sampled_from([0.05, 0.5, 1.0]))
def test_the_weights_are_shares(seed: int, gate: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 1, 32, 32, generator=generator, dtype=torch.float64)
    views = PhaseLock(PERIOD, gate=gate).views(x)
    assert views.image is not None
    assert views.weight is not None
    total = torch.zeros(3, dtype=torch.float64).index_add(0, views.image, views.weight)
    assert torch.allclose(total, torch.ones_like(total))
    assert set(views.image.tolist()) == {0, 1, 2}


def test_bars_without_a_phase_are_left_alone() -> None:
    x = torch.cat([stripes(), torch.ones(1, 1, 32, 32)])
    model = small_vit(patch_size=PERIOD)
    gated = align(model, period=PERIOD, gate=0.1)
    assert torch.allclose(gated(x), model(x), rtol=1e-9, atol=1e-12)


def test_compiled_and_eager_gates_agree() -> None:
    x = torch.randn(3, 1, 32, 32, dtype=torch.float64)
    model = align(small_vit(patch_size=PERIOD), period=PERIOD, gate=1.0).eval()
    whole = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert torch.allclose(whole(x), model(x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("gate", [-0.1, 1.5, float("nan")])
def test_a_gate_is_a_margin(gate: float) -> None:
    with pytest.raises(ValueError, match="gate: expected a margin"):
        PhaseLock(PERIOD, gate=gate)
    with pytest.raises(ValueError, match="gate: expected a margin"):
        create_model("test_vit", alignment="phase_lock", alignment_options={"gate": gate})
