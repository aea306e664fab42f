"""What each alignment promises: invariance, maps that follow, continuity; and what fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import wavevit
from tests.aligned_vit import EXACT, PERIOD, SIDES, Patches, aligned
from tests.examples import examples
from wavevit.alignment import (
    METHODS,
    PhaseLock,
    PhaseTree,
    Polyphase,
    WeightedFrame,
    fourier_shift,
    phase_of,
    place_map,
)
from wavevit.measure import jump_scan
from wavevit.testing import assert_close_relative, assert_shift_invariant
from wavevit.testing.strategies import images, shifts, sizes


@pytest.mark.parametrize("name", EXACT)
@examples(daily=12)
@given(x=images(SIDES, SIDES), shift=shifts())
def test_exact_methods_are_invariant(name: str, x: Tensor, shift: tuple[int, int]) -> None:
    if name == "group_average":  # as many calls as pixels where the period divides no side
        x = x[..., :10, :10]
    assert_shift_invariant(aligned(name), x, [shift], bound=1e-9)


@pytest.mark.parametrize("model", ["none", "blur"])
def test_negative_control_lock_fails_without_a_phase(model: str) -> None:
    """Negative control, and what blur is: better, not exact."""
    x = torch.randn(2, 2, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    tried = Patches() if model == "none" else wavevit.align(Patches(), "blur")
    with pytest.raises(AssertionError, match="not invariant"):
        assert_shift_invariant(tried, x, [(0, 1)])


@pytest.mark.parametrize("name", ["test_swin", "test_pvt_v2", "test_haar_pyramid"])
@pytest.mark.parametrize("method", ["none", "polyphase", "weighted_frame"])
def test_families(name: str, method: str) -> None:
    """Zero padding and windows keep no shift: the whole image is then the period."""
    torch.manual_seed(0)
    model = wavevit.create_model(name, img_size=32, num_classes=3, alignment=method)
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    model = model.double().eval()
    if method == "none":
        with pytest.raises(AssertionError, match="not invariant"):
            assert_shift_invariant(model, x, [(0, 1)])
    else:
        assert_shift_invariant(model, x, [(0, 1), (3, -5), (16, 9)])


# Dense outputs: the map as a function of pixel coordinates moves with the image.


def circular_interpolation(m: np.ndarray, centres: np.ndarray, at: np.ndarray, side: int) -> Any:
    """Oracle: numpy's own periodic interpolation, along the last axis."""
    flat = m.reshape(-1, m.shape[-1])
    rows = [np.interp(at, centres, row, period=side) for row in flat]
    return np.stack(rows).reshape(*m.shape[:-1], len(at))


@given(
    x=images(sizes(1, 5), sizes(1, 5), batch=1),
    stride=st.integers(1, 4),
    cut=st.integers(0, 3),
    offset=st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
)
def test_place_map_is_periodic_interpolation(
    x: Tensor, stride: int, cut: int, offset: tuple[float, float]
) -> None:
    size = tuple(max(n * stride - min(cut, stride - 1), 1) for n in x.shape[-2:])
    expected = x.numpy()
    for axis in (2, 3):
        side, cells = size[axis - 2], x.shape[axis]
        pixels = np.minimum(np.arange(cells * stride), side - 1)
        centres = pixels.reshape(cells, stride).mean(axis=1)
        moved = circular_interpolation(
            np.moveaxis(expected, axis, -1), centres, centres - offset[axis - 2], side
        )
        expected = np.moveaxis(moved, -1, axis)
    got = place_map(x, torch.tensor([offset], dtype=torch.float64), size, stride)
    assert_close_relative(got, torch.from_numpy(expected.copy()), bound=1e-9)


@pytest.mark.parametrize("name", EXACT)
@examples(daily=8)
@given(
    x=images(sizes(8, 16, multiple=PERIOD), sizes(8, 16, multiple=PERIOD)),
    steps=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
)
def test_maps_roll_by_whole_cells(name: str, x: Tensor, steps: tuple[int, int]) -> None:
    model = aligned(name, dense=True)
    shift = (PERIOD * steps[0], PERIOD * steps[1])
    with torch.no_grad():
        moved, still = model(torch.roll(x, shift, (-2, -1))), model(x)
    assert_close_relative(moved, torch.roll(still, steps, (-2, -1)), bound=1e-9)


