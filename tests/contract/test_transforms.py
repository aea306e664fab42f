"""What every public transform keeps to, whichever it is: dtypes, layouts, autocast, meta, graphs.

Derivatives of the same table: tests/properties/test_transform_derivatives.py. Exports with free
sizes and onnxruntime: tests/unit/test_wavelet_graphs.py.
"""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
import torch
from torch import Tensor, nn

from tests.tensors import flat, noise
from tests.transform_table import CALLS, TRANSFORMS, call
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
    compat,
    dtcwt2,
    dwt2,
    iwavepacket2,
    kernels,
    swt2,
    wavedec2,
    wavepacket2,
    waverec2,
)

EVERY = pytest.mark.parametrize(("name", "way"), CALLS)
WAYS = ("forth", "back")
SLOW_TO_COMPILE = (
    # The tokenizers of test_tokenizer_graphs.py compile the dual tree in every run.
    ("dtcwt2", "forth"),
    ("dtcwt2 periodic", "forth"),
    ("dtcwt2 periodic", "back"),
    ("dtcwt2", "back"),
    ("lifting", "forth"),
    ("lifting", "back"),
    ("scattering2", "forth"),
    # A level of it is that of "dwt2".
    ("wavepacket2", "forth"),
    # The way back is one linear operator: the derivative of the way forth, which every run compiles
    # ("wavepacket2": that of "dwt2").
    *((n, "back") for n in ("dwt2 haar", "wavedec2 haar", "wavepacket2", "wavepacket2 haar")),
    # The same operators as of images: those of one transform are compiled in every run.
    *((n, w) for n in ("dwt", "wavedec", "swt", "dwt3 haar", "wavedec3", "swt3") for w in WAYS),
)

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
COMPAT = {
    "DWTForward": (lambda: compat.DWTForward(2, "db2", "symmetric"), lambda x: x),
    "DWTInverse": (lambda: compat.DWTInverse("db2"), lambda x: compat.DWTForward(1, "db2")(x)),
    "SWTForward": (lambda: compat.SWTForward(2, "db2", "periodic"), lambda x: x),
    "DTCWTForward": (lambda: compat.DTCWTForward(J=2), lambda x: x),
    "DTCWTInverse": (compat.DTCWTInverse, lambda x: compat.DTCWTForward(J=2)(x)),
    "ScatLayer": (compat.ScatLayer, lambda x: x),
    "ScatLayerj2": (compat.ScatLayerj2, lambda x: x),
}
# Public, and no transform of images.
OTHERS = {"dtcwt_max_level", "dwt_max_level", "filter_bank", "level_one_frame_bounds"}
OTHERS |= {"kernels", "scattering_paths", "smooth_magnitude", "wavelet_names"}
# Of integers, without derivatives: tests/properties/test_integer_haar_laws.py.
OTHERS |= {"integer_haar2", "integer_haar2_bounds", "inverse_integer_haar2"}


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
    x = noise(2, 1 if name == "lifting" else 8, *TRANSFORMS[name].size)
    inputs = [x] if way == "forth" else [p.detach() for p in flat(TRANSFORMS[name].forth(x))]
    expected = function(*inputs)
    layouts = [strided, lambda x: x.movedim(1, -1).contiguous().movedim(-1, 1)]
    for layout in layouts:
        given = [layout(x) for x in inputs]
        assert not given[0].is_contiguous() or given[0].shape[1] == 1
        for ours, plain in zip(function(*given), expected, strict=True):
            torch.testing.assert_close(ours, plain)


@EVERY
def test_stride_of_a_single_channel_does_not_matter(name: str, way: str) -> None:
    """PyTorch calls a tensor contiguous without a look at the stride of a side of one element."""
    function, _ = call(name, way)
    x = noise(3, 1, *TRANSFORMS[name].size)
    inputs = [x] if way == "forth" else [p.detach() for p in flat(TRANSFORMS[name].forth(x))]
    whole = torch.contiguous_format
    given = [x.transpose(0, 1).clone(memory_format=whole).transpose(0, 1) for x in inputs]
    assert given[0].is_contiguous()
    assert given[0].stride(1) > given[0].stride(0)
    for ours, plain in zip(function(*given), function(*inputs), strict=True):
        torch.testing.assert_close(ours, plain)


