"""Choose the tensor of a model's output that an audit uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from wavevit.checks import fail
from wavevit.measure.depth import MOST_PREFIX

__all__ = [
    "Attribute",
    "Chosen",
    "at_path",
    "choose_output",
    "grid_of",
    "leaves",
    "place_of",
    "what_came",
]

_MOST_CELLS = 32 * 32  # a map of more cells is no map of tokens
# Names that models of masked pretraining give to what they drew: it says nothing of the picture.
_DRAWN = ("mask", "bool_masked_pos", "ids_restore", "ids_keep")


@dataclasses.dataclass(frozen=True)
class Attribute:
    """A step of a path: an attribute of a dataclass, where others are keys and indices."""

    name: str


def leaves(output: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Everything in an output that holds nothing else, with the path to it, in order."""
    if isinstance(output, Mapping):
        for key, value in output.items():
            yield from leaves(value, (*path, key))
    elif isinstance(output, list | tuple):
        for index, value in enumerate(output):
            yield from leaves(value, (*path, index))
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        for field in dataclasses.fields(output):
            yield from leaves(getattr(output, field.name), (*path, Attribute(field.name)))
    else:
        yield path, output


def at_path(output: Any, path: tuple[Any, ...]) -> Any:
    """What an output holds at a path of `leaves`."""
    for step in path:
        output = getattr(output, step.name) if isinstance(step, Attribute) else output[step]
    return output


def place_of(path: tuple[Any, ...]) -> str:
    """A path in Python's own words; empty for the output itself."""
    return "".join(f".{s.name}" if isinstance(s, Attribute) else f"[{s!r}]" for s in path)


def what_came(output: Any) -> str:
    """An output in words: its structure, and the shapes in it."""
    if isinstance(output, Tensor):
        kind = "" if output.is_floating_point() else f" of {output.dtype}"
        return f"a tensor of shape {tuple(output.shape)}{kind}"
    found = list(leaves(output))
    if len(found) == 1 and not found[0][0]:
        return type(output).__name__
    parts = []
    for path, leaf in found:
        held = tuple(leaf.shape) if isinstance(leaf, Tensor) else type(leaf).__name__
        parts.append(f"{place_of(path)} {held}")
    return f"a {type(output).__name__} with {', '.join(parts) or 'nothing in it'}"


def grid_of(tokens: Tensor) -> tuple[int, int] | None:
    """Side of the square grid that fits a tensor, and the number of tokens before it.

    Args:
        tokens: (B, D, h, w), a map already (its side is 0 then), or (B, N, D): of the counts that
            a square grid can have the one that leaves the fewest class and register tokens over.
    """
    if tokens.ndim == 4:
        fits = 1 < tokens.shape[2] * tokens.shape[3] <= _MOST_CELLS
        return (0, 0) if fits else None
    if tokens.ndim != 3:
        return None
    count = tokens.shape[1]
    for prefix in range(min(count - 4, MOST_PREFIX) + 1):
        side = round((count - prefix) ** 0.5)
        if side * side == count - prefix and side * side <= _MOST_CELLS:
            return side, prefix
    return None


def choose_output(output: Any, rows: int) -> tuple[Any, ...]:
    """The path to the tensor that an audit looks at.

    That is the output itself, or in it the first matrix (images, values); where there is none, a
    map (images, channels, h, w): of a list of maps the last, which is the deepest; where there is
    none either, the first tokens (images, tokens, values) that fill a square grid.

    Args:
        output: of a model, for `rows` images.
        rows: number of images.

    Raises:
        ValueError: no floating tensor, or none of `rows` rows; the message names what came.
    """
    fitting = [
        (path, leaf)
        for path, leaf in leaves(output)
        if isinstance(leaf, Tensor)
        and leaf.is_floating_point()
        and leaf.ndim >= 2
        and leaf.shape[0] == rows
        and not any(getattr(step, "name", step) in _DRAWN for step in path)
    ]
    matrices = [path for path, leaf in fitting if leaf.ndim == 2 or not path]
    if matrices:
        return matrices[0]
    maps = [path for path, leaf in fitting if leaf.ndim == 4]
    if maps:
        beside = [path for path in maps if path[:-1] == maps[0][:-1]]
        listed = bool(maps[0]) and isinstance(maps[0][-1], int)
        return beside[-1] if listed else maps[0]
    tokens = [path for path, leaf in fitting if leaf.ndim == 3 and leaf.shape[2] > 1]
    tokens = [path for path in tokens if grid_of(at_path(output, path))]
    if tokens:
        return tokens[0]
    expected = (
        f"a floating tensor with a row for each of {rows} images, or a tuple, list, dict or "
        "dataclass that contains one"
    )
    fail("model", expected, what_came(output))


class Chosen(nn.Module):
    """A model that returns one tensor: the one at `path` in what `model` returns.

    Args:
        model: a module or any callable.
        path: keys, indices and attributes, from outside inwards.
    """

    def __init__(self, model: Callable[[Tensor], Any], path: tuple[Any, ...]) -> None:
        super().__init__()
        self.model, self.path = model, path

    def forward(self, x: Tensor) -> Tensor:
        """The chosen tensor."""
        return at_path(self.model(x), self.path)
