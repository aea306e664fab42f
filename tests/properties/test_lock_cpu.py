"""The lock's compiled loops are its plain operations: the same profiles, the same rolls."""

from __future__ import annotations

import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests import warm_python
from wavevit.alignment import phase_of, roll_images
from wavevit.alignment.statistics import harmonics, loops_for, spans
from wavevit.wavelets import kernels

SIDES = st.integers(1, 40)
DTYPES = [torch.float64, torch.float32]


def drawn(seed: int, *shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("boundary", ["circular", "window"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 4),
    h=SIDES,
    w=SIDES,
    period=st.sampled_from([2, 3, 8, None]),
    seed=st.integers(0, 2**32 - 1),
)
def test_harmonics(
    boundary: str,
    dtype: torch.dtype,
    batch: int,
    channels: int,
    h: int,
    w: int,
    period: int | None,
    seed: int,
) -> None:
    x = drawn(seed, batch, channels, h, w, dtype=dtype)
    sides = spans((h, w), period)
    assert loops_for(x) is not None
    fast = harmonics(x, boundary, sides)
    with kernels(False):
        assert loops_for(x) is None
        plain = harmonics(x, boundary, sides)
    assert fast.dtype == plain.dtype == torch.float64
    assert fast.shape == plain.shape == (batch, 2, 3)
    bound = 1e-12 if dtype == torch.float64 else 1e-5
    assert (fast - plain).abs().max() <= bound * plain[..., 2].abs().max().clamp_min(1e-12)


@given(
    h=SIDES,
    w=SIDES,
    shift=st.lists(st.integers(-200, 200), min_size=4, max_size=4),
    dtype=st.sampled_from([*DTYPES, torch.bfloat16]),
    seed=st.integers(0, 2**32 - 1),
)
def test_rolls(h: int, w: int, shift: list[int], dtype: torch.dtype, seed: int) -> None:
    x = drawn(seed, 2, 3, w, h, dtype=torch.float64).to(dtype).mT  # not contiguous
    amounts = torch.tensor(shift).view(2, 2)
    rolled = roll_images(x, amounts)
    for image, amount, result in zip(x, amounts.tolist(), rolled, strict=True):
        assert torch.equal(result, image.roll(amount, (1, 2)))


@given(
    h=SIDES,
    w=SIDES,
    period=st.sampled_from([2, 8, None]),
    kind=st.sampled_from(["noise", "constant", "stripes"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_phase_is_that_of_plain_operations(
    h: int, w: int, period: int | None, kind: str, seed: int
) -> None:
    x = drawn(seed, 3, 2, h, w, dtype=torch.float64)
    if kind == "constant":
        x = torch.ones_like(x)
    elif kind == "stripes":
        x = (torch.arange(w) % 2).double().expand_as(x)
    fast = phase_of(x, period)
    with kernels(False):
        plain = phase_of(x, period)
    assert fast.offset.dtype == plain.offset.dtype == torch.int64
    assert torch.equal(fast.offset, plain.offset)
    assert torch.allclose(fast.margin, plain.margin, rtol=1e-9, atol=1e-14)


def test_derivatives_and_compiled_graphs_take_plain_operations() -> None:
    x = drawn(0, 2, 1, 16, 16, dtype=torch.float32)
    leaf = x.clone().requires_grad_()
    assert loops_for(leaf) is None
    assert loops_for(x) is not None
    phase_of(leaf, 8, shift="fractional").offset.sum().backward()
    assert leaf.grad is not None
    whole = torch.compile(lambda y: phase_of(y, 8).offset, fullgraph=True, backend="eager")
    assert torch.equal(whole(x), phase_of(x, 8).offset)


def test_phase_lock_works_with_broken_numba() -> None:
    script = (
        "import sys; sys.modules['numba'] = None; import importlib.util as u\n"
        "f = u.find_spec; u.find_spec = lambda n, *a: True if n == 'numba' else f(n, *a)\n"
        "import warnings, torch\n"
        "from wavevit.alignment import PhaseLock\n"
        "x = torch.arange(64.).view(1, 1, 8, 8)\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    for _ in range(2): assert PhaseLock(4)(x).sum() == x.sum()\n"
        "print(len([w for w in caught if 'fast kernel' in str(w.message)]))\n"
    )
    done = warm_python.run([sys.executable, "-c", script], check=True)
    assert done.stdout.strip() == "1"