@pytest.mark.parametrize("name", EXACT)
@examples(daily=6)
@given(x=images(SIDES, SIDES), shift=shifts())
def test_pixel_maps_roll_by_every_pixel(name: str, x: Tensor, shift: tuple[int, int]) -> None:
    """Upsampled inside the model, a map has a cell for each pixel: exact for every shift."""
    pixels = wavevit.align(ToPixels(), name.split()[0], None, **EXACT[name])
    if name == "group_average":
        x = x[..., :8, :8]
    with torch.no_grad():
        moved, still = pixels(torch.roll(x, shift, (-2, -1))), pixels(x)
    assert_close_relative(moved, torch.roll(still, shift, (-2, -1)), bound=1e-9)


class ToPixels(Patches):
    def __init__(self) -> None:
        super().__init__(dense=True)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(super().forward(x)[:, :4], x.shape[-2:], mode="bilinear")


@examples(daily=10)
@given(x=images(sizes(32, 48, multiple=16), sizes(32, 48, multiple=16), channels=1), shift=shifts())
def test_feature_pyramids_follow_as_functions_of_pixels(x: Tensor, shift: tuple[int, int]) -> None:
    """Maps of T_s x are the canonical map (of the aligned image), moved by the offset plus s."""
    torch.manual_seed(0)
    plain = wavevit.create_model("test_haar_pyramid", in_chans=1, img_size=32, features_only=True)
    torch.manual_seed(0)
    locked = wavevit.create_model(
        "test_haar_pyramid", in_chans=1, img_size=32, features_only=True, alignment="phase_lock"
    )
    plain, locked = plain.double().eval(), locked.double().eval()
    period = plain.symmetry.lockable_period
    offset = phase_of(x, period).offset
    with torch.no_grad():
        canonical = plain(PhaseLock(period)(x))
        moved = locked(torch.roll(x, shift, (-2, -1)))
    size = (x.shape[-2], x.shape[-1])
    for own, got, stride in zip(canonical, moved, plain.feature_info.reduction(), strict=True):
        expected = place_map(own, (offset + torch.tensor(shift)).double(), size, stride)
        assert_close_relative(got, expected, bound=1e-9)


# Sub-pixel shifts.


def band_limited(x: Tensor, period: int) -> Tensor:
    """Without frequencies above 1/2 - 1/P cycles per pixel, along either axis."""
    spectrum = torch.fft.fft2(x)
    for axis in (-2, -1):
        frequency = torch.fft.fftfreq(x.shape[axis], dtype=torch.float64).abs()
        kept = (frequency < 0.5 - 1 / period - 1e-9).to(x)
        spectrum = spectrum * (kept[:, None] if axis == -2 else kept)
    return torch.fft.ifft2(spectrum).real


@examples(daily=15)
@given(
    x=images(sizes(16, 32, multiple=8), sizes(16, 32, multiple=8)),
    shift=st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
)
def test_fractional_lock_undoes_subpixel_shifts(x: Tensor, shift: tuple[float, float]) -> None:
    x = band_limited(x, 8)
    lock = PhaseLock(8, shift="fractional")
    model = Patches()  # keeps shifts by 4, and so by 8
    with torch.no_grad():
        still, moved = model(lock(x)), model(lock(fourier_shift(x, shift)))
    assert_close_relative(moved, still, bound=1e-9)


def test_the_integer_lock_does_not_and_the_band_limit_is_needed() -> None:
    """Negative controls of the law above."""
    x = torch.randn(2, 2, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    model, half = Patches(), (0.5, 0.3)
    for lock, image in ((PhaseLock(8), band_limited(x, 8)), (PhaseLock(8, shift="fractional"), x)):
        with torch.no_grad():
            still, moved = model(lock(image)), model(lock(fourier_shift(image, half)))
        assert float((moved - still).norm() / still.norm()) > 1e-4


# Continuity.


def path_images() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(4, 2, 16, 16, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *(
            (n, p)
            for n in ("phase_lock fractional", "weighted_frame")
            for p in ("subpixel", "line")
        ),
        pytest.param("group_average", "subpixel", marks=pytest.mark.nightly),
        ("group_average", "line"),
    ],
)
def test_continuous_methods_pass_the_jump_scan(name: str, path: str) -> None:
    # A group average calls its model for every phase: two of the paths take it ten seconds.
    images = path_images()[: 2 if name == "group_average" else 4]
    # Steps of the weights are steep at the default threshold, but they are slopes.
    scan = jump_scan(aligned(name), images, path=path, steps=64, candidates=8)
    assert not any(scan.jumps()), scan


