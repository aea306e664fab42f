"""Contract checks of graphs: compile without breaks, export with symbolic shapes, trace."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim

from wavevit.testing.assertions import assert_close_relative
from wavevit.testing.subject import Subject

__all__ = ["compiles", "export_options", "exports", "recompiles", "symbolic", "traces"]


def compiles(subject: Subject, backend: str = "aot_eager") -> None:
    """Compiles to one graph, forward and backward, with the values of the plain model."""
    torch.compiler.reset()  # many models are compiled in one process: no limit on recompilations
    model, x = subject.new(), subject.images()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's use of what it deprecates
        logits = torch.compile(model, fullgraph=True, backend=backend)(x)
        logits.square().sum().backward()
    found = [p.grad for p in model.parameters()]
    model.zero_grad()
    expected = model(x)
    expected.square().sum().backward()
    assert_close_relative(logits, expected, depth=10)
    for ours, parameter in zip(found, model.parameters(), strict=True):
        assert ours is not None
        assert parameter.grad is not None
        assert_close_relative(ours, parameter.grad, depth=100)


def export_options(
    subject: Subject, model: Any, free_sides: bool, smallest: int = 64
) -> tuple[Tensor, dict[str, dict[int, Any]]]:
    """Example and ``dynamic_shapes`` for export: symbolic batch, symbolic sides in steps of the
    coarsest stride."""
    step = max(entry["reduction"] for entry in model.feature_info)
    low = -(-smallest // step)
    example = subject.images((step * (low + 2), step * (low + 1)))
    free: dict[int, Any] = {0: Dim("batch", max=1024)}
    if free_sides:
        free |= {i: step * Dim(f"side{i}", min=low, max=1024 // step) for i in (2, 3)}
    return example, {"x": free}


def exports(
    subject: Subject, free_sides: bool = False, smallest: int = 64
) -> torch.export.ExportedProgram:
    """Exports with a symbolic batch; the returned graph computes the values of the model.

    Args:
        subject: the model.
        free_sides: make the sides symbolic too.
        smallest: smallest symbolic side in pixels.
    """
    model = subject.new()
    example, free = export_options(subject, model, free_sides, smallest)
    rows, columns = example.shape[-2:]
    images = [example[:1], subject.images((rows, columns), 3)]
    if free_sides:
        images += [subject.images((smallest, 2 * smallest), 3), subject.images((columns, rows), 2)]
    # With gradients on: some operations have other graphs then, and users forget `no_grad`.
    program = torch.export.export(model, (example,), dynamic_shapes=free)
    graph = program.module()
    with torch.no_grad():
        for x in images:
            assert_close_relative(graph(x), model(x), depth=10)
    return program


def traces(subject: Subject) -> None:
    """`torch.jit.trace` gives a graph for images of one size, any number of them."""
    model, size = subject.new(), subject.sizes[0]
    with warnings.catch_warnings():
        # Its own deprecation, and a warning for each size that the graph keeps.
        warnings.simplefilter("ignore")
        graph = torch.jit.trace(model, subject.images(size), check_trace=False)
    other = subject.images(size, batch=3).flip(0)
    assert_close_relative(graph(other), model(other), depth=10)


def symbolic(subject: Subject) -> None:
    """`torch.fx.symbolic_trace` gives a graph of the same outputs, at every size."""
    model = subject.new()
    graph = torch.fx.symbolic_trace(model)
    for size in subject.sizes:
        assert_close_relative(graph(subject.images(size)), model(subject.images(size)))


def recompiles(subject: Subject) -> None:
    """A compiled model follows changes of head, layers, checkpointing, mode and dtype."""
    torch.compiler.reset()
    model, x = subject.new(), subject.images()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    last = len(model.feature_info) - 1
    changes: list[tuple[str, Callable[[], object]]] = [
        ("as built", lambda: None),
        ("reset_classifier", lambda: model.reset_classifier(4)),
        ("set_grad_checkpointing", lambda: model.set_grad_checkpointing()),
        ("train", lambda: model.train()),
        ("eval", lambda: model.eval()),
        ("bfloat16", lambda: model.bfloat16()),
        ("float", lambda: model.float()),
        ("pruning", lambda: model.prune_intermediate_layers([max(last - 1, 0)])),
    ]
    for name, change in changes:
        change()
        images = x.to(next(model.parameters()).dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            found = compiled(images)
        try:
            assert_close_relative(found, model(images), depth=10)
        except AssertionError as error:
            raise AssertionError(f"compiled, after {name}: {error}") from error