@EVERY
def test_shapes_on_the_meta_device(name: str, way: str) -> None:
    if name == "lifting":
        pytest.skip("its weights stay on the device of the module; see the test of modules")
    function, inputs = call(name, way)
    shapes = [part.shape for part in function(*inputs)]
    assert [part.shape for part in function(*(x.to("meta") for x in inputs))] == shapes


@pytest.mark.parametrize(
    ("name", "way"),
    [  # the compiler takes 10 to 20 seconds for some: their like is compiled in every run
        pytest.param(n, w, marks=[pytest.mark.nightly] * ((n, w) in SLOW_TO_COMPILE))
        for n, w in CALLS
    ],
)
def test_compiles_in_one_graph_with_symbolic_sizes(name: str, way: str) -> None:
    torch.compiler.reset()
    function, _ = call(name, way)
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=True)
    for batch in (2, 3):
        x = noise(batch, 1, *TRANSFORMS[name].size, seed=batch)
        inputs = [x] if way == "forth" else [p.detach() for p in flat(TRANSFORMS[name].forth(x))]
        leaves = [part.requires_grad_() for part in inputs]
        ours, expected = compiled(*leaves), function(*leaves)
        weights = [torch.randn_like(part) for part in expected]
        gradients = [torch.autograd.grad(parts, leaves, weights) for parts in (ours, expected)]
        for mine, plain in zip((*ours, *gradients[0]), (*expected, *gradients[1]), strict=True):
            assert_close_relative(mine, plain)


@pytest.mark.parametrize("name", [*MODULES, *COMPAT])
def test_modules_start_on_meta(name: str) -> None:
    """As transformers and FSDP start a model: nobody calls anything but `load_state_dict`."""
    make, prepare = {**MODULES, **COMPAT}[name]
    given = prepare(noise(1, 2, 12, 13).float())
    ordinary = make()
    expected = flat(ordinary(given))
    for assign in (False, True):
        with torch.device("meta"):
            module = make()
        assert all(x.is_meta for x in (*module.parameters(), *module.buffers()))
        if not assign:
            module = module.to_empty(device="cpu")
            for x in (*module.parameters(), *module.buffers()):
                torch.nn.init.constant_(x, torch.nan)  # whatever was in the memory
        module.load_state_dict(ordinary.state_dict(), assign=assign)
        for ours, plain in zip(flat(module(given)), expected, strict=True):
            torch.testing.assert_close(ours, plain, rtol=0, atol=0)


@pytest.mark.parametrize("name", [*MODULES, *COMPAT])
def test_modules_survive_casts_and_copies(name: str) -> None:
    make, prepare = {**MODULES, **COMPAT}[name]
    given = prepare(noise(1, 2, 12, 13).float())
    module = make()
    expected = flat(module(given))
    copies = [copy.deepcopy(module), pickle.loads(pickle.dumps(module))]
    if name != "Lifting":  # what is learned is rounded; filters are as exact as before
        copies.append(copy.deepcopy(module).half().float())
    for each in copies:
        assert repr(each) == repr(module)
        for ours, plain in zip(flat(each(given)), expected, strict=True):
            torch.testing.assert_close(ours, plain, rtol=0, atol=0)
    assert set(module.state_dict()) == {key for key, _ in module.named_parameters()}


@EVERY
@pytest.mark.parametrize("shape", [(0, 1), (2, 0)])
def test_no_images_and_no_channels(name: str, way: str, shape: tuple[int, int]) -> None:
    if name == "lifting" and not shape[1]:
        pytest.skip("it is made for a number of channels, at least one")
    function, inputs = call(name, way)
    full = function(*inputs)
    for enabled in (True, False):
        with kernels(enabled):
            leaves = [x.new_zeros(*shape, *x.shape[2:], requires_grad=True) for x in inputs]
            results = function(*leaves)
            for part, like in zip(results, full, strict=True):
                channels = shape[1] * like.shape[1]  # scattering has its paths there
                assert part.shape == (shape[0], channels, *like.shape[2:])
            gradients = torch.autograd.grad(sum(part.sum() for part in results), leaves)
            assert [g.shape for g in gradients] == [leaf.shape for leaf in leaves]


