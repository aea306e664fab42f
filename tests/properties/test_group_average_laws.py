"""`group_average` with K phases: lattices of phases, exact laws on their subgroup, cost."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import wavevit
from tests.aligned_vit import PERIOD, Patches
from tests.examples import examples
from wavevit.alignment import (
    AlignedModel,
    GroupAverage,
    PhaseLock,
    allowed_phases,
    phase_lattice,
)
from wavevit.testing import assert_close_relative, assert_shift_equivariant, assert_shift_invariant
from wavevit.testing.strategies import images, sizes

SIDES = sizes(8, 16, multiple=PERIOD)
FEW = [2, 4, 8, 16]


def noise(side: int = 16, dtype: torch.dtype = torch.float64) -> Tensor:
    x = torch.randn(2, 2, side, side, generator=torch.Generator().manual_seed(0))
    return x.to(dtype)


def averaged(phases: int | None, model: nn.Module | None = None, **options: Any) -> AlignedModel:
    model = Patches() if model is None else model
    return wavevit.align(model, "group_average", PERIOD, phases=phases, **options)


class ToPixels(Patches):
    """A dense output with a value for each pixel, made inside the model.

    Cells are repeated: interpolation would clamp at the border, and so keep no circular shift.
    """

    def __init__(self) -> None:
        super().__init__(dense=True)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(super().forward(x)[:, :4], x.shape[-2:], mode="nearest")


# Lattices.


def length(offset: tuple[int, ...], period: int) -> int:
    """Squared distance to zero, across the border of the period too."""
    return sum(min(k % period, -k % period) ** 2 for k in offset)


def generated(period: int, *generators: tuple[int, int]) -> frozenset[tuple[int, ...]]:
    times = itertools.product(range(period), repeat=len(generators))
    return frozenset(
        tuple(
            sum(t * g[axis] for t, g in zip(ts, generators, strict=True)) % period
            for axis in (0, 1)
        )
        for ts in times
    )


@pytest.mark.parametrize("period", [1, 4, 6, 7, 8, 14, 16])
def test_phases_are_a_subgroup_and_its_dual_is_the_same_lattice_turned(period: int) -> None:
    allowed = allowed_phases((period, period))
    assert allowed == [k for k in range(1, period**2 + 1) if period**2 % k == 0]
    for phases in allowed:
        found = phase_lattice((period, period), phases)
        assert found == tuple(sorted(set(found)))
        assert len(found) == phases
        assert found[0] == (0, 0)
        sums = {((a + c) % period, (b + d) % period) for a, b in found for c, d in found}
        assert sums == set(found)
        grid = itertools.product(range(period), repeat=2)
        dual = {(m, n) for m, n in grid if all((m * a + n * b) % period == 0 for a, b in found)}
        # The lattice with whole periods, turned by a right angle and scaled by K / P.
        wide = {
            (a + i * period, b + j * period)
            for a, b in found
            for i in range(period)
            for j in range(period)
        }
        turned = {(b * phases // period % period, -a * phases // period % period) for a, b in wide}
        assert dual == turned


@pytest.mark.parametrize("period", [4, 6, 7])
def test_phases_are_as_far_apart_as_any_subgroup_has_them(period: int) -> None:
    offsets = list(itertools.product(range(period), repeat=2))
    best: dict[int, int] = {}
    for pair in itertools.combinations_with_replacement(offsets, 2):
        group = generated(period, *pair)
        nearest = min((length(k, period) for k in group if any(k)), default=0)
        best[len(group)] = max(best.get(len(group), 0), nearest)
    for phases in allowed_phases((period, period)):
        found = phase_lattice((period, period), phases)
        assert min((length(k, period) for k in found if any(k)), default=0) == best[phases]


@pytest.mark.parametrize("period", [8, 14, 16, 32])
def test_squares_and_checkerboards_where_they_exist(period: int) -> None:
    for k in [k for k in (1, 2, 4, 7, 8, 16) if period % k == 0]:
        step = period // k
        square = [(i * step, j * step) for i in range(k) for j in range(k)]
        assert phase_lattice((period, period), k * k) == tuple(square)
        if step % 2 == 0:
            centres = [(a + step // 2, b + step // 2) for a, b in square]
            assert phase_lattice((period, period), 2 * k * k) == tuple(sorted(square + centres))


# Laws of the average.


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, tuple[int, int]]:
    """A number of phases, and a shift of its subgroup."""
    phases = draw(st.sampled_from(FEW))
    steps = draw(st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
    offset = draw(st.sampled_from(phase_lattice((PERIOD, PERIOD), phases)))
    return phases, (offset[0] + PERIOD * steps[0], offset[1] + PERIOD * steps[1])


@examples(daily=10)
@given(x=images(SIDES, SIDES), case=cases())
def test_invariant_to_the_shifts_of_the_subgroup(x: Tensor, case: tuple[int, Any]) -> None:
    phases, shift = case
    assert_shift_invariant(averaged(phases), x, [shift], bound=1e-9)


@examples(daily=6)
@given(x=images(SIDES, SIDES), case=cases())
def test_pixel_maps_move_with_the_shifts_of_the_subgroup(x: Tensor, case: tuple[int, Any]) -> None:
    phases, shift = case
    model = averaged(phases, ToPixels())
    with torch.no_grad():
        moved, still = model(torch.roll(x, shift, (-2, -1))), model(x)
    assert_close_relative(moved, torch.roll(still, shift, (-2, -1)), bound=1e-9)


@pytest.mark.parametrize("phases", FEW)
def test_maps_of_tokens_move_by_whole_cells(phases: int) -> None:
    model = averaged(phases, Patches(dense=True))
    assert_shift_equivariant(model, noise(), [(4, 0), (-8, 4)], bound=1e-9)


@pytest.mark.parametrize("phases", FEW[:-1])
@pytest.mark.parametrize("dense", [False, True])
def test_negative_control_other_shifts_change_the_output(phases: int, dense: bool) -> None:
    """A shift by one pixel is in no subgroup but the whole."""
    model, x = averaged(phases, ToPixels() if dense else Patches()), noise()
    assert (0, 1) not in phase_lattice((PERIOD, PERIOD), phases)
    with torch.no_grad():
        moved, still = model(torch.roll(x, 1, -1)), model(x)
    if dense:
        still = torch.roll(still, 1, -1)
    assert float((moved - still).norm() / still.norm()) > 1e-3


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 4e-2)])
def test_invariant_in_lower_precision(dtype: torch.dtype, bound: float) -> None:
    model, x = averaged(4).to(dtype), noise(dtype=dtype)
    with torch.no_grad():
        moved, still = model(torch.roll(x, (2, 2), (-2, -1))), model(x)
    assert still.dtype == dtype
    assert_close_relative(moved, still, bound=bound)


@pytest.mark.parametrize("dense", [False, True])
def test_all_phases_are_the_full_average(dense: bool) -> None:
    x = noise(8)
    with torch.no_grad():
        assert_close_relative(
            averaged(PERIOD**2, Patches(dense))(x), averaged(None, Patches(dense))(x), bound=1e-12
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_phase_is_the_model_bit_for_bit(dtype: torch.dtype) -> None:
    for model in (Patches().to(dtype), Patches(dense=True).to(dtype)):
        x = noise(12, dtype)
        with torch.no_grad():
            assert torch.equal(averaged(1, model)(x), model(x))


def test_average_and_gradient_are_those_of_shifted_images() -> None:
    """Computed by hand: four rolls, and maps rolled back."""
    x = noise(8).requires_grad_()
    for model in (Patches(), ToPixels()):
        got = averaged(4, model)(x)
        views = []
        for row, column in ((0, 0), (0, 2), (2, 0), (2, 2)):
            view = model(torch.roll(x, (-row, -column), (-2, -1)))
            views.append(torch.roll(view, (row, column), (-2, -1)) if view.ndim == 4 else view)
        expected = torch.stack(views).mean(dim=0)
        assert_close_relative(got, expected, bound=1e-12)
        slopes = [torch.autograd.grad(y.square().sum(), x)[0] for y in (got, expected)]
        assert_close_relative(*slopes, bound=1e-12)


@pytest.mark.parametrize(("limit", "calls"), [(None, [8]), (3, [3, 3, 2]), (8, [8])])
def test_phases_are_one_call_unless_memory_is_limited(limit: int | None, calls: list[int]) -> None:
    seen: list[int] = []
    model, x = averaged(4, max_views=limit), noise(8)
    model.model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    with torch.no_grad():
        limited = model(x)
        assert seen == calls
        assert isinstance(model.alignment, GroupAverage)
        assert model.alignment.calls(x).tolist() == [4, 4]
        assert_close_relative(limited, averaged(4)(x), bound=1e-12)


def test_compiles_in_one_graph() -> None:
    layers = [nn.Conv2d(2, 6, PERIOD, PERIOD), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = averaged(2, nn.Sequential(*layers).double())
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert_close_relative(compiled(noise(8)), model(noise(8)), bound=1e-9)


# Periods.


def test_backbone_reads_the_options() -> None:
    few: dict[str, Any] = {
        "alignment": "group_average",
        "alignment_options": {"phases": 4},
    }
    ours: dict[str, Any] = {"img_size": 16, "in_chans": 2, "patch_size": PERIOD, "num_classes": 3}
    torch.manual_seed(0)
    plain = wavevit.create_model("test_vit", position="none", pool="avg", **ours).double().eval()
    torch.manual_seed(0)
    model = wavevit.create_model("test_vit", position="none", pool="avg", **ours, **few)
    model = model.double().eval()
    x = noise()
    with torch.no_grad():
        assert_close_relative(model(x), averaged(4, plain)(x), bound=1e-12)
    assert wavevit.BackboneConfig.from_dict(model.config.to_dict()) == model.config
    with pytest.raises(ValueError, match=r"phases: expected one of 1, 2, 4, 8, 16 for .* got 3"):
        wavevit.create_model(
            "test_vit",
            position="none",
            alignment="group_average",
            alignment_options={"phases": 3, "period": 4},
        )


def test_without_a_shift_period_few_phases_are_those_of_the_stride() -> None:
    """Phases of the whole image would be whole patches apart."""
    few: dict[str, Any] = {"alignment": "group_average", "img_size": 32}
    for options, period in (({"phases": 4}, 16), ({"phases": 4, "period": 8}, 8), (None, None)):
        model = wavevit.create_model("test_vit", alignment_options=options, **few)
        assert isinstance(model, wavevit.Backbone)
        assert model.symmetry.lockable_period is None
        assert isinstance(model.alignment, GroupAverage)
        assert model.alignment.period == period
    plain = wavevit.create_model("test_vit", img_size=32)
    aligned = wavevit.align(plain, "group_average", phases=4)
    assert (aligned.period, aligned.period_source) == (16, "stride")
    assert wavevit.align(plain, "group_average").period is None


def test_declared_shifts() -> None:
    """In words, as the model card has them."""
    for phases, kept, words in (
        (None, None, "every circular shift"),
        (16, 4, "every circular shift"),
        (4, 4, "circular shifts between 4 phases of 4 pixels"),
        (4, 2, "circular shifts between 4 phases of 4 pixels"),
        (4, None, "none exactly"),
        (4, 8, "none exactly"),
    ):
        assert GroupAverage(4, phases).kept_shifts(kept).startswith(words)
    assert PhaseLock(4, "window").kept_shifts(4) == "none exactly"


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"phases: expected one of 1, 2, 4, 8, 16, 32, 64 for a"):
        wavevit.align(Patches(), "group_average", 8, phases=5)
    with pytest.raises(ValueError, match="phases: expected an integer of at least 1, got 0"):
        GroupAverage(8, phases=0)
    with pytest.raises(ValueError, match="max_views: expected an integer of at least 1, got 0"):
        GroupAverage(8, max_views=0)
    with pytest.raises(ValueError, match="period: expected the stride of the model's grid in pix"):
        wavevit.align(nn.Conv2d(2, 2, 4, 4), "group_average", phases=4)
    with pytest.raises(ValueError, match=r"phases: expected one of 1, 2, 3, 6, 9, 18, 27, 54, 81,"):
        GroupAverage(None, phases=4)(noise(9).repeat(1, 1, 1, 2))
