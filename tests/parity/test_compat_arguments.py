"""Every argument and way to call of pytorch-wavelets' classes, side by side with the real ones."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import pywt
import torch
from torch import Tensor

from wavevit.testing import assert_close_relative
from wavevit.wavelets import compat, filter_bank, kernels
from wavevit.wavelets.compat.dwt import _DECIMATED as MODES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports pkg_resources
    import pytorch_wavelets as theirs
    from pytorch_wavelets.dtcwt import coeffs
    from pytorch_wavelets.dwt.transform2d import SWTForward as TheirSWTForward

CLASSES = ["DWTForward", "DWTInverse", "DTCWTForward", "DTCWTInverse", "SWTForward", "ScatLayer"]
CLASSES += ["ScatLayerj2"]


@pytest.fixture(autouse=True, scope="module")
def _double() -> Iterator[None]:
    """pytorch-wavelets builds its filters in the default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def their(name: str) -> Any:
    return TheirSWTForward if name == "SWTForward" else getattr(theirs, name)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def taps(number: int, length: int) -> tuple[np.ndarray, ...]:
    """Filters of nothing in particular: not symmetric, no pair of them related."""
    return tuple(noise(number, length).numpy())


@pytest.mark.parametrize("name", CLASSES)
def test_the_same_signature(name: str) -> None:
    ours, expected = (inspect.signature(each) for each in (getattr(compat, name), their(name)))
    named = [[(p.name, p.default) for p in each.parameters.values()] for each in (ours, expected)]
    assert named[0] == named[1]


def all_tensors(parts: Any) -> list[Tensor]:
    if isinstance(parts, Tensor):
        return [parts]
    return [] if parts is None else [tensor for part in parts for tensor in all_tensors(part)]


