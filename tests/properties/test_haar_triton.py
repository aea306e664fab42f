"""The Triton kernels, run on the CPU by Triton's interpreter and compiled for a GPU without one.

The interpreter is chosen when triton is imported, so the cases run in a process of their own: this
file again, with ``TRITON_INTERPRET=1``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from wavevit.wavelets._engine import haar_plain
from wavevit.wavelets._engine.haar_maps import HaarMap

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
in_interpreter = pytest.mark.skipif(not INTERPRETED, reason="runs in the interpreter's process")
in_suite = pytest.mark.skipif(INTERPRETED, reason="starts the interpreter's process")
ROOT = Path(__file__).parents[2]

BOUNDS = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}
CASES = [
    (HaarMap(pyramid, False, level, (rows << level, columns << level)), dtype)
    for pyramid in (False, True)
    for level in (1, 2, 3)
    for rows, columns, dtype in [(1, 1, torch.float64), (3, 5, torch.bfloat16)]
]
CASES += [(HaarMap(False, False, 1, size), torch.float64) for size in [(1, 1), (5, 7), (6, 3)]]
CASES += [
    (HaarMap(True, False, 3, (16, 264)), torch.float32),  # wider than a tile
    (HaarMap(False, False, 2, (24, 260)), torch.float16),
]


def run(haar_map: HaarMap, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    from wavevit.wavelets._kernels import haar_triton

    shapes = haar_map.shapes(*inputs[0].shape[:2])
    # What no thread writes stays NaN.
    results = [inputs[0].new_full(shape, float("nan")) for shape in shapes]
    image, bands = (results[0], inputs) if haar_map.transposed else (inputs[0], results)
    haar_triton.computes(haar_map, tuple(image.shape), image.dtype)(image, bands)
    return results


@in_interpreter
@pytest.mark.parametrize(("haar_map", "dtype"), CASES, ids=str)
def test_kernels_equal_plain_operations(haar_map: HaarMap, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    for which in (haar_map, haar_map.transpose):
        shapes = which.transpose.shapes(2, 3)
        exact = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
        inputs = [x.to(dtype) for x in exact]
        expected = which.plain([x.double() for x in inputs])
        for ours, theirs in zip(run(which, inputs), expected, strict=True):
            assert ours.dtype == dtype
            bound = BOUNDS[dtype] * max(float(theirs.norm()), 1e-300)
            assert float((ours.double() - theirs).norm()) <= bound


@in_interpreter
def test_the_interpreter_is_seen_to_differ() -> None:
    """Negative control: another map's values don't pass for this one's."""
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (ours,) = run(HaarMap(False, False, 1, (4, 4)), [x])
    assert float((ours - haar_plain.analysis(x.flip(-1))).norm()) > 0.1


@in_suite
def test_in_the_interpreter() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert f"{len(CASES) + 1} passed" in done.stdout


@in_suite
@pytest.mark.parametrize(
    ("batch", "size", "taken"),
    [
        (1, (2**15, 2**16 - 2), True),
        (1, (2**15, 2**16 - 1), False),  # odd: what is stored is a column wider
        (1, (2**16, 2**16), False),
        (2**18, (2**10, 2**10), True),  # more than 2**31 pixels, but of small planes
        (2**30, (2, 2), False),
    ],
)
def test_planes_that_32_bits_cannot_count_take_plain_operations(
    batch: int, size: tuple[int, int], taken: bool
) -> None:
    from wavevit.wavelets._kernels import haar_triton

    found = haar_triton.computes(HaarMap(False, False, 1, size), (batch, 1, *size), torch.float16)
    assert (found is not None) == taken


@in_suite
@pytest.mark.parametrize(
    "name", ["_packet", "_packet_transposed", "_pyramid", "_pyramid_transposed"]
)
def test_compiles_for_a_gpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter takes Python that the compiler refuses; this needs no GPU and no driver."""
    monkeypatch.setenv("TRITON_DEFAULT_FP_FUSION", "1")  # it warns of a default that will change
    import triton
    from triton.backends.compiler import GPUTarget

    from wavevit.wavelets._kernels import haar_triton

    kernel = getattr(haar_triton, name)
    pointers = ["image", "approx", "fine", "middle", "coarse", "packets"]
    signature = {
        argument: "*bf16" if argument in pointers else "i32" for argument in kernel.arg_names
    }
    constants = {
        "LEVEL": 3,
        "COLUMNS": 8,
        "ODD_ROWS": 0,
        "ODD_COLUMNS": 0,
        "TILES": 64,
        "INDEX": triton.language.int32,
        "WORK": triton.language.float32,
    }
    signature.update(dict.fromkeys(constants, "constexpr"))
    source = triton.compiler.ASTSource(kernel, signature, constants)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    assert "ld.global" in compiled.asm["ptx"]
