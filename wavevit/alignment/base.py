"""Base class of alignments: shifted views of an image, the model on them, and maps moved back."""

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
    """Shifted copies of images that an alignment gives to the model.

    Attributes:
        offset: (N, 2) pixels, rows and columns: view `n` is its image moved by ``-offset[n]``.
        image: (N,) index of the image; None if there is one view of each image, in order.
        weight: (N,) weights of the outputs, which sum to 1 for each image; None for one view.
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
    """Base class of alignments that choose grid offsets (phases) for each image.

    Args:
        period: shift period of the model in pixels; None for a model that keeps no shift (absolute
            positions, zero padding): then every phase of the whole image counts.
        boundary: how pixels near the border count. ``"circular"`` weights every pixel alike and is
            exact for circular shifts; the other three are not exact for any shift.
            ``"window"`` weights the image with a Hann window, so that pixels entering and leaving
            at the border count little and the grid follows the content of a real crop.
            ``"mirror"`` chooses the phase like ``"window"`` and does not wrap: the image moves by
            at most half a period, and its mirrored border fills the gap.
            ``"interior"`` chooses the phase like ``"window"`` and places the grid on whole periods
            inside the image: the model reads one period less on each axis and no invented pixels.
            Positions of a map outside that area repeat the nearest value. It needs sides of two or
            more whole periods.

    Raises:
        ValueError: a period below 1 or an unknown boundary.
    """

    Options: ClassVar[type[PartOptions]] = NoOptions

    def __init__(self, period: int | None, boundary: str = "circular") -> None:
        super().__init__()
        if period is not None:
            check_at_least("period", period, 1)
        self.period = period
        self.boundary = check_choice("boundary", boundary, BOUNDARIES)

    @property
    def takes_stride(self) -> bool:
        """Whether the stride of the model's grid is its period if the model keeps no shift.

        The result is then not exact. By default the period is the whole image, which is exact.
        """
        return False

    @property
    def calls_vary(self) -> bool:
        """Whether the number of model calls depends on the image.

        On the meta device, which has no values, `views` then returns as many as there can be.
        """
        return False

    def kept_shifts(self, period: int | None) -> str:
        """The shifts that the aligned model keeps exactly, in words.

        Args:
            period: the shift in pixels that the model itself keeps; None if there is none.
        """
        if self.boundary != "circular":
            return "none exactly"
        return "every circular shift by whole pixels"

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
        """Number of model calls for each image: (B,)."""
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
        """Size (H, W) of the images that the model gets.

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

    def call_size(self, x: Tensor) -> int | None:
        """Largest number of views of images (B, C, H, W) in one call of the model; None for all.

        It is B, or with gradients on a GPU and in a compiled graph all. On a CPU smaller batches
        take half the time, because they stay in the caches.
        """
        no_slower = x.device.type != "cpu" or torch.compiler.is_compiling()
        # A graph of `torch.jit.trace` repeats no loop more often than it ran at first.
        at_once = (torch.is_grad_enabled() and no_slower) or torch.jit.is_tracing()
        return None if at_once else x.shape[0]

    def through(
        self, model: Callable[[Tensor], Any], x: Tensor, restore: Restore | None = None
    ) -> Any:
        """Runs a model on the views of images and returns the aligned output.

        The model gets at most `call_size` views in one call. In training, a batch norm sees these
        batches.

        Args:
            model: images to an output of tensors that have a row for each image.
            x: images (B, C, H, W).
            restore: function of an output tensor and offsets (B, 2) that moves the tensor to the
                image's coordinates; None for outputs without positions.

        Returns:
            What the model returns, in its structure and dtype.

        Raises:
            ValueError: outputs of integers, such as classes, where outputs of several views are
                averaged.
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
        size = self.call_size(x)
        everything = (views.offset, views.image, views.weight)
        parts = [(t,) if size is None else t.split(size) for t in everything]
        for offset, image, weight in zip(*parts, strict=True):
            output = run(Views(offset, image, weight))

            def add(new: Tensor, old: Tensor, image: Tensor = image, w: Tensor = weight) -> Tensor:
                if not (new.is_floating_point() or new.is_complex()):
                    expected = "floating outputs, of which a mean is one (leave classes out)"
                    fail("model", expected, f"{new.dtype} of shape {tuple(new.shape)}")
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