LAYOUTS = {
    "as usual": lambda x: x,
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "a view": lambda x: x.mT.contiguous().mT,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fast", [True, False])
def test_memory_layout_equals_pytorch_wavelets(layout: str, fast: bool) -> None:
    """Users call ``view`` on what they get."""
    x = LAYOUTS[layout](noise(2, 8, 16, 24))
    calls: list[tuple[str, dict[str, Any]]] = [
        ("DWTForward", {"J": 2, "wave": wave, "mode": mode})
        for wave in ("haar", "db2")
        for mode in ("zero", "symmetric", "periodization")
    ]
    calls += [
        ("DTCWTForward", {"J": 3, "o_dim": o_dim, "ri_dim": ri_dim, **more})
        for o_dim, ri_dim in ((2, -1), (1, 2), (4, 1))
        for more in ({}, {"include_scale": [True, False, True]}, {"skip_hps": [True, False, False]})
    ]
    calls += [("ScatLayer", {}), ("ScatLayerj2", {})]
    with kernels(fast):
        for name, arguments in calls:
            results = getattr(compat, name)(**arguments)(x)
            expected = their(name)(**arguments)(x)
            pairs = zip(all_tensors(results), all_tensors(expected), strict=True)
            for ours, other in pairs:
                assert (ours.stride(), ours.is_contiguous()) == (other.stride(), True), name
        for wave in ("haar", "db2"):  # theirs has bands and channels on one axis
            for band in all_tensors(compat.SWTForward(2, wave, "periodic")(x)):
                assert band.is_contiguous()
        for back, forth in (("DWTInverse", "DWTForward"), ("DTCWTInverse", "DTCWTForward")):
            coefficients = getattr(compat, forth)()(x)
            image = getattr(compat, back)()(coefficients)
            assert image.stride() == their(back)()(coefficients).stride()


def test_the_same_short_names() -> None:
    for short in ("DWT", "IDWT", "DWT2D", "IDWT2D", "DTCWT", "IDTCWT"):
        assert getattr(compat, short).__name__ == getattr(theirs, short).__name__


DB2 = filter_bank("db2")
PAIR, PAIR_BACK = (DB2.dec_lo, DB2.dec_hi), (DB2.rec_lo, DB2.rec_hi)
COLUMN = tuple(np.array(filter_)[:, None] for filter_ in PAIR)
ODD, ODD_AND_LONGER = taps(2, 5), (taps(1, 3)[0], taps(1, 7)[0])
QSHIFT = coeffs.qshift("qshift_b")
TREES = (QSHIFT[0], QSHIFT[1], QSHIFT[4], QSHIFT[5])
TREES_BACK = (QSHIFT[2], QSHIFT[3], QSHIFT[6], QSHIFT[7])
BIORT = coeffs.biort("antonini")

# Class, positional arguments, keyword arguments: all of an image alone.
FORWARD = [
    ("DWTForward", (), {}),
    ("DWTForward", (2, "bior2.2", "periodization"), {}),
    ("DWTForward", (0,), {}),
    *[("DWTForward", (), {"J": 2, "wave": "db3", "mode": mode}) for mode in MODES],
    ("DWTForward", (), {"wave": pywt.Wavelet("db3")}),
    ("DWTForward", (), {"wave": PAIR}),
    ("DWTForward", (), {"wave": list(PAIR)}),
    ("DWTForward", (), {"wave": COLUMN}),
    ("DWTForward", (), {"wave": taps(4, 6), "mode": "reflect"}),
    ("SWTForward", (1, "db3", "periodic"), {}),
    ("SWTForward", (), {"wave": pywt.Wavelet("db3"), "mode": "symmetric"}),
    ("SWTForward", (), {"wave": PAIR, "mode": "zero"}),
    ("SWTForward", (), {"wave": taps(4, 6), "mode": "reflect"}),
    ("DTCWTForward", ("legall", "qshift_06", 2), {}),
    ("DTCWTForward", (), {"J": 0}),
    ("DTCWTForward", (), {"J": 1, "mode": "zero"}),
    ("DTCWTForward", (), {"biort": (BIORT[0], BIORT[2]), "qshift": TREES}),
    ("DTCWTForward", (), {"biort": (BIORT[0], BIORT[2]), "qshift": TREES, "mode": "zero"}),
    ("DTCWTForward", (), {"biort": ODD, "qshift": taps(4, 6)}),
    ("DTCWTForward", (), {"biort": ODD_AND_LONGER, "qshift": taps(4, 8), "mode": "zero"}),
    ("DTCWTForward", (), {"biort": "legall", "qshift": taps(4, 2), "J": 4}),
    ("DTCWTForward", (), {"biort": ODD, "qshift": "qshift_06", "J": 2}),
    ("DTCWTForward", (), {"qshift": TREES, "skip_hps": True, "include_scale": True}),
    ("DTCWTForward", (), {"qshift": TREES, "skip_hps": 0, "include_scale": 0}),
    ("DTCWTForward", (), {"qshift": TREES, "skip_hps": np.array([True, False, False])}),
    ("DTCWTForward", (), {"qshift": TREES, "include_scale": (False, True, False)}),
    ("DTCWTForward", (), {"qshift": TREES, "o_dim": 1, "ri_dim": 2}),
    ("ScatLayer", ("near_sym_b", "zero", 0.1, True), {}),
    ("DTCWTForward", (), {"J": 1, "skip_hps": [0, 1], "include_scale": [1, 0, 1]}),
    ("ScatLayer", (), {}),
    ("ScatLayerj2", ("legall", "qshift_06", "symmetric", 0.1, True), {}),
    ("ScatLayerj2", (), {"qshift": "qshift_06"}),
]


def flat(parts: Any) -> list[Tensor]:
    if parts is None or isinstance(parts, Tensor):
        return [] if parts is None else [parts]
    return [tensor for part in parts for tensor in flat(part)]


def close(ours: Any, expected: Any) -> None:
    assert isinstance(ours, Tensor) == isinstance(expected, Tensor)
    for mine, other in zip(flat(ours), flat(expected), strict=True):
        if other.ndim:
            assert_close_relative(mine, other)
        else:
            assert mine.shape == other.shape  # what stands for a level that was skipped


@pytest.mark.parametrize("size", [(24, 32), (13, 18)])
@pytest.mark.parametrize(("name", "args", "kwargs"), FORWARD)
def test_forward_equals_pytorch_wavelets(name: str, args, kwargs, size: tuple[int, int]) -> None:
    x = noise(2, 3, *size)
    expected = their(name)(*args, **kwargs)(x)
    if name == "SWTForward":  # it leaves bands and channels on one axis
        expected = [flat.unflatten(1, (3, 4)) for flat in expected]
    close(getattr(compat, name)(*args, **kwargs)(x), expected)


# The options of both directions, then what either has alone: forth's coefficients are taken back.
BACK = [
    ("DWT", {}, {}, {}),
    ("DWT", {"wave": pywt.Wavelet("bior4.4"), "mode": "symmetric"}, {"J": 2}, {}),
    ("DWT", {"mode": "per"}, {"wave": PAIR}, {"wave": PAIR_BACK}),
    ("DWT", {"mode": "reflect"}, {"wave": taps(4, 6)}, {"wave": taps(4, 6)}),
    ("DTCWT", {"biort": "legall", "qshift": "qshift_06"}, {"J": 2}, {}),
    ("DTCWT", {"biort": "legall", "qshift": "qshift_06", "mode": "zero"}, {"J": 3}, {}),
    ("DTCWT", {"o_dim": 1, "ri_dim": 2}, {"qshift": TREES}, {"qshift": TREES_BACK}),
    (
        "DTCWT",
        {},
        {"biort": (BIORT[0], BIORT[2]), "qshift": TREES},
        {"biort": (BIORT[1], BIORT[3]), "qshift": TREES_BACK},
    ),
    *[
        (
            "DTCWT",
            {"mode": mode},
            {"J": 3},
            {"biort": ODD_AND_LONGER, "qshift": taps(4, length)},
        )
        for mode in ("symmetric", "zero")
        for length in (2, 6, 8)
    ],
]


@pytest.mark.parametrize("size", [(24, 32), (14, 20)])
@pytest.mark.parametrize(("name", "both", "forth", "back"), BACK)
def test_inverse_equals_pytorch_wavelets(name: str, both, forth, back, size) -> None:
    coefficients = their(f"{name}Forward")(**both, **forth)(noise(2, 3, *size))
    ours = getattr(compat, f"{name}Inverse")(**both, **back)(coefficients)
    close(ours, their(f"{name}Inverse")(**both, **back)(coefficients))


@pytest.mark.parametrize("mode", ["symmetric", "zero"])
def test_gradients_of_taps_of_nothing_in_particular(mode: str) -> None:
    """pytorch-wavelets takes the filters' symmetry for granted when it goes backwards."""
    options = {"biort": ODD, "qshift": taps(4, 4), "mode": mode}

    def round_trip(package: Any, x: Tensor) -> tuple[Tensor, ...]:
        low, highs = package.DTCWTForward(J=2, **options)(x)
        return low, *highs, package.DTCWTInverse(**options)((low, highs))

    x = noise(1, 1, 6, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: round_trip(compat, x), (x,), check_forward_ad=True)
    gradients = [
        torch.autograd.grad(round_trip(package, x)[1].square().sum(), x)[0]
        for package in (compat, theirs)
    ]
    # Negative control: theirs is seen to be another one.
    assert (gradients[0] - gradients[1]).norm() > 0.1 * gradients[0].norm()


def test_taps_in_a_compiled_graph_and_under_vmap() -> None:
    torch._dynamo.reset()
    forward = compat.DTCWTForward(ODD, taps(4, 4), J=2)
    inverse = compat.DTCWTInverse(ODD, taps(4, 4))

    def round_trip(x: Tensor) -> Tensor:
        return inverse(forward(x))

    x = noise(2, 1, 2, 8, 12)
    expected = torch.stack([round_trip(image) for image in x])
    assert_close_relative(torch.func.vmap(round_trip)(x), expected)
    compiled = torch.compile(round_trip, fullgraph=True, backend="aot_eager")
    assert_close_relative(compiled(x[0]), expected[0])


# What works there and is refused here, or the other way round: docs/coming-from.md says why.
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda package: package.ScatLayer("near_sym_b_bp")(noise(1, 1, 8, 8)), "biort"),
        (lambda package: package.DWTForward(1, taps(2, 5))(noise(1, 1, 8, 8)), "lo: "),
    ],
)
def test_arguments_refused_only_by_wavevit(call, message: str) -> None:
    call(theirs)
    with pytest.raises(ValueError, match=message):
        call(compat)


