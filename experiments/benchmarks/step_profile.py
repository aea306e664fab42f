"""Says where the time of a training step goes: ``python -m experiments bench step_profile``.

Question: which operations make a wavelet model slower than the plain ViT that it is compared with?
The models and images of the benchmark `training_steps`, on one thread. Processor time of a forward
pass, of a gradient (forward, cross-entropy, backward) and of AdamW's update is the median over
rounds in which every model runs once. Then torch's profiler says which share of a pass each kind of
operation takes. A cell of the table is share times time, as a multiple of the whole pass of the
reference: so cells of a row add up to the row's whole, and the difference to the row of the
reference says what is missing to a target.
Record: experiments/records/latency/step_profile.json.

The profiler reads wall time. Other programs on the machine lengthen every operation in proportion
to its time, so shares over many passes stay right, to about two points in a hundred.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function

from experiments.benchmarks.interleaved import clocked, multiples, threads_of_torch, times
from experiments.benchmarks.training_steps import LARGE, SMALL, Case
from experiments.core.benchmark import Benchmark, BenchmarkOptions, Save
from experiments.core.experiment import DOCS, View
from experiments.core.records import environment
from experiments.core.table import Table
from wavevit.progress import in_steps

_KINDS: dict[str, tuple[str, ...]] = {
    "matrix products": ("addmm", "mm", "bmm", "baddbmm", "mv", "dot"),
    "attention": (
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention_for_cpu_backward",
        "_softmax",
        "_softmax_backward_data",
    ),
    "GELU": ("gelu", "gelu_backward"),
    "LayerNorm": ("native_layer_norm", "native_layer_norm_backward"),
    "convolutions": (
        "mkldnn_convolution",
        "_slow_conv2d_forward",
        "_slow_conv2d_backward",
        "thnn_conv2d",
        "_conv_depthwise2d",
        "convolution_backward",
    ),
    "copies": (
        "cat",
        "clone",
        "constant_pad_nd",
        "copy_",
        "fill_",
        "flip",
        "index",
        "index_put_",
        "index_select",
        "reflection_pad2d",
        "roll",
        "slice_backward",
        "stack",
        "zero_",
    ),
    "element by element": (
        "abs",
        "add",
        "add_",
        "div",
        "div_",
        "mean",
        "mul",
        "mul_",
        "neg",
        "pow",
        "rsqrt",
        "sqrt",
        "square",
        "sub",
        "sum",
    ),
}
_OWN, _UPDATE, _REST = "our kernels", "AdamW", "rest"
_TORCHS_BACKWARD = re.compile(r"Backward\d+$")
PARTS = (*_KINDS, _OWN, _UPDATE, _REST)


@dataclass
class Options(BenchmarkOptions):
    """Where the time of forward passes and training steps goes, kind by kind of operation."""

    quick: bool = False
    """One round of the small models: to see that it runs, not to quote."""


def kind_of(name: str) -> str:
    """The kind of an operation from the profiler's name of it; ``"rest"`` for what has none.

    Ours are the operators that the library registers, its compiled loops, and its autograd
    functions: torch's own have a namespace or, backward, a number behind the name.
    """
    space, _, operator = name.rpartition("::")
    if space == "wavevit" or (name.isidentifier() and not _TORCHS_BACKWARD.search(name)):
        return _OWN
    if space == "aten":
        for kind, names in _KINDS.items():
            if operator in names:
                return kind
    return _REST


@contextmanager
def _kernels_are_seen() -> Iterator[None]:
    """The profiler sees compiled loops as operators ``wavevit::NAME``: it does not know numba.

    They must have been compiled: a compiler cannot read what stands in their place meanwhile.
    """
    held: list[tuple[ModuleType, str, Callable[..., Any]]] = []

    def seen(name: str, loop: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            with record_function(f"wavevit::{name}"):
                return loop(*arguments)

        return call

    for path, module in list(sys.modules.items()):
        if path.startswith("wavevit.wavelets._kernels."):
            for name, value in list(vars(module).items()):
                if hasattr(value, "py_func"):  # a function that numba compiles
                    held.append((module, name, value))
                    setattr(module, name, seen(name, value))
    try:
        yield
    finally:
        for module, name, value in held:
            setattr(module, name, value)


def shares(run: Callable[[], object], passes: int) -> dict[str, float]:
    """Share of each kind of operation in the time of a call; what is in no operation is "rest".

    Args:
        run: the call.
        passes: how often it is called.
    """
    run()  # compiles
    with _kernels_are_seen(), profile(activities=[ProfilerActivity.CPU], acc_events=True) as seen:
        begin = time.perf_counter()
        for _ in range(passes):
            run()
        whole = 1e6 * (time.perf_counter() - begin)
    found = dict.fromkeys(PARTS, 0.0)
    for event in seen.key_averages():
        found[kind_of(event.key)] += event.self_cpu_time_total / whole
    found[_REST] = 1 - sum(share for kind, share in found.items() if kind != _REST)
    return found


@dataclass(frozen=True)
class _Passes:
    """The calls of a model that are timed."""

    forward: Callable[[], object]
    gradient: Callable[[], object]
    update: Callable[[], object]


def _passes(model: nn.Module, images: Tensor, labels: Tensor) -> _Passes:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def forward() -> object:
        model.eval()
        with torch.no_grad():
            return model(images)

    def gradient() -> object:
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        return None

    gradient()  # without gradients there is no update
    return _Passes(forward, gradient, optimizer.step)


def benchmark(
    options: Options,
    cases: Iterable[Case] = (SMALL, LARGE),
    save: Save = lambda record: None,
) -> dict[str, Any]:
    """Measures every model; plain data, ready for JSON.

    Args:
        options: the command line's.
        cases: what is compared.
        save: called with the record so far, after each case.
    """
    record: dict[str, Any] = {
        "environment": environment(torch.device("cpu"), 1, ["timm", "numba"]),
        "models": {},
    }
    for case in list(cases)[: 1 if options.quick else None]:
        record["models"] |= _measured(case, 1 if options.quick else (case.rounds + 1) // 2)
        save(record)
    return record


def _measured(case: Case, rounds: int) -> dict[str, dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(case.shape, generator=generator)
    built = {}
    for name, build in case.models.items():
        torch.manual_seed(0)
        built[name] = build()
    classes = min(model(images[:1]).shape[1] for model in built.values())
    labels = torch.randint(classes, case.shape[:1], generator=generator)
    passes = {name: _passes(model, images, labels) for name, model in built.items()}
    with threads_of_torch(1):
        seconds = {
            kind: times(
                {
                    name: clocked(getattr(own, kind), time.process_time)
                    for name, own in passes.items()
                },
                rounds,
            )
            for kind in ("forward", "gradient", "update")
        }
        step = {
            name: [a + b for a, b in zip(own, seconds["update"][name], strict=True)]
            for name, own in seconds["gradient"].items()
        }
        found = {}
        for name, own in in_steps(passes.items(), lambda item: f"{case.shape[-1]} px, {item[0]}"):
            reference = case.references.get(name, name)
            update = median(seconds["update"][name]) / median(step[name])
            gradient = shares(own.gradient, rounds)
            parts = {kind: share * (1 - update) for kind, share in gradient.items()}
            parts[_UPDATE] = update
            found[name] = {
                "reference": reference,
                "side": case.shape[-1],
                "forward": _row(seconds["forward"], name, reference, shares(own.forward, rounds)),
                "step": _row(step, name, reference, parts),
            }
    return found


def _row(
    seconds: Mapping[str, list[float]], name: str, reference: str, parts: Mapping[str, float]
) -> dict[str, Any]:
    return {
        "milliseconds": round(1e3 * median(seconds[name]), 2),
        "times_reference": round(multiples(seconds, reference)[name], 3),
        "shares": {kind: round(share, 4) for kind, share in parts.items()},
    }


def render(record: Mapping[str, Any]) -> str:
    """A row for each model and pass: its whole, and what of it each kind of operation takes."""
    head = ["model", "compared with", "side, px", "pass", "whole", *PARTS]
    rows = []
    for name, model in record["models"].items():
        for kind in ("forward", "step"):
            row = model[kind]
            whole = row["times_reference"]
            parts = [f"{whole * row['shares'][part]:.2f}" for part in PARTS]
            cells = [f"`{name}`", f"`{model['reference']}`", str(model["side"]), kind]
            rows.append([*cells, f"{whole:.2f}", *parts])
    return Table(head, rows).markdown()


BENCHMARK = Benchmark(
    name="step_profile",
    question="Which operations make a wavelet model slower than a plain ViT?",
    measure=lambda options, save: benchmark(options, save=save),
    records={"latency/step_profile.json": ""},
    shown=lambda record: (View(DOCS / "training-speed.md", render, "profile"),),
    command_line=Options,
)