@pytest.mark.parametrize("name", ["polyphase", "phase_tree", "phase_lock"])
def test_negative_control_hard_choices_jump(name: str) -> None:
    """Argmax, bits and rounding: each steps somewhere between two images."""
    scan = jump_scan(aligned(name), path_images(), path="line", steps=64, candidates=8)
    assert any(scan.jumps()), scan
    assert scan.largest_jump > 1e-3


@pytest.mark.parametrize("name", EXACT)
def test_images_of_a_batch_do_not_meet_and_half_precision_works(name: str) -> None:
    x, model = path_images(), aligned(name)
    with torch.no_grad():
        together = model(x)
        for index in range(len(x)):
            assert_close_relative(together[index], model(x[index : index + 1])[0], bound=1e-12)
        half = model.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert_close_relative(half.double(), together, bound=0.15)


@pytest.mark.parametrize("threshold", [0.01, 0.3, 1.0])
def test_weights_are_shares_and_calls_grow_with_the_threshold(threshold: float) -> None:
    x = path_images()
    views = WeightedFrame(PERIOD, threshold=threshold).views(x)
    sums = torch.zeros(len(x), dtype=torch.float64).index_add(0, views.image, views.weight)
    assert_close_relative(sums, torch.ones_like(sums), bound=1e-12)
    assert (WeightedFrame(PERIOD, threshold=threshold).calls(x) == views.image.bincount()).all()
    assert (WeightedFrame(PERIOD, threshold=1.0).calls(x) >= views.image.bincount()).all()
    bounded = WeightedFrame(PERIOD, threshold=threshold, max_phases=2)
    assert int(bounded.calls(x).max()) <= 2


@pytest.mark.parametrize("name", ["weighted_frame", "group_average"])
def test_views_go_a_batch_at_a_time_and_change_nothing(name: str) -> None:
    model, x, sizes_seen = aligned(name), path_images().requires_grad_(), []
    model.model.register_forward_pre_hook(lambda _, inputs: sizes_seen.append(len(inputs[0])))
    with torch.no_grad():
        alone = model(x)
    pieces = model(x)
    calls = int(model.alignment.calls(x).sum())
    assert max(sizes_seen) <= len(x)
    assert sum(sizes_seen) == 2 * calls
    views = model.alignment.views(x)
    outputs = views.weight[:, None] * model.model(model.alignment(x))
    whole = torch.zeros_like(pieces).index_add(0, views.image, outputs)
    assert_close_relative(alone, whole, bound=1e-12)
    assert_close_relative(pieces, whole, bound=1e-12)
    slopes = [torch.autograd.grad(y.square().sum(), x)[0] for y in (pieces, whole)]
    assert_close_relative(*slopes, bound=1e-12)
    sizes_seen.clear()
    with pytest.MonkeyPatch.context() as patch:  # a graph of as many calls would not end
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        assert_close_relative(model(x), whole, bound=1e-12)
    assert sizes_seen == [calls]


@pytest.mark.parametrize("make", [Polyphase, PhaseTree, PhaseLock])
@examples(daily=15)
@given(x=images(SIDES, SIDES), shift=shifts())
def test_offsets_move_with_the_image(make: type, x: Tensor, shift: tuple[int, int]) -> None:
    alignment = make(PERIOD)
    still, moved = (alignment.views(i).offset for i in (x, torch.roll(x, shift, (-2, -1))))
    span = torch.tensor([PERIOD if side % PERIOD == 0 else side for side in x.shape[-2:]])
    assert torch.equal((still + torch.tensor(shift)) % span, moved)


# A group average is one model called many times: the same graph, twenty times as long. A phase lock
# is compiled by day in front of a model: tests/contract/test_backbone.py.
COMPILED = [
    pytest.param(name, marks=[pytest.mark.nightly] * (name in ("group_average", "phase_lock")))
    for name in EXACT
    if name != "weighted_frame"
]


@pytest.mark.parametrize("name", COMPILED)
def test_compiles_in_one_graph(name: str) -> None:
    """In front of a model of three layers, since what is compiled here is the alignment."""
    layers = [nn.Conv2d(2, 6, PERIOD, PERIOD), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = wavevit.align(nn.Sequential(*layers).double(), name.split()[0], PERIOD, **EXACT[name])
    x = path_images()
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert_close_relative(compiled(x), model(x), bound=1e-9)


def test_every_method_is_tested_here() -> None:
    tested = {name.split()[0] for name in EXACT}
    assert tested | {"none", "blur"} == set(METHODS)
