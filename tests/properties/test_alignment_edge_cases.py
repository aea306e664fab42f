"""Where there is no phase, or two: constant images, stripes, mirrors, ties, odd circles."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import wavevit
from tests.aligned_vit import EXACT, PERIOD, Patches, aligned
from wavevit.alignment import (
    PhaseLock,
    Polyphase,
    phase_of,
)
from wavevit.testing import assert_shift_invariant


def special_images() -> dict[str, Tensor]:
    line = torch.arange(16)
    generator = torch.Generator().manual_seed(5)
    half = torch.rand(1, 2, 16, 8, generator=generator, dtype=torch.float64)
    impulse = torch.zeros(1, 2, 16, 16, dtype=torch.float64)
    impulse[..., 5, 11] = 1
    stripes = {
        f"stripes of period {p}": ((line % p) < p // 2).double().expand(1, 2, 16, 16)
        for p in (2, 4)
    }
    boards = {
        f"checkerboard of period {p}": (
            ((line[:, None] // (p // 2) + line // (p // 2)) % 2).double().expand(1, 2, 16, 16)
        )
        for p in (2, 4)
    }
    return {
        "constant": torch.full((1, 2, 16, 16), 0.1, dtype=torch.float64),
        "impulse": impulse,
        **stripes,
        **boards,
        "mirrored about half a pixel": torch.cat([half, half.flip(-1)], dim=-1),
        "mirrored about a pixel": torch.cat([half, half.flip(-1).roll(1, -1)], dim=-1),
    }


SPECIAL = special_images()


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", EXACT)
def test_special_images_give_finite_deterministic_outputs(name: str, kind: str) -> None:
    x, model = SPECIAL[kind].clone().requires_grad_(), aligned(name)
    output = model(x)
    (gradient,) = torch.autograd.grad(output.sum(), x)
    assert torch.isfinite(output).all()
    assert torch.isfinite(gradient).all()
    assert torch.equal(output, model(x))


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["weighted_frame", "group_average"])
def test_averages_are_exact_for_special_images_too(name: str, kind: str) -> None:
    # Fewer shifts than below, because an average calls its model for many phases of each.
    everywhere = [(0, 1), (1, 0), (0, 2), (3, 7), (1, 2)]
    assert_shift_invariant(aligned(name), SPECIAL[kind], everywhere)


@pytest.mark.parametrize("kind", [kind for kind in SPECIAL if kind[:3] in ("imp", "mir")])
@pytest.mark.parametrize("name", ["phase_lock", "phase_lock fractional"])
def test_mirror_images_are_no_tie_for_the_lock(name: str, kind: str) -> None:
    everywhere = [(i, j) for i in (0, 1, 3) for j in (0, 1, 2, 7)]
    assert_shift_invariant(aligned(name), SPECIAL[kind], everywhere)


def test_stripes_have_margin_zero() -> None:
    """Period 2 in a grid of 4: no harmonic. The margin is 0, the offset 0, the output moves."""
    x = SPECIAL["stripes of period 2"]
    phase = phase_of(x, PERIOD)
    assert float(phase.margin.max()) < 1e-12
    assert not phase.offset.any()
    with pytest.raises(AssertionError, match="not invariant"):
        assert_shift_invariant(aligned("phase_lock"), x, [(0, 1)])


@pytest.mark.parametrize(
    ("period", "width", "has_phase"),
    [(16, 8, False), (8, 4, False), (8, 1, False), (4, 1, False), (16, 1, True), (16, 4, True)],
)
def test_stripes_have_a_phase_unless_their_edges_repeat_sooner(
    period: int, width: int, has_phase: bool
) -> None:
    """In a grid of 16 pixels. Equal stripes of period 16 have an edge every 8: no harmonic."""
    line = (torch.arange(64) % period < width).double().expand(1, 1, 64, 64)
    margin = float(phase_of(line, 16).margin[0, 1])
    assert margin > 0.5 if has_phase else margin < 1e-12


def test_ties_of_polyphase() -> None:
    """Two phases of equal energy but different content: the first index wins, whichever it is."""
    x = torch.zeros(1, 2, 16, 16, dtype=torch.float64)
    x[0, 0, 0, 0], x[0, 1, 1, 1] = 1, 1
    with pytest.raises(AssertionError, match="not invariant"):
        assert_shift_invariant(aligned("polyphase"), x, [(0, 3), (3, 3)])
    assert_shift_invariant(aligned("weighted_frame"), x, [(0, 3), (3, 3)])


def nearly_tied(gap: float) -> Tensor:
    """Float32 images whose two strongest phases differ in energy by this share of it."""
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(32, 2, 64, 64, generator=generator, dtype=torch.float64)
    first, second = x[..., 0::4, 0::4], x[..., 1::4, 2::4]
    for phase, energy in ((first, 2.0), (second, 2.0 * (1 - gap))):
        phase *= (energy * 256 / phase.square().sum(dim=(1, 2, 3), keepdim=True)).sqrt()
    rest = torch.ones(4, 4, dtype=torch.float64)
    rest[0, 0] = rest[1, 2] = 1 / 0.3
    return (x * (0.3 * rest).repeat(16, 16)).float()


@pytest.mark.parametrize(("gap", "exact"), [(1e-5, True), (1e-8, False)])
def test_in_float32_polyphase_needs_a_gap(gap: float, exact: bool) -> None:
    """Sums in another order round differently: some image's tie goes the other way."""
    x, rolls = nearly_tied(gap), [(1, 0), (17, 5), (2, 31), (33, 50)]
    still = Polyphase(PERIOD).views(x).offset
    kept = [
        torch.equal((still + torch.tensor(s)) % PERIOD, Polyphase(PERIOD).views(r).offset)
        for s, r in ((s, torch.roll(x, s, (-2, -1))) for s in rolls)
    ]
    assert all(kept) == exact
    locks = [PhaseLock(PERIOD).views(torch.roll(x, s, (-2, -1))).offset for s in rolls]
    base = PhaseLock(PERIOD).views(x).offset
    for s, offset in zip(rolls, locks, strict=True):  # the lock knows no such tie
        assert torch.equal((base + torch.tensor(s)) % PERIOD, offset)


def test_an_odd_circle_is_aligned_as_a_whole() -> None:
    """On 65 x 65 pixels no shift by 4 exists that keeps a grid: the side is the period."""
    x = torch.randn(1, 2, 65, 65, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for name in ("polyphase", "phase_lock", "phase_lock fractional", "phase_tree"):
        assert_shift_invariant(aligned(name), x, [(0, 1), (33, -4)])


@pytest.mark.parametrize("name", [*EXACT, "phase_lock with a gate"])
def test_an_image_with_nan_gives_nan_and_the_others_stay(name: str) -> None:
    gated = name not in EXACT
    model = wavevit.align(Patches(), "phase_lock", PERIOD, gate=0.5) if gated else aligned(name)
    generator = torch.Generator().manual_seed(6)
    x = torch.rand(3, 2, 16, 16, generator=generator, dtype=torch.float64)
    broken = x.clone()
    broken[1, 0, 3, 5] = torch.nan
    with torch.no_grad():
        expected, found = model(x), model(broken)
    assert bool(found[1].isnan().all())
    assert torch.equal(found[[0, 2]], expected[[0, 2]])