@pytest.mark.parametrize(
    "mode", ["constant", "reflect", "replicate", "periodic", "periodization", "per"]
)
def test_other_names_of_modes_are_zeros_there_and_here(mode: str) -> None:
    x = noise(1, 3, 12, 10)

    def warned(make: Any) -> Any:
        with pytest.warns(UserWarning, match="means 'zero'"):
            return make(mode=mode)

    classes = (functools.partial(compat.DTCWTForward, J=1), compat.DTCWTInverse, compat.ScatLayer)
    forward, inverse, layer = map(warned, classes)
    coefficients = theirs.DTCWTForward(J=1, mode=mode)(x)
    close(forward(x), coefficients)
    close(inverse(coefficients), theirs.DTCWTInverse(mode=mode)(coefficients))
    close(layer(x), theirs.ScatLayer(mode=mode)(x))
    with pytest.raises(ValueError, match="mode: expected one of"):
        compat.DTCWTForward(mode="mirror")


def test_periodization_of_less_than_a_filter_is_that_of_pywavelets() -> None:
    """The original goes round the circle once, and longer filters more often."""
    x = noise(1, 1, 4, 4)
    ours, other = (package.DWTForward(1, "db3", "per")(x)[0] for package in (compat, theirs))
    expected = torch.from_numpy(pywt.dwt2(x.numpy(), "db3", "periodization")[0])
    assert_close_relative(ours, expected)
    assert (other - expected).norm() > 0.1 * expected.norm()


def test_missing_bands_under_zero_borders_stay_zero_borders() -> None:
    """The original goes back to mirrors where the bands of level 1 are left out."""
    low, _ = compat.DTCWTForward(J=1, mode="zero")(noise(1, 1, 8, 8))
    nothing = torch.zeros(1, 1, 6, 4, 4, 2)
    ours, other = (package.DTCWTInverse(mode="zero") for package in (compat, theirs))
    assert_close_relative(ours((low, [None])), ours((low, [nothing])))
    assert_close_relative(other((low, [nothing])), ours((low, [nothing])))
    assert (other((low, [None])) - ours((low, [None]))).norm() > 0.01 * low.norm()
