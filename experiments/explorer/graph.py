"""A trained model as a short list of operations that a page can run without a library.

`torch.export` gives the model's ATen operations. Whatever depends neither on the image nor on a
weight (indices, sines, filters made from constants) is computed here; moving data (views, slices,
gathers) comes down to five operations, composites (attention, average pooling, linear layers) to
what they are made of. What is left has the twenty names of `OPERATIONS`, which
``docs/_static/explorer/runner.js`` implements. An operation that is not known fails here, by name.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node

from wavevit.checks import fail
from wavevit.models import Backbone

OUTPUTS = ("first", "last", "embedding", "logits")

# name -> what its attributes mean; inputs come first. `runner.js` has the same names.
OPERATIONS = {
    "reshape": "shape in attributes",
    "permute": "axes",
    "take": "axis, indices along it",
    "expand": "to the output's shape",
    "cat": "axis",
    "conv2d": "image, kernel; stride, padding, groups",
    "matmul": "(…, M, K) and (…, K, N), equal leading axes",
    "add": "broadcast",
    "sub": "broadcast",
    "mul": "broadcast",
    "div": "broadcast",
    "mean": "axes; the output's shape says whether they are kept",
    "var": "axes, correction",
    "layer_norm": "x, weight, bias over the last axis; eps",
    "softmax": "over the last axis",
    "gelu": "",
    "sqrt": "",
    "rsqrt": "",
    "abs": "",
    "square": "",
}


@dataclass
class Graph:
    """Operations in order.

    Attributes:
        nodes: (operation, name of the result, names of the inputs, attributes, shape).
        constants: tensors that are no weights, by name.
        weights: names of the model's parameters and buffers that are read, with their shapes.
        outputs: names of what `OUTPUTS` lists.
    """

    nodes: list[tuple[str, str, list[str], list[Any], list[int]]] = field(default_factory=list)
    constants: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)


class _View(nn.Module):
    """What the page shows of one view of an image, the alignment left aside."""

    def __init__(self, model: Backbone) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        tokens, grid = self.model.tokenize(x)
        features, (last,) = self.model.forward_intermediates(x, indices=1, norm=True)
        embedding = self.model.forward_head(features, pre_logits=True)
        first = tokens.transpose(1, 2).unflatten(2, grid)
        return first, last, embedding, self.model.get_classifier()(embedding)


def trace(model: Backbone, size: int) -> Graph:
    """The graph of a backbone without an alignment, for one image of `size` pixels a side.

    Raises:
        ValueError: the model has an alignment, or an operation that the runner does not know.
    """
    if model.alignment is not None:
        fail("model", "one without an alignment (the page does that part)", model.config.alignment)
    table = torch.export.default_decompositions()
    table.pop(torch.ops.aten.scaled_dot_product_attention.default, None)
    x = torch.zeros(1, model.config.in_chans, size, size)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.export.export(_View(model.eval()), (x,)).run_decompositions(table)
    return _Builder(program).build()


class _Builder:
    """Walks the exported graph once. A value is a tensor (constant) or the name of one."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        self.program = program
        self.graph = Graph()
        self.values: dict[Node, Any] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.known: dict[Any, str] = {}  # equal operations are done once

    def build(self) -> Graph:
        signature = self.program.graph_signature
        weights = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        constants = signature.inputs_to_lifted_tensor_constants
        state = {**self.program.state_dict, **self.program.constants}
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                name = weights.get(node.name) or constants.get(node.name)
                if name is None:
                    self.values[node] = "x"
                    self.shapes["x"] = tuple(node.meta["val"].shape)
                elif name in self.program.state_dict:
                    short = name.removeprefix("model.")
                    self.values[node] = short
                    self.graph.weights[short] = state[name].detach()
                    self.shapes[short] = tuple(state[name].shape)
                else:  # a filter, or a buffer that is not saved
                    self.values[node] = state[name].detach()
            elif node.op == "call_function":
                self.values[node] = self.call(node)
            elif node.op == "output":
                results: Any = node.args[0]
                self.graph.outputs = [self.name(self.values[result]) for result in results]
        self._drop_unused()
        return self.graph

    def _drop_unused(self) -> None:
        graph, wanted = self.graph, set(self.graph.outputs)
        kept = []
        for node in reversed(graph.nodes):
            if node[1] in wanted:
                wanted.update(node[2])
                kept.append(node)
        graph.nodes = kept[::-1]
        graph.constants = {k: v for k, v in graph.constants.items() if k in wanted}
        graph.weights = {k: v for k, v in graph.weights.items() if k in wanted}

    def name(self, value: Any) -> str:
        """The name of a value; constants get one."""
        if isinstance(value, str):
            return value
        if not isinstance(value, Tensor):
            value = torch.tensor(float(value))
        key = (tuple(value.shape), value.float().numpy().tobytes())
        if key not in self.known:
            name = self.known[key] = f"c{len(self.graph.constants)}"
            self.graph.constants[name] = value.float().contiguous()
            self.shapes[name] = tuple(value.shape)
        return self.known[key]

    def emit(
        self, operation: str, inputs: Sequence[Any], shape: Sequence[int], *attributes: Any
    ) -> str:
        """Adds an operation, or finds the equal one that is there."""
        names, shape = [self.name(value) for value in inputs], list(shape)
        key = (operation, tuple(names), tuple(shape), repr(attributes))
        if key not in self.known:
            name = self.known[key] = f"n{len(self.graph.nodes)}"
            self.graph.nodes.append((operation, name, names, list(attributes), shape))
            self.shapes[name] = tuple(shape)
        return self.known[key]

    def call(self, node: Node) -> Any:
        target: Any = node.target
        args: Any = torch.fx.node.map_arg(node.args, lambda n: self.values[n])
        kwargs: Any = torch.fx.node.map_arg(node.kwargs, lambda n: self.values[n])
        if not any(isinstance(value, str) for value in _flat(args)):
            return target(*args, **kwargs)  # depends on no image and no weight
        if getattr(target, "__name__", "") == "getitem":
            return args[0][args[1]]
        name = str(target).removeprefix("aten.").split(".")[0]
        if name == "_assert_tensor_metadata":
            return None
        rule = _RULES.get(name)
        if rule is None:
            fail("model", f"operations among {', '.join(sorted(_RULES))}", str(target))
        value = node.meta["val"]
        shape = [] if isinstance(value, tuple | list) else list(value.shape)
        return rule(self, shape, *args, **kwargs)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _flat(item)]
    return [value]


