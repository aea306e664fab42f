"""Runs every transform for the first time in an unusual context, then checks that nothing stuck.

    python -m tests.first_calls

What a transform keeps between calls (filters, matrices, tables) fills at its first call, so every
context gets a process of its own: a fork of this one, which has imported all and computed nothing.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.tensors import noise
from tests.transform_table import CALLS, call
from wavevit.wavelets import dwt2, kernels, wavedec2
from wavevit.wavelets.compat import (
    DTCWTForward,
    DTCWTInverse,
    DWTForward,
    DWTInverse,
    ScatLayerj2,
    SWTForward,
)

Function = Callable[..., tuple[Tensor, ...]]


def functions() -> list[tuple[str, Function, list[Tensor]]]:
    """The table's transforms, and what it does not have, each with inputs in float64."""
    found: list[tuple[str, Function, list[Tensor]]] = []
    for name, way in CALLS:
        found.append((f"{name} {way}", *call(name, way)))
    more: dict[str, Callable[[Tensor], object]] = {
        "computed border": lambda x: (dwt2(x, "db3", "smooth"),),
        "all levels": lambda x: flat(wavedec2(x, "db2", "zero")),
        "DWTForward": lambda x: flat(DWTForward(2, "db2", "symmetric")(x)),
        "two banks": lambda x: flat(DWTForward(1, ([0.5, 0.5], [0.5, -0.5]) * 2)(x)),
        "SWTForward": lambda x: flat(SWTForward(2, "db2", "reflect")(x)),
        "DTCWTForward": lambda x: flat(DTCWTForward(J=2)(x)),
        "DWTInverse": lambda x: (DWTInverse("db2")(DWTForward(2, "db2")(x)),),
        "DTCWTInverse": lambda x: (DTCWTInverse()(DTCWTForward(J=2)(x)),),
        "ScatLayerj2": lambda x: flat(ScatLayerj2()(x)),
    }
    found += [(name, function, [noise(5, 1, 12, 9)]) for name, function in more.items()]
    return found


def flat(parts) -> tuple[Tensor, ...]:
    if isinstance(parts, Tensor):
        return (parts,)
    return tuple(tensor for part in parts for tensor in flat(part))


def each(do: Callable[[Function, list[Tensor]], object]) -> None:
    for name, function, inputs in functions():
        try:
            do(function, inputs)
        except Exception as error:
            raise AssertionError(name) from error


def in_inference_mode() -> None:
    with torch.inference_mode():
        each(lambda function, inputs: function(*inputs))


def on_fake_tensors() -> None:
    def fake(function: Function, inputs: list[Tensor]) -> None:
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:  # the weights of lifting
            function(*(mode.from_tensor(x) for x in inputs))

    each(fake)


def beside_another_device() -> None:
    with torch.device("meta"):
        each(lambda function, inputs: function(*inputs))


def beside_another_dtype() -> None:
    torch.set_default_dtype(torch.bfloat16)
    each(lambda function, inputs: function(*inputs))
    torch.set_default_dtype(torch.float32)


def under_function_transforms() -> None:
    each(lambda function, inputs: torch.func.vmap(function)(*(x[None] for x in inputs)))


def in_other_threads() -> None:
    threads = [threading.Thread(target=in_inference_mode) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def under_autocast() -> None:
    def both(function: Function, inputs: list[Tensor]) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            under = function(*inputs)
        for ours, plain in zip(under, function(*inputs), strict=True):
            torch.testing.assert_close(ours, plain)

    each(both)


def traced() -> None:
    """Also: no warning, and right values for another batch, which a trace may meet."""

    def trace(function: Function, inputs: list[Tensor]) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit.")  # of itself
            graph = torch.jit.trace(function, tuple(inputs))
        others = [torch.cat([x.flip(-1) - 1, 2 * x]) for x in inputs]
        for ours, plain in zip(graph(*others), function(*others), strict=True):
            torch.testing.assert_close(ours, plain)

    each(trace)
    x = noise(1, 2, 12, 9)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.")  # of itself
        graph = torch.jit.trace(lambda x: dwt2(x, "db3", "antireflect"), (x,))
    larger = noise(3, 2, 21, 16)  # a trace leaves the batch and the sides free
    torch.testing.assert_close(graph(larger), dwt2(larger, "db3", "antireflect"))


# And whether with kernels.
CONTEXTS = (
    *((in_inference_mode, True), (on_fake_tensors, False)),
    *((beside_another_device, True), (beside_another_dtype, False), (in_other_threads, False)),
    *((under_function_transforms, True), (under_autocast, False), (traced, True)),
)


def values() -> list[list[Tensor]]:
    """Of every function, with the gradient that a kept inference tensor would refuse."""
    results = []

    def compute(function: Function, inputs: list[Tensor]) -> None:
        leaves = [x.requires_grad_() for x in inputs]
        parts = function(*leaves)
        torch.autograd.grad(sum(part.square().sum() for part in parts), leaves)
        assert all(type(part) is Tensor for part in parts)
        results.append([part.detach() for part in parts])

    each(compute)
    return results


def in_a_fork(work: Callable[[], None]) -> bool:
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> int:
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "expected.pt"
        failed = [] if in_a_fork(lambda: torch.save(values(), path)) else ["ordinary"]
        for context, enabled in CONTEXTS:

            def first_then_ordinary(context=context, enabled=enabled) -> None:
                with kernels(enabled):
                    context()
                    torch.testing.assert_close(values(), torch.load(path, weights_only=True))

            if not in_a_fork(first_then_ordinary):
                failed.append(f"{context.__name__}, kernels {enabled}")
    sys.stderr.write(f"failed: {failed}\n")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
