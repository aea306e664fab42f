"""What every public transform keeps to, whichever it is: dtypes, layouts, autocast, meta, graphs.

Derivatives of the same table: tests/properties/test_transform_derivatives.py. Exports with free
sizes and onnxruntime: tests/unit/test_wavelet_graphs.py.
"""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor, nn

from tests.transform_table import CALLS, SIZE, TRANSFORMS, call, flat, noise
from wavevit import wavelets
from wavevit.testing import assert_close_relative
from wavevit.wavelets import (
    DTCWT2,
    DWT2,
    IDTCWT2,
    IDWT2,
    ISWT2,
    SWT2,
    Lifting,
    Scattering2,
    WaveDec2,
    WaveRec2,
    dtcwt2,
    dwt2,
    swt2,
    wavedec2,
)

EVERY = pytest.mark.parametrize(("name", "way"), CALLS)

# A module, and what it is given.
MODULES = {
    "DWT2": (lambda: DWT2("db3", "reflect"), lambda x: x),
    "IDWT2": (lambda: IDWT2("db3", "reflect"), lambda x: dwt2(x, "db3", "reflect")),
    "WaveDec2": (lambda: WaveDec2("db2", "zero", 2), lambda x: x),
    "WaveRec2": (lambda: WaveRec2("db2", "zero"), lambda x: wavedec2(x, "db2", "zero", 2)),
    "SWT2": (lambda: SWT2("db2", 2), lambda x: x),
    "ISWT2": (lambda: ISWT2("db2"), lambda x: swt2(x, "db2", 2)),
    "DTCWT2": (lambda: DTCWT2(2), lambda x: x),
    "IDTCWT2": (lambda: IDTCWT2(), lambda x: dtcwt2(x, 2)),
    "Scattering2": (lambda: Scattering2(2, 2), lambda x: x),
    "Lifting": (lambda: Lifting(2, "cdf5/3", steps=2), lambda x: x),
}
# Public, and no transform of images.
OTHERS = {"dtcwt_max_level", "dwt_max_level", "filter_bank", "level_one_frame_bounds"}
OTHERS |= {"scattering_paths", "smooth_magnitude", "wavelet_names"}


def test_the_tables_have_every_public_transform() -> None:
    public = {name: getattr(wavelets, name) for name in wavelets.__all__}
    functions = {name for name, value in public.items() if inspect.isfunction(value)}
    modules = {
        name
        for name, value in public.items()
        if inspect.isclass(value) and issubclass(value, nn.Module)
    }
    called = {name for transform in TRANSFORMS.values() for name in transform.names}
    assert functions - OTHERS == called - modules
    assert modules == set(MODULES)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_dtype_comes_back_and_is_rounded_once(
    name: str, way: str, dtype: torch.dtype
) -> None:
    function, inputs = call(name, way)
    rounded = [x.to(dtype) for x in inputs]
    exact = function(*(x.double() for x in rounded))
    for ours, expected in zip(function(*rounded), exact, strict=True):
        assert ours.dtype == dtype
        # Of half precision no more is lost than half a unit in the last place of each result.
        rounding = 0.0 if dtype == torch.float32 else 0.51 * torch.finfo(dtype).eps
        bound = rounding * expected.abs() + 1e-5 * expected.abs().max()
        assert ((ours.double() - expected).abs() <= bound).all()


@EVERY
def test_autocast_leaves_it_alone(name: str, way: str) -> None:
    function, inputs = call(name, way)
    inputs = [x.float() for x in inputs]
    expected = function(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        under = function(*inputs)
    for ours, plain in zip(under, expected, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, plain, rtol=0, atol=0)


def test_autocast_would_round_a_convolution() -> None:
    """Negative control: the context above does round what lets it."""
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.ones(2, 2).matmul(torch.ones(2, 2)).dtype == torch.bfloat16


def strided(x: Tensor) -> Tensor:
    """The same values, every second element of memory in the opposite order of axes."""
    order = tuple(reversed(range(x.ndim)))
    spread = torch.zeros(*(2 * side for side in reversed(x.shape)), dtype=x.dtype)
    view = spread[tuple(slice(None, None, 2) for _ in order)].permute(order)
    return view.copy_(x)


@EVERY
def test_memory_layouts_do_not_matter(name: str, way: str) -> None:
    function, _ = call(name, way)
    # As many channels as it takes for a path of their own; that `Lifting` is made for one.
    x = noise(2, 1 if name == "lifting" else 8, *SIZE)
    inputs = [x] if way == "forth" else [p.detach() for p in flat(TRANSFORMS[name].forth(x))]
    expected = function(*inputs)
    layouts = [strided, lambda x: x.movedim(1, -1).contiguous().movedim(-1, 1)]
    for layout in layouts:
        given = [layout(x) for x in inputs]
        assert not given[0].is_contiguous() or given[0].shape[1] == 1
        for ours, plain in zip(function(*given), expected, strict=True):
            torch.testing.assert_close(ours, plain)


@EVERY
def test_shapes_on_the_meta_device(name: str, way: str) -> None:
    if name == "lifting":
        pytest.skip("its weights stay on the device of the module; see the test of modules")
    function, inputs = call(name, way)
    shapes = [part.shape for part in function(*inputs)]
    assert [part.shape for part in function(*(x.to("meta") for x in inputs))] == shapes


@EVERY
def test_compiles_in_one_graph_with_free_sizes(name: str, way: str) -> None:
    torch.compiler.reset()
    function, _ = call(name, way)
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=True)
    for batch in (2, 3):
        x = noise(batch, 1, *SIZE, seed=batch)
        inputs = [x] if way == "forth" else [p.detach() for p in flat(TRANSFORMS[name].forth(x))]
        leaves = [part.requires_grad_() for part in inputs]
        ours, expected = compiled(*leaves), function(*leaves)
        weights = [torch.randn_like(part) for part in expected]
        gradients = [torch.autograd.grad(parts, leaves, weights) for parts in (ours, expected)]
        for mine, plain in zip((*ours, *gradients[0]), (*expected, *gradients[1]), strict=True):
            assert_close_relative(mine, plain)


@pytest.mark.parametrize("name", MODULES)
def test_modules_start_on_meta_and_follow(name: str) -> None:
    make, prepare = MODULES[name]
    given = prepare(noise(1, 2, 12, 13).float())
    torch.manual_seed(0)
    expected = flat(make()(given))
    with torch.device("meta"):
        module = make()
    assert all(x.is_meta for x in (*module.parameters(), *module.buffers()))
    module = module.to_empty(device="cpu")
    torch.manual_seed(0)
    module.reset_parameters()
    for ours, plain in zip(flat(module(given)), expected, strict=True):
        torch.testing.assert_close(ours, plain)
    # To half precision and back, filters are as exact as before; what is learned is rounded.
    if name != "Lifting":
        for ours, plain in zip(flat(module.half().float()(given)), expected, strict=True):
            torch.testing.assert_close(ours, plain)
    parameters = {key for key, _ in module.named_parameters()}
    assert set(module.state_dict()) == parameters


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_modules_give_the_dtype_that_they_get(name: str, dtype: torch.dtype) -> None:
    make, prepare = MODULES[name]
    given = prepare(noise(1, 2, 12, 13).to(dtype))
    for part in flat(make().to(dtype)(given)):
        assert part.dtype == dtype
        assert part.isfinite().all()