def _take(b: _Builder, x: Any, axis: int, indices: Sequence[int]) -> str:
    shape = list(b.shapes[b.name(x)])
    axis %= len(shape)
    if list(indices) == list(range(shape[axis])):
        return b.name(x)
    shape[axis] = len(indices)
    return b.emit("take", [x], shape, axis, list(indices))


def _slice(
    b: _Builder,
    shape: list[int],
    x: Any,
    axis: int = 0,
    start: int | None = 0,
    end: int | None = None,
    step: int = 1,
) -> str:
    count = b.shapes[x][axis]
    return _take(b, x, axis, range(*slice(start, end, step).indices(count)))


def _select(b: _Builder, shape: list[int], x: Any, axis: int, index: int) -> str:
    count = b.shapes[x][axis]
    return b.emit("reshape", [_take(b, x, axis, [index % count])], shape)


def _split(
    b: _Builder, shape: list[int], x: Any, sizes: Sequence[int], axis: int = 0
) -> tuple[str, ...]:
    ends = list(accumulate(sizes, initial=0))
    return tuple(_take(b, x, axis, range(*part)) for part in pairwise(ends))


def _index(b: _Builder, shape: list[int], x: Any, indices: Sequence[Any]) -> str:
    places = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    if len(places) != 1 or places[0][1].ndim != 1:
        fail("model", "indexing along one axis", f"{len(places)} indices")
    axis, index = places[0]
    count = b.shapes[x][axis]
    return _take(b, x, axis, [i % count for i in index.tolist()])


def _unless_same(operation: str) -> Callable[..., str]:
    """An operation that does nothing where the shape stays the same."""

    def rule(b: _Builder, shape: list[int], x: Any, *_: Any, **__: Any) -> str:
        return b.name(x) if list(b.shapes[b.name(x)]) == shape else b.emit(operation, [x], shape)

    return rule


def _permute(b: _Builder, shape: list[int], x: Any, axes: Sequence[int]) -> str:
    return b.emit("permute", [x], shape, [axis % len(shape) for axis in axes])


def _cat(b: _Builder, shape: list[int], parts: Sequence[Any], axis: int = 0) -> str:
    parts = [part for part in map(b.name, parts) if 0 not in b.shapes[part]]
    return parts[0] if len(parts) == 1 else b.emit("cat", parts, shape, axis % len(shape))


def _convolution(b: _Builder, shape: list[int], x: Any, weight: Any, bias: Any, *rest: Any) -> str:
    stride, padding, dilation, transposed, _, groups = rest
    if transposed or any(d != 1 for d in dilation):
        fail("model", "convolutions that are not dilated or transposed", str(rest))
    out = b.emit("conv2d", [x, weight], shape, list(stride), list(padding), groups)
    if bias is None:
        return out
    column = b.emit("reshape", [bias], [shape[1], 1, 1])
    return b.emit("add", [out, column], shape)


