"""Phase-locked models are invariant to every integer circular shift; plain ones are not."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import wavevit
from tests.examples import examples
from wavevit import Backbone
from wavevit.alignment import PhaseLock, phase_of, roll_images
from wavevit.testing import assert_shift_invariant
from wavevit.testing.strategies import images, shifts, sizes

FAMILIES = ("test_vit", "test_haar_vit", "test_haar_pyramid", "test_dtcwt_pyramid")
SIDES = sizes(32, 64, multiple=16)


def model_of(name: str, **changes: object) -> Backbone:
    torch.manual_seed(0)
    small = {"in_chans": 1, "img_size": 32, "num_classes": 5} | changes
    return wavevit.create_model(name, **small).double().eval()


@pytest.mark.parametrize("name", FAMILIES)
@examples(daily=15)
@given(x=images(SIDES, SIDES, channels=1), shift=shifts())
def test_locked_models_are_invariant(name: str, x: torch.Tensor, shift: tuple[int, int]) -> None:
    assert_shift_invariant(model_of(name, alignment="phase_lock"), x, [shift], bound=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
@examples(daily=8)
@given(x=images(sizes(33, 50), sizes(33, 50), channels=1), shift=shifts())
def test_invariant_where_the_period_divides_no_side(
    name: str, x: torch.Tensor, shift: tuple[int, int]
) -> None:
    assert_shift_invariant(model_of(name, alignment="phase_lock"), x, [shift], bound=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_negative_control_plain_models_are_not_invariant(name: str) -> None:
    """Negative control: the same assertion, no lock, one pixel."""
    x = torch.randn(2, 1, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with pytest.raises(AssertionError, match=r"not invariant: a circular shift by \(0, 1\)"):
        assert_shift_invariant(model_of(name), x, [(0, 1)], bound=1e-9)


def test_window_boundary_is_not_exact() -> None:
    """Negative control: the tapered activity does not follow rolls exactly."""
    model = model_of("test_haar_pyramid", alignment="phase_lock", alignment_boundary="window")
    x = torch.randn(4, 1, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with pytest.raises(AssertionError, match="not invariant"):
        assert_shift_invariant(model, x, [(i, 3 * i) for i in range(1, 16)])


@examples(daily=15)
@given(x=images(SIDES, SIDES, channels=1), steps=st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
def test_declared_symmetry_holds(x: torch.Tensor, steps: tuple[int, int]) -> None:
    """Without positions the tokenizer's period, with the pyramid's circular borders its own."""
    for model in (
        model_of("test_haar_pyramid"),
        model_of("test_vit", position="none"),
        model_of("test_haar_vit", position="conv", padding="circular"),
    ):
        period = model.symmetry.lockable_period
        assert period == 16
        shift = (period * steps[0], period * steps[1])
        assert_shift_invariant(model, x, [shift], bound=1e-9)


def test_negative_control_shifts_below_the_period_fail() -> None:
    """Negative control of the declaration: the period is not an overstatement."""
    model = model_of("test_haar_pyramid")
    x = torch.randn(1, 1, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for shift in (1, 2, 4, 8):
        with pytest.raises(AssertionError):
            assert_shift_invariant(model, x, [(0, shift)])


def test_zero_padding_declares_no_lockable_period() -> None:
    assert model_of("test_haar_pyramid", padding="zeros").symmetry.lockable_period is None
    assert model_of("test_vit").symmetry.period is None


@pytest.mark.parametrize("boundary", ["circular", "window"])
@examples(daily=20)
@given(x=images(SIDES, SIDES), shift=shifts())
def test_alignment_moves_pixels_and_changes_none(
    boundary: str, x: torch.Tensor, shift: tuple[int, int]
) -> None:
    aligned = PhaseLock(8, boundary)(torch.roll(x, shift, (-2, -1)))
    offset = phase_of(torch.roll(x, shift, (-2, -1)), 8, boundary).offset
    assert ((offset >= 0) & (offset < 8)).all()
    torch.testing.assert_close(
        roll_images(aligned, offset), torch.roll(x, shift, (-2, -1)), rtol=0, atol=0
    )


@examples(daily=20)
@given(x=images(SIDES, SIDES, channels=1), shift=shifts())
def test_offset_follows_the_content(x: torch.Tensor, shift: tuple[int, int]) -> None:
    before, after = phase_of(x, 8).offset, phase_of(torch.roll(x, shift, (-2, -1)), 8).offset
    assert torch.equal((before + torch.tensor(shift)) % 8, after)


def test_two_strengths_have_a_continuous_phase_at_a_period_of_two() -> None:
    """What docs/mathematics.md says of a period of two pixels.

    The harmonic of one strength is real, so its phase is a sign. Of two strengths, ``c + i c'``
    changes its sign under a shift by one pixel, and its argument has no jump where it is not zero.
    """
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(8, 2, 64, generator=generator, dtype=torch.float64)
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(32)

    def harmonics_of(x: torch.Tensor) -> torch.Tensor:
        """Of the squared and of the absolute first differences, as shares: (..., 2), real."""
        step = (x - x.roll(1, -1)).abs()
        both = torch.stack([step.square(), step], dim=-2)
        return (both / both.sum(-1, keepdim=True)) @ signs

    torch.testing.assert_close(harmonics_of(rows.roll(1, -1)), -harmonics_of(rows))
    share = torch.linspace(0, 1, 20_001, dtype=torch.float64)[:, None]
    most = 0.0
    for start, end in rows:
        found = harmonics_of((1 - share) * start + share * end)
        angle = torch.atan2(found[:, 1], found[:, 0]) / torch.pi  # in pixels, on a circle of two
        turned = (angle.diff() + 1).remainder(2) - 1
        most = max(most, float(turned.abs().max()))
    assert most < 0.05
    # Negative control: one strength alone steps by a whole pixel on one of these paths.
    one = torch.stack([harmonics_of((1 - share) * a + share * b)[:, 0] for a, b in rows])
    assert (one.sign().diff(dim=1) != 0).any()


def test_window_follows_real_crops_better_than_the_circle() -> None:
    """What the window is for: the grid follows the content when a crop moves."""
    from wavevit.data import Scenes

    scenes = Scenes("test", crop_size=64, margin=4)
    windows = scenes.sample(90, torch.Generator().manual_seed(0)).images
    followed = {}
    for boundary in ("circular", "window"):
        base = phase_of(windows[..., 4:68, 4:68], 8, boundary).offset
        moved = phase_of(windows[..., 4:68, 3:67], 8, boundary).offset
        wanted = (base + torch.tensor([0, 1])) % 8
        followed[boundary] = float((moved == wanted).all(dim=1).float().mean())
    assert followed["window"] > 0.7 > 0.6 > followed["circular"], followed


@pytest.mark.parametrize(
    "x",
    [
        torch.ones(1, 1, 32, 32),
        torch.tensor([0.0, 1.0]).repeat(16).expand(1, 1, 32, 32),
        torch.zeros(1, 1, 32, 32),
    ],
    ids=["constant", "stripes of period 2", "black"],
)
def test_images_without_a_phase_stay_where_they_are(x: torch.Tensor) -> None:
    phase = phase_of(x, 8)
    assert torch.equal(phase.offset, torch.zeros(1, 2, dtype=torch.long))
    assert torch.isfinite(phase.margin).all()
    assert float(phase.margin.max()) < 1e-5
    assert torch.equal(PhaseLock(8)(x), x)


def test_batch_independence_and_half_precision() -> None:
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    lock = PhaseLock(16)
    together = lock(x)
    for index in range(4):
        assert torch.equal(together[index : index + 1], lock(x[index : index + 1]))
    assert lock(x.bfloat16()).dtype == torch.bfloat16


def test_align_wraps_any_module() -> None:
    """A foreign model declares nothing: the whole image is locked, which is exact for any model."""
    torch.manual_seed(0)
    foreign = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16 * 16, 3)).double()
    x = torch.randn(3, 1, 16, 16, dtype=torch.float64)
    everywhere = [(i, j) for i in range(-8, 8, 3) for j in range(-8, 8, 3)]
    assert_shift_invariant(wavevit.align(foreign), x, everywhere)
    with pytest.raises(AssertionError):
        assert_shift_invariant(foreign, x, everywhere)
    ours = model_of("test_haar_pyramid")
    assert wavevit.align(ours).alignment.period == 16
    assert wavevit.align(ours, period=32).alignment.period == 32


def test_alignment_is_one_field() -> None:
    plain, locked = model_of("test_vit"), model_of("test_vit", alignment="phase_lock")
    assert dataclasses.replace(plain.config, alignment="phase_lock") == locked.config
    assert plain.state_dict().keys() == locked.state_dict().keys()
