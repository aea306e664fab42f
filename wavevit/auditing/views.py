"""Views of a model: logits, pooled features, a map of tokens, whatever the model is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.alignment import AlignedModel
from wavevit.alignment.blur import copy_sharing_weights
from wavevit.checks import fail

__all__ = ["Chosen", "Normalized", "choose_output", "headless", "through", "token_map"]


class Normalized(nn.Module):
    """A model of pictures in [0, 1], whatever range its own images have.

    Args:
        model: a module or any callable.
        mean: of each channel.
        std: of each channel.
    """

    def __init__(
        self, model: Callable[[Tensor], Any], mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64)[:, None, None])
        self.register_buffer("std", torch.tensor(std, dtype=torch.float64)[:, None, None])

    def forward(self, x: Tensor) -> Any:
        """(B, C, H, W) in [0, 1]."""
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        return self.model((x - mean.to(x)) / std.to(x))


class Chosen(nn.Module):
    """A model that returns one tensor: the one at `path` in what `model` returns.

    Args:
        model: a module or any callable.
        path: keys and indices, from outside inwards.
    """

    def __init__(self, model: Callable[[Tensor], Any], path: tuple[Any, ...]) -> None:
        super().__init__()
        self.model, self.path = model, path

    def forward(self, x: Tensor) -> Tensor:
        """The chosen tensor."""
        output = self.model(x)
        for step in self.path:
            output = output[step]
        return output


def _leaves(output: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(output, dict):
        for key, value in output.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(output, list | tuple):
        for index, value in enumerate(output):
            yield from _leaves(value, (*path, index))
    else:
        yield path, output


def _what_came(output: Any) -> str:
    """An output in words: its structure, and the shapes in it."""
    if isinstance(output, Tensor):
        return f"a tensor of shape {tuple(output.shape)}"
    if not isinstance(output, dict | list | tuple):
        return type(output).__name__
    parts = []
    for path, leaf in _leaves(output):
        place = "".join(f"[{step!r}]" for step in path)
        kind = tuple(leaf.shape) if isinstance(leaf, Tensor) else type(leaf).__name__
        parts.append(f"{place} {kind}")
    return f"a {type(output).__name__} with {', '.join(parts) or 'nothing in it'}"


def choose_output(output: Any, rows: int) -> tuple[Any, ...]:
    """The path to the tensor that an audit looks at: the output, or the first matrix in it.

    Args:
        output: of a model, for `rows` images.
        rows: number of images.

    Raises:
        ValueError: no floating tensor, or none of `rows` rows; the message names what came.
    """

    def fits(leaf: Any) -> bool:
        return (
            isinstance(leaf, Tensor)
            and leaf.is_floating_point()
            and leaf.ndim >= 2
            and leaf.shape[0] == rows
        )

    for path, leaf in _leaves(output):
        if fits(leaf) and (leaf.ndim == 2 or not path):
            return path
    expected = (
        f"a floating tensor with a row for each of {rows} images, or a tuple, list or dict that "
        "holds one of shape (images, classes)"
    )
    fail("model", expected, _what_came(output))


def through(model: Any, view: Callable[[nn.Module], nn.Module | None]) -> nn.Module | None:
    """`view` of a model, of what is inside where the model is aligned: the alignment stays."""
    if not isinstance(model, AlignedModel):
        return view(model)
    inner = view(model.model)
    if inner is None:
        return None
    return AlignedModel(inner, model.alignment, model.period_source, model.blurred, model.layout)


def headless(model: Any) -> nn.Module | None:
    """The model without its classifier: pooled features. None where it names no classifier."""
    if not callable(getattr(model, "reset_classifier", None)):
        return None
    bare: Any = copy_sharing_weights(model)
    bare.reset_classifier(0)
    return bare


class _TokenMap(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        (features,) = self.model.forward_intermediates(
            x, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True
        )
        return features


def token_map(model: Any) -> nn.Module | None:
    """The last map (B, D, h, w) of a model with timm's `forward_intermediates`, normalised."""
    return _TokenMap(model) if callable(getattr(model, "forward_intermediates", None)) else None