def check_results_are_the_callers(function, inputs: list[Tensor]) -> None:
    """Each result may be changed in place, and nothing but it changes."""
    for dtype in (torch.float32, torch.bfloat16):
        given = [x.to(dtype) for x in inputs]
        for index in range(len(function(*given))):
            leaves = [x.clone().requires_grad_() for x in given]
            results = function(*leaves)
            before = [part.detach().clone() for part in results]
            results[index].mul_(2).add_(1)
            before[index].mul_(2).add_(1)
            for ours, plain in zip((*results, *leaves), (*before, *given), strict=True):
                torch.testing.assert_close(ours.detach(), plain, rtol=0, atol=0)
            if results[index].requires_grad:
                torch.autograd.grad(results[index].sum(), leaves, allow_unused=True)


@EVERY
@pytest.mark.parametrize("enabled", [True, False])
def test_results_change_in_place(name: str, way: str, enabled: bool) -> None:
    with kernels(enabled):
        check_results_are_the_callers(*call(name, way))


X = noise(1, 2, 16, 16)
IN_PLACE = {
    "wavedec2 of no level": (lambda x: flat(wavedec2(x, "db2", level=0)), [X]),
    "waverec2 of no level": (lambda x: [waverec2((x, ()))], [X]),
    "wavepacket2 of no level": (lambda x: [wavepacket2(x, level=0)], [X]),
    "iwavepacket2 of no level": (lambda x: [iwavepacket2(x)], [X[:, :, None]]),
    **{
        f"DWTForward({levels})": (
            lambda x, levels=levels: flat(compat.DWTForward(levels, "db2")(x)),
            [X],
        )
        for levels in (0, 2)
    },
    "DWTInverse": (lambda x: [compat.DWTInverse()((x, []))], [X]),
    "SWTForward": (lambda x: compat.SWTForward(2, "db2", "periodic")(x), [X]),
    "SWTForward of two banks": (
        lambda x: compat.SWTForward(2, ([0.5, 0.5], [0.5, -0.5]) * 2)(x),
        [X],
    ),
    "DTCWTForward": (lambda x: flat(compat.DTCWTForward(J=2)(x)), [X]),
    "DTCWTForward of no level": (lambda x: [compat.DTCWTForward(J=0)(x)[0]], [X]),
    "DTCWTForward without bands": (
        lambda x: flat(compat.DTCWTForward(J=3, skip_hps=True, include_scale=[0, 0, 1])(x)),
        [X],
    ),
    "DTCWTInverse": (lambda x: [compat.DTCWTInverse()((x, []))], [X]),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_other_results_change_in_place(name: str) -> None:
    check_results_are_the_callers(*IN_PLACE[name])


@pytest.mark.parametrize("name", [name for name in MODULES if name != "Lifting"])
def test_a_symbolic_trace_has_a_module_as_one_call(name: str) -> None:
    make, prepare = MODULES[name]
    module, given = make(), prepare(noise(1, 2, 12, 13))
    graph = torch.fx.symbolic_trace(module)
    for ours, plain in zip(flat(graph(given)), flat(module(given)), strict=True):
        torch.testing.assert_close(ours, plain)
    called = [node for node in graph.graph.nodes if node.op == "call_function"]
    assert sum(node.target.__module__.startswith("wavevit") for node in called) <= 2  # and a bank


def test_many_channels_under_vmap() -> None:
    """Haar asks how images lie in memory, if they have channels enough for a path of their own."""
    x = noise(3, 2, 8, 6, 6)
    expected = torch.stack([dwt2(part) for part in x])
    torch.testing.assert_close(torch.func.vmap(dwt2)(x), expected)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_modules_give_the_dtype_that_they_get(name: str, dtype: torch.dtype) -> None:
    make, prepare = MODULES[name]
    given = prepare(noise(1, 2, 12, 13).to(dtype))
    for part in flat(make().to(dtype)(given)):
        assert part.dtype == dtype
        assert part.isfinite().all()
