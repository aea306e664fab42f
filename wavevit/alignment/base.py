"""What all alignments share: views of an image, a model of them, and the way back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from wavevit.alignment.shifts import fourier_shift, roll_images
from wavevit.alignment.statistics import BOUNDARIES, spans
from wavevit.checks import check_at_least, check_choice, check_image, fail
from wavevit.layers.options import NoOptions, PartOptions

__all__ = ["Alignment", "Restore", "Views", "map_tensors", "tensors_of"]

Restore = Callable[[Tensor, Tensor], Tensor]


class Views(NamedTuple):
    """The shifted copies that an alignment asks a model about.

    Attributes:
        offset: (N, 2) pixels, rows and columns: view `n` is its image moved by ``-offset[n]``.
        image: (N,) which image it is of; None where there is one view of each image, in order.
        weight: (N,) share of the output, the shares of an image sum to 1; None for one view.
    """

    offset: Tensor
    image: Tensor | None = None
    weight: Tensor | None = None


def map_tensors(function: Callable[..., Any], *outputs: Any) -> Any:
    """`function` of the tensors of a model's output: a tensor, or lists, tuples, dicts of them."""
    first = outputs[0]
    if isinstance(first, Tensor):
        return function(*outputs)
    if isinstance(first, dict):
        return {key: map_tensors(function, *(o[key] for o in outputs)) for key in first}
    if isinstance(first, list | tuple):
        items = [map_tensors(function, *parts) for parts in zip(*outputs, strict=True)]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    fail("model", "an output of tensors, lists, tuples and dicts", type(first).__name__)


def tensors_of(output: Any) -> list[Tensor]:
    """The tensors of a model's output, in order."""
    found: list[Tensor] = []
    map_tensors(found.append, output)
    return found


class Alignment(nn.Module, ABC):
    """Chooses the phases at which a grid of this period is laid on each image.

    Args:
        period: the shift in pixels that the model behind it keeps; None for a model that keeps
            none (absolute positions, zero padding): every phase of the whole image counts then.
        boundary: ``"circular"`` weighs every pixel alike and is exact for circular shifts;
            ``"window"`` tapers with a Hann window what the choice is made by, so that what
            enters and leaves at the border hardly counts and the grid follows the content of a
            real crop. ``"mirror"`` chooses like that and lays the grid without a circle: the image
            moves to its phase by half a period at most, and what enters is its own border,
            mirrored, and not its other side. ``"interior"`` chooses like that and lays the grid on
            whole periods inside the image: the model sees one period less on each axis, and
            nothing that was not there; cells of a map beyond it repeat the last. It takes sides of
            two or more whole periods. None of the three is exact.
    """

    Options: ClassVar[type[PartOptions]] = NoOptions

    def __init__(self, period: int | None, boundary: str = "circular") -> None:
        super().__init__()
        if period is not None:
            check_at_least("period", period, 1)
        self.period = period
        self.boundary = check_choice("boundary", boundary, BOUNDARIES)

    @classmethod
    def build(cls, period: int | None, boundary: str, options: Any) -> Self:
        """The alignment of a backbone.

        Args:
            period: the shift in pixels that the backbone keeps.
            boundary: ``alignment_boundary`` of its configuration.
            options: an instance of `Options`.
        """
        return cls(period, boundary)

    @abstractmethod
    def views(self, x: Tensor) -> Views:
        """The views of images (B, C, H, W)."""

    def calls(self, x: Tensor) -> Tensor:
        """How many times the model runs for each image: (B,)."""
        views = self.views(x)
        if views.image is None:
            return torch.ones(x.shape[0], dtype=torch.long, device=x.device)
        return views.image.bincount(minlength=x.shape[0])

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to their views (N, C, H, W)."""
        check_image(x)
        return self._move(x, self._nearest_views(x))

    def _nearest_views(self, x: Tensor) -> Views:
        """`views`; without a circle, each by the shorter way to its phase."""
        views = self.views(x)
        if self.boundary != "mirror":
            return views
        span = torch.tensor(spans(x.shape[-2:], self.period), device=x.device)
        half = span // 2
        return views._replace(offset=(views.offset + half) % span - half)

    def _move(self, x: Tensor, views: Views) -> Tensor:
        chosen = x if views.image is None else x[views.image]
        if views.offset.is_floating_point():
            return fourier_shift(chosen, -views.offset)
        moved = roll_images(chosen, -views.offset, mirror=self.boundary == "mirror")
        height, width = self.seen((x.shape[-2], x.shape[-1]))
        return moved[..., :height, :width]

    def seen(self, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) of what the model is shown of images of this size.

        Raises:
            ValueError: sides that have no interior, with ``boundary="interior"``.
        """
        if self.boundary != "interior":
            return size
        period, (height, width) = self.period, size
        if period is None or height % period or width % period or min(height, width) < 2 * period:
            expected = f"sides of two or more whole periods ({period or 'the whole image'})"
            fail("x", f"{expected} for boundary='interior'", f"{height} x {width}")
        return height - period, width - period

    def through(
        self, model: Callable[[Tensor], Any], x: Tensor, restore: Restore | None = None
    ) -> Any:
        """The aligned model of images.

        Views go through the model at most B at a time, those of different images together. With
        gradients, which keep everything anyway, all go at once where that is no slower: on a GPU
        and in a compiled graph. A CPU takes half the time for what stays in its caches. A batch
        norm in training sees what goes together.

        Args:
            model: images to an output of tensors that have a row for each image.
            x: images (B, C, H, W).
            restore: output tensor and offsets (B, 2) to the tensor in the image's own
                coordinates; None for outputs without a place.

        Returns:
            What the model returns, in its structure and dtype.
        """
        check_image(x)
        views = self._nearest_views(x)

        def run(part: Views) -> Any:
            output = model(self._move(x, part))
            if restore is None:
                return output
            return map_tensors(lambda tensor: restore(tensor, part.offset), output)

        if views.image is None or views.weight is None:
            return run(views)
        total: Any = None
        no_slower = x.device.type != "cpu" or torch.compiler.is_compiling()
        # A graph of `torch.jit.trace` repeats no loop more often than it ran at first.
        at_once = (torch.is_grad_enabled() and no_slower) or torch.jit.is_tracing()
        everything = (views.offset, views.image, views.weight)
        parts = [(t,) if at_once else t.split(x.shape[0]) for t in everything]
        for offset, image, weight in zip(*parts, strict=True):
            output = run(Views(offset, image, weight))

            def add(new: Tensor, old: Tensor, image: Tensor = image, w: Tensor = weight) -> Tensor:
                share = w.to(old.dtype).reshape(-1, *[1] * (new.ndim - 1))
                return old.index_add(0, image, share * new)

            if total is None:
                total, kind = map_tensors(lambda t: _zeros(t, x.shape[0]), output), output
            total = map_tensors(add, output, total)
        return map_tensors(lambda sum_, like: sum_.to(like.dtype), total, kind)

    def extra_repr(self) -> str:
        return f"period={self.period}, boundary={self.boundary!r}"


def _zeros(like: Tensor, rows: int) -> Tensor:
    dtype = torch.promote_types(like.dtype, torch.float32)
    return torch.zeros(rows, *like.shape[1:], dtype=dtype, device=like.device)
