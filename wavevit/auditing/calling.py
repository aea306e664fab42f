"""Call a model with pictures: keyword, precision, batch size and import folder."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["NARROW", "Called", "Pictured", "keyword_of"]

_WORD = "pixel_values"  # transformers' name of the images, which need not come first
NARROW = (torch.float16, torch.bfloat16)  # precisions whose rounding shows in figures


def keyword_of(model: Any) -> str | None:
    """The keyword by which a model takes its images; None where they are its first argument."""
    call = model.forward if isinstance(model, nn.Module) else model
    try:
        parameters = list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):  # builtins, and modules written in C++
        return None
    if any(p.name == _WORD and p.kind is not p.POSITIONAL_ONLY for p in parameters):
        return _WORD
    if any(
        p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) for p in parameters
    ):
        return None
    required = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    return required[0] if len(required) == 1 else None


class Called(nn.Module):
    """A model of one positional argument, called as it wants to be.

    Args:
        model: a module or any callable.
        keyword: of its images; None for the first argument.
        around: makes the context that it is called in: where its file can import its neighbours.
        extra: more keyword arguments.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        keyword: str | None = None,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
        **extra: Any,
    ) -> None:
        super().__init__()
        self.model, self.keyword, self.around, self.extra = model, keyword, around, extra

    def plainly(self) -> Callable[[Tensor], Any]:
        """The model itself, where it is called with nothing but its images; else this."""
        return self if self.keyword or self.extra or self.around is not nullcontext else self.model

    def forward(self, x: Tensor) -> Any:
        """Whatever the model returns."""
        with self.around():
            if self.keyword is None:
                return self.model(x, **self.extra)
            return self.model(**{self.keyword: x}, **self.extra)


class Pictured(nn.Module):
    """A view of pictures in [0, 1], whatever range, precision and batch the model itself takes.

    Args:
        model: of normalised images, a tensor with a row for each.
        mean: of each channel.
        std: of each channel.
        takes: the precision of the model's images; None for that of the pictures.
        batch: the only number of images that the model takes; None for any.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Any],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        takes: torch.dtype | None = None,
        batch: int | None = None,
    ) -> None:
        super().__init__()
        self.model, self.takes, self.batch = model, takes, batch
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64)[:, None, None])
        self.register_buffer("std", torch.tensor(std, dtype=torch.float64)[:, None, None])

    def images(self, x: Tensor) -> Tensor:
        """Pictures as the model gets them, always in memory of their own."""
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        x = (x - mean.to(x)) / std.to(x)
        return x if self.takes is None else x.to(self.takes)

    def forward(self, x: Tensor) -> Any:
        """(B, C, H, W) in [0, 1]; outputs of half precision come back in float32."""
        x = self.images(x)
        output = self.model(x) if self.batch is None else self._in_parts(x, self.batch)
        narrow = isinstance(output, Tensor) and output.dtype in NARROW
        return output.float() if narrow else output

    def _in_parts(self, x: Tensor, batch: int) -> Tensor:
        """The last part is filled up with its own last image."""
        missing = -len(x) % batch
        full = torch.cat([x, x[-1:].expand(missing, -1, -1, -1)]) if missing else x
        return torch.cat([self.model(part) for part in full.split(batch)])[: len(x)]

    def in_float64(self) -> None:
        """Widens the model, and what it is given; for a copy."""
        self.double()
        self.takes = torch.float64
