"""Laws of the 1-D and 3-D transforms, over wavelets, modes, sizes and dtypes.

What holds for every public transform (dtypes, layouts, derivatives, vmap, jvp, compilers) is in
the tests of the table, tests/transform_table.py, which has these too.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import pywt
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.export import Dim

from tests.tensors import noise
from wavevit import wavelets
from wavevit.testing import assert_close_relative
from wavevit.wavelets import MODES, Pyramid, filter_bank, kernels, wavelet_names
from wavevit.wavelets._engine import filtering
from wavevit.wavelets._engine.bank_maps import BankMap, decimated
from wavevit.wavelets._kernels import bank_cpu_lines, cpu_threads

ORTHOGONAL = ["haar", "db2", "sym4", "coif1", "db10"]
SOME = [*ORTHOGONAL, "bior2.2", "bior4.4", "rbio3.1"]
DTYPES = [torch.float64, torch.float32, torch.bfloat16]
# A line through two samples, far beyond a short side, is many digits larger than they are.
EXTRAPOLATING = ("antireflect", "smooth")
# A kernel, one axis after the other without one, and what other devices and exports get.
EVALUATIONS = ["kernel", "axes", "convolution"]


@dataclass(frozen=True)
class Dimensions:
    """The transforms of one number of sides, and PyWavelets' names for their bands."""

    dims: int
    keys: tuple[str, ...]
    longest: int
    most_taps: int

    def ours(self, name: str) -> Callable[..., Any]:
        return getattr(wavelets, name + ("" if self.dims == 1 else str(self.dims)))

    @property
    def wavelets(self) -> list[str]:
        return [n for n in wavelet_names() if filter_bank(n).length <= self.most_taps]

    @property
    def axes(self) -> tuple[int, ...]:
        return tuple(range(-self.dims, 0))

    @property
    def bands(self) -> int:
        return len(self.keys)

    def stacked(self, bands: dict[str, Any], keys: tuple[str, ...] | None = None) -> Tensor:
        return torch.stack([torch.from_numpy(bands[key]) for key in keys or self.keys], dim=2)

    def named(self, bands: Tensor) -> dict[str, Any]:
        return {key: bands[:, :, i].numpy() for i, key in enumerate(self.keys)}

    def size(self, x: Tensor) -> Any:
        return x.shape[-1] if self.dims == 1 else tuple(x.shape[2:])

    def draw(self, data: st.DataObject, least: int = 2, multiple: int = 1) -> Tensor:
        side = st.integers(-(-least // multiple), self.longest // multiple)
        sides = data.draw(st.tuples(*[side] * self.dims), label="sides")
        seed = data.draw(st.integers(0, 2**31), label="seed")
        return noise(2, 2, *(multiple * n for n in sides), seed=seed)


SIGNALS = Dimensions(1, ("a", "d"), longest=40, most_taps=1000)
# 100 taps would make a million coefficients of a hundred voxels.
KEYS = tuple(map("".join, itertools.product("ad", repeat=3)))
VOLUMES = Dimensions(3, KEYS, longest=10, most_taps=12)
BOTH = pytest.mark.parametrize("grid", [SIGNALS, VOLUMES], ids=["1-D", "3-D"])


def slack(wavelet: str) -> float:
    """1e-12, and what the published taps of this wavelet miss."""
    return 1e-12 + 12 * filter_bank(wavelet).reconstruction_error


def bounds(dtype: torch.dtype, wavelet: str = "haar") -> float:
    half = 8 * torch.finfo(torch.bfloat16).eps
    return {torch.float64: slack(wavelet), torch.float32: 1e-5}.get(dtype, half)


@BOTH
@given(
    data=st.data(),
    mode=st.sampled_from(MODES),
    way=st.sampled_from(EVALUATIONS),
    piece=st.sampled_from([3, 2**11]),
    dtype=st.sampled_from(DTYPES),
)
def test_one_level_equals_pywavelets(
    grid: Dimensions, data, mode: str, way: str, piece: int, dtype: torch.dtype
) -> None:
    assume(dtype == torch.float64 or mode not in EXTRAPOLATING)
    x, wavelet = grid.draw(data).to(dtype), data.draw(st.sampled_from(grid.wavelets))
    with pytest.MonkeyPatch.context() as patch, kernels(way == "kernel"):
        patch.setattr(bank_cpu_lines, "_PIECE", piece)  # of a line: signals here are short
        if way == "convolution":
            patch.setattr(filtering, "fits", lambda *_: False)
        bands = grid.ours("dwt")(x, wavelet, mode)
        back = grid.ours("idwt")(bands.flip(2), wavelet, mode)
        exact = x.double().clone().requires_grad_()
        again = grid.ours("dwt")(exact, wavelet, mode)
        weights = noise(*again.shape)
        (gradient,) = torch.autograd.grad(again, exact, weights)
    assert bands.dtype == dtype
    bound = 1e-12 if dtype == torch.float64 else bounds(dtype)
    array = x.double().numpy()
    if grid.dims == 1:
        expected = dict(zip("ad", pywt.dwt(array, wavelet, mode), strict=True))
    else:
        expected = pywt.dwtn(array, wavelet, mode, axes=grid.axes)
    assert_close_relative(bands, grid.stacked(expected), bound=bound)
    # For coefficients that are no transform of anything too, hence the reversal.
    mixed = grid.named(bands.flip(2).double())
    theirs = torch.from_numpy(pywt.idwtn(mixed, wavelet, mode, axes=grid.axes))
    assert_close_relative(back, theirs, bound=bound)
    # The gradient is the transpose, whichever evaluation made it.
    again, exact = again.detach(), exact.detach()
    difference = (again * weights).sum() - (gradient * exact).sum()
    assert abs(float(difference)) <= 1e-12 * float(again.norm() * weights.norm())


@BOTH
def test_another_order_of_bands_is_seen(grid: Dimensions) -> None:
    """Negative control of the comparison: two bands in each other's place, or another mode."""
    x = noise(1, 1, *[9] * grid.dims)
    expected = grid.stacked(pywt.dwtn(x.numpy(), "db2", "symmetric", axes=grid.axes))
    for wrong in (expected.flip(2), grid.ours("dwt")(x, "db2", "reflect")):
        with pytest.raises(AssertionError, match="relative error"):
            assert_close_relative(grid.ours("dwt")(x, "db2", "symmetric"), wrong, bound=1e-2)


@BOTH
@pytest.mark.filterwarnings("ignore:Level value of")  # PyWavelets', of deep levels
@given(
    data=st.data(),
    wavelet=st.sampled_from(SOME),
    mode=st.sampled_from(MODES),
    level=st.integers(1, 2),
    dtype=st.sampled_from(DTYPES),
)
def test_levels_equal_pywavelets_and_reconstruct(
    grid: Dimensions, data, wavelet: str, mode: str, level: int, dtype: torch.dtype
) -> None:
    assume(dtype == torch.float64 or mode not in EXTRAPOLATING)
    x = grid.draw(data, least=4).to(dtype)
    pyramid = grid.ours("wavedec")(x, wavelet, mode, level)
    assert isinstance(pyramid, Pyramid)
    array = x.double().numpy()
    if grid.dims == 1:
        approx, *rest = pywt.wavedec(array, wavelet, mode, level)
        details = [{"d": part} for part in rest]
    else:
        approx, *details = pywt.wavedecn(array, wavelet, mode, level, axes=grid.axes)
    bound = 1e-12 if dtype == torch.float64 else bounds(dtype)
    assert_close_relative(pyramid.approx, torch.from_numpy(approx), bound=bound)
    for ours, theirs in zip(pyramid.details, details, strict=True):
        expected = grid.stacked(theirs, grid.keys[1:])
        # Some borders make an approximation grow from level to level, and its rounding with it.
        grown = bound * max(float(pyramid.approx.abs().max() / expected.abs().max()), 1.0)
        assert_close_relative(ours, expected, bound=grown)
    back = grid.ours("waverec")(pyramid, wavelet, mode, grid.size(x))
    grown = max(float(pyramid.approx.abs().max() / x.abs().max()), 1.0)
    assert_close_relative(back, x, bound=4 * level * grown * bounds(dtype, wavelet))


@BOTH
def test_the_inverse_of_another_mode_is_seen(grid: Dimensions) -> None:
    """Negative control of the reconstruction."""
    x = noise(1, 1, *[8] * grid.dims)
    pyramid = grid.ours("wavedec")(x, "db2", "symmetric", 1)
    back = grid.ours("waverec")(pyramid, "db3", "symmetric")
    inside = tuple(slice(0, side) for side in back.shape)
    assert float((back - x[inside]).norm() / x.norm()) > 0.1


@BOTH
@given(data=st.data(), wavelet=st.sampled_from(ORTHOGONAL), dtype=st.sampled_from(DTYPES))
def test_orthogonal_banks_keep_the_energy(
    grid: Dimensions, data, wavelet: str, dtype: torch.dtype
) -> None:
    x = grid.draw(data, multiple=2).to(dtype)
    bands = grid.ours("dwt")(x, wavelet)
    energy = float(bands.double().norm() / x.double().norm())
    assert energy == pytest.approx(1, rel=bounds(dtype, wavelet))
    y = noise(*bands.shape)
    inner = (bands.double() * y).sum() - (x.double() * grid.ours("idwt")(y, wavelet)).sum()
    scale = float(x.double().norm() * y.norm())
    assert abs(float(inner)) <= bounds(dtype, wavelet) * scale


@BOTH
def test_other_banks_do_not_keep_the_energy(grid: Dimensions) -> None:
    """Negative controls: a biorthogonal bank, and an orthogonal one in a redundant mode."""
    x = noise(1, 1, *[8] * grid.dims)
    dwt = grid.ours("dwt")
    for bands in (dwt(x, "bior2.2"), dwt(x, "db4", "symmetric")):
        assert abs(float(bands.norm() / x.norm()) - 1) > 1e-2


@BOTH
@given(
    data=st.data(),
    wavelet=st.sampled_from(["haar", "db2", "bior2.2", "coif2"]),
    level=st.integers(1, 2),
    way=st.sampled_from(EVALUATIONS),
    dtype=st.sampled_from(DTYPES),
)
def test_undecimated_equals_pywavelets(
    grid: Dimensions, data, wavelet: str, level: int, way: str, dtype: torch.dtype
) -> None:
    x = grid.draw(data, least=4, multiple=4).to(dtype)
    with pytest.MonkeyPatch.context() as patch, kernels(way == "kernel"):
        if way == "convolution":
            patch.setattr(import_module("wavevit.wavelets.swt"), "fits", lambda *_: False)
        ours = grid.ours("swt")(x, wavelet, level)
        mixed = ours.cumsum(3)  # no signal's transform
        back = grid.ours("iswt")(mixed, wavelet)
    theirs = pywt.swtn(x.double().numpy(), wavelet, level, axes=grid.axes)
    if grid.dims == 1:
        pairs = pywt.swt(x.double().numpy(), wavelet, level)
        theirs = [dict(zip("ad", pair, strict=True)) for pair in pairs]
    bound = 1e-12 if dtype == torch.float64 else bounds(dtype)
    for index, bands in enumerate(theirs):
        assert_close_relative(ours[:, :, index], grid.stacked(bands), bound=bound)
    parts = [grid.named(mixed[:, :, index].double()) for index in range(level)]
    expected = pywt.iswtn(parts, wavelet, axes=grid.axes)
    assert_close_relative(back, torch.from_numpy(expected), bound=4 * bound)


@BOTH
@given(data=st.data(), wavelet=st.sampled_from(SOME), level=st.integers(1, 3))
def test_undecimated_keeps_shifts_and_inverts(
    grid: Dimensions, data, wavelet: str, level: int
) -> None:
    x = grid.draw(data, least=1)
    shift = data.draw(st.tuples(*[st.integers(-9, 9)] * grid.dims), label="shift")
    swt = grid.ours("swt")
    bands = swt(x, wavelet, level)
    moved = swt(torch.roll(x, shift, grid.axes), wavelet, level)
    assert_close_relative(moved, torch.roll(bands, shift, grid.axes), bound=1e-12)
    bound = 4 * level * slack(wavelet)
    assert_close_relative(grid.ours("iswt")(bands, wavelet), x, bound=bound)


@BOTH
def test_decimated_does_not_keep_odd_shifts(grid: Dimensions) -> None:
    """Negative control: what the undecimated transform keeps."""
    x = noise(1, 1, *[8] * grid.dims)
    before, after = (grid.ours("dwt")(part, "db2") for part in (x, torch.roll(x, 1, -1)))
    rolls = [torch.roll(after, shift, -1) for shift in range(4)]
    assert min(float((roll - before).norm() / before.norm()) for roll in rolls) > 0.5


@BOTH
@pytest.mark.parametrize("wavelet", ["haar", "db3"])
def test_threads_share_the_work(grid: Dimensions, wavelet: str, monkeypatch) -> None:
    x = noise(2, 3, *[12] * grid.dims)
    calls = [lambda x: grid.ours("dwt")(x, wavelet), lambda x: grid.ours("swt")(x, wavelet, 2)]

    def results() -> list[Tensor]:
        found = []
        for call in calls:
            leaf = x.clone().requires_grad_()
            bands = call(leaf)
            found += [bands.detach(), *torch.autograd.grad(bands, leaf, noise(*bands.shape))]
        return found

    monkeypatch.setattr(bank_cpu_lines, "_PIECE", 2)  # several pieces of a line
    expected = results()
    monkeypatch.setattr(cpu_threads, "_GRAIN", 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    for ours, one_thread in zip(results(), expected, strict=True):
        torch.testing.assert_close(ours, one_thread, rtol=0, atol=0)


def test_coefficients_of_another_size_are_refused() -> None:
    """A kernel trusts the shapes: it would read the memory of another tensor."""
    for size in ((5,), (2, 3, 4)):
        bank_map = BankMap(decimated(filter_bank("db2"), "analysis", "zero"), "zero", size)
        given = noise(1, 1, *size)
        bank_map.run([given])
        for each, x in ((bank_map, given), (bank_map.transpose, bank_map.run([given])[0])):
            with pytest.raises(ValueError, match="coefficients: expected shapes"):
                each.run([x[..., 1:]])


class _RoundTrip(nn.Module):
    """Every transform of one number of sides, forth and back."""

    def __init__(self, grid: Dimensions) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        ours, size = self.grid.ours, tuple(x.shape[2:])
        given = size[0] if self.grid.dims == 1 else size
        bands = ours("dwt")(x, "bior2.2", "reflect")
        pyramid = ours("wavedec")(x, "db2", "smooth", 2)
        return (
            bands,
            ours("idwt")(bands, "bior2.2", "reflect", given),
            ours("waverec")(pyramid, "db2", "smooth", given),
            ours("iswt")(ours("swt")(x), "haar"),
        )


@pytest.mark.parametrize(
    "grid",
    [pytest.param(SIGNALS, id="1-D"), pytest.param(VOLUMES, id="3-D", marks=pytest.mark.nightly)],
)
def test_exports_with_symbolic_sizes(grid: Dimensions) -> None:
    program = torch.export.export(
        _RoundTrip(grid), (example(grid),), dynamic_shapes=symbolic_sizes(grid)
    )
    check_round_trips(grid, program.module())


def symbolic_sizes(grid: Dimensions) -> dict[str, dict[int, Dim]]:
    symbols = {2 + axis: Dim(f"side{axis}", min=9, max=512) for axis in range(grid.dims)}
    return {"x": {0: Dim("batch", max=64), **symbols}}


def example(grid: Dimensions) -> Tensor:
    return noise(2, 1, *(12, 17, 10)[: grid.dims]).float()


def check_round_trips(grid: Dimensions, function: Callable[[Tensor], Any]) -> None:
    """Of sizes that the graph was not made with."""
    for batch, side in ((1, 10), (3, 19)):
        x = noise(batch, 1, *range(side, side + grid.dims)).float()
        bands, *back = function(x)
        assert_close_relative(bands, grid.ours("dwt")(x, "bior2.2", "reflect"))
        for each in back:
            assert_close_relative(each, x, depth=4)


@BOTH
@pytest.mark.nightly
def test_runs_in_onnxruntime(grid: Dimensions, tmp_path: Path) -> None:
    path = tmp_path / "transform.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            _RoundTrip(grid),
            (example(grid),),
            path,
            dynamo=True,
            dynamic_shapes=symbolic_sizes(grid),
            verbose=False,
        )
    session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    check_round_trips(
        grid, lambda x: [torch.from_numpy(y) for y in session.run(None, {name: x.numpy()})]
    )


def test_names_of_functions_are_not_their_files() -> None:
    """The package has files `dwt` and `swt` too: its attributes are the functions."""
    assert wavelets.dwt.__name__ == "dwt"
    assert wavelets.swt.__name__ == "swt"
    assert callable(wavelets.dwt)
    assert callable(wavelets.swt)