def _addmm(b: _Builder, shape: list[int], bias: Any, x: Any, y: Any) -> str:
    return b.emit("add", [b.emit("matmul", [x, y], shape), bias], shape)


def _attention(
    b: _Builder, shape: list[int], q: Any, k: Any, v: Any, *rest: Any, **options: Any
) -> str:
    if any(value for value in rest) or any(v for name, v in options.items() if name != "scale"):
        fail("model", "attention without mask and dropout", f"{rest} {options}")
    *lead, queries, width = b.shapes[q]
    keys = b.shapes[k][-2]
    axes = [*range(len(lead)), len(lead) + 1, len(lead)]
    turned = b.emit("permute", [k], [*lead, width, keys], axes)
    scores = b.emit("matmul", [q, turned], [*lead, queries, keys])
    scale = options.get("scale") or 1 / math.sqrt(width)
    scores = b.emit("mul", [scores, scale], [*lead, queries, keys])
    return b.emit("matmul", [b.emit("softmax", [scores], [*lead, queries, keys]), v], shape)


def _softmax(b: _Builder, shape: list[int], x: Any, axis: int, *_: Any) -> str:
    if axis % len(shape) != len(shape) - 1:
        fail("model", "a softmax over the last axis", axis)
    return b.emit("softmax", [x], shape)


def _layer_norm(
    b: _Builder, shape: list[int], x: Any, over: Sequence[int], weight: Any, bias: Any, eps: float
) -> tuple[str]:
    if len(over) != 1 or weight is None or bias is None:
        fail("model", "a LayerNorm over the last axis with weight and bias", list(over))
    return (b.emit("layer_norm", [x, weight, bias], b.shapes[x], eps),)


def _over_axes(operation: str) -> Callable[..., str]:
    def rule(
        b: _Builder, shape: list[int], x: Any, axes: Sequence[int], *_: Any, **options: Any
    ) -> str:
        over = [axis % len(b.shapes[x]) for axis in axes]
        correction = [options.get("correction", 1)] if operation == "var" else []
        return b.emit(operation, [x], shape, over, *correction)

    return rule


def _avg_pool(
    b: _Builder, shape: list[int], x: Any, size: Sequence[int], stride: Sequence[int] = (), *_: Any
) -> str:
    *lead, height, width = b.shapes[x]
    if (list(stride) or list(size)) != list(size) or height % size[0] or width % size[1]:
        fail("model", "average pooling of whole, separate windows", f"{size}, {stride}")
    rows, columns = height // size[0], width // size[1]
    cut = b.emit("reshape", [x], [*lead, rows, size[0], columns, size[1]])
    return b.emit("mean", [cut], shape, [len(lead) + 1, len(lead) + 3])


def _power(b: _Builder, shape: list[int], x: Any, exponent: float) -> str:
    if exponent != 2:
        fail("model", "squares", f"power {exponent}")
    return b.emit("square", [x], shape)


def _binary(operation: str) -> Callable[..., str]:
    def rule(b: _Builder, shape: list[int], x: Any, y: Any, alpha: float = 1, **_: Any) -> str:
        if alpha != 1:
            fail("model", f"{operation} without a factor", alpha)
        return b.emit(operation, [x, y], shape)

    return rule


def _unary(operation: str) -> Callable[..., str]:
    def rule(b: _Builder, shape: list[int], x: Any, approximate: str = "none", **_: Any) -> str:
        if approximate != "none":
            fail("model", "an exact gelu", approximate)
        return b.emit(operation, [x], shape)

    return rule


_RULES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(
        ("view", "unsqueeze", "squeeze", "clone", "alias", "_to_copy"), _unless_same("reshape")
    ),
    "permute": _permute,
    "expand": _unless_same("expand"),
    "slice": _slice,
    "select": _select,
    "split_with_sizes": _split,
    "index": _index,
    "index_select": lambda b, _, x, axis, index: _take(b, x, axis, index.tolist()),
    "cat": _cat,
    "convolution": _convolution,
    "addmm": _addmm,
    **dict.fromkeys(("mm", "bmm"), lambda b, shape, x, y: b.emit("matmul", [x, y], shape)),
    "scaled_dot_product_attention": _attention,
    "_softmax": _softmax,
    "native_layer_norm": _layer_norm,
    "avg_pool2d": _avg_pool,
    "pow": _power,
    **{name: _over_axes(name) for name in ("mean", "var")},
    **{name: _binary(name) for name in ("add", "sub", "mul", "div")},
    **{name: _unary(name) for name in ("gelu", "sqrt", "rsqrt", "abs")},
}
