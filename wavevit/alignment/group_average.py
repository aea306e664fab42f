"""Group average: the mean of a model over all phases of its grid, or over K of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from wavevit.alignment.base import Alignment, Restore, Views
from wavevit.alignment.lattice import check_phases, phase_lattice
from wavevit.alignment.registry import register_alignment
from wavevit.alignment.statistics import spans
from wavevit.checks import check_at_least, check_image
from wavevit.layers.options import PartOptions

__all__ = ["GroupAverage", "GroupAverageOptions"]


@dataclass(frozen=True)
class GroupAverageOptions(PartOptions):
    """Options of the alignment ``"group_average"``.

    Attributes:
        phases: number of phases; None for all.
        max_views: largest number of images in one call of the model; None for no limit.
        period: period of the phases in pixels; None for the shift period that the backbone keeps.
            A backbone that keeps none (absolute positions) then averages over the whole image or,
            with `phases`, over phases of its coarsest stride.

    Raises:
        ValueError: a number below 1, or a number of phases that does not divide the square of the
            period.
    """

    phases: int | None = None
    max_views: int | None = None
    period: int | None = None

    def __post_init__(self) -> None:
        for name in ("phases", "max_views", "period"):
            value = getattr(self, name)
            if value is not None:
                check_at_least(name, value, 1)
        if self.phases is not None and self.period is not None:
            check_phases(self.phases, (self.period, self.period))


@register_alignment("group_average")
class GroupAverage(Alignment):
    """Average of the model over all P² phases, or over K phases that form a group.

    ``f(x) = 1/K Σ_k g(T_{-k} x)`` over the K grid offsets of `phase_lattice`; maps move back before
    they are averaged. All P² phases are the reference for other methods. Few phases cost K calls,
    and keep most of the gain where outputs change smoothly with the grid.

    Args:
        period: see `Alignment`.
        phases: K, a divisor of P²; None for all phases of each side (of the whole side where P does
            not divide it). K = 1 is the model itself. The phases are those of P, also on sides that
            P does not divide.
        max_views: largest number of images that the model gets in one call, to limit memory.
            Without it, K phases of all images are one call; all phases (`phases` is None) come in
            calls of B images, see `Alignment.through`. In training, a batch norm sees these
            batches, and the memory of all calls is kept for the backward pass.

    Raises:
        ValueError: K does not divide P² (the message lists the allowed numbers).

    Guarantees:
        If the model keeps shifts by P and P divides both sides: exact for every circular shift
        between two of its phases (multiples of P/k pixels on both axes for K = k²), for every
        image; maps with a value for each pixel move with the image, and maps of stride `s` do so
        exactly by multiples of `s` and by interpolation otherwise. K = P² is exact for every
        integer shift. K = 1 equals the model bit for bit. Continuous for every image; gradients
        are averages too (tests/properties/test_group_average_laws.py, test_alignment_laws.py).
        *Not* guaranteed: other shifts, crop shifts, and exactness with a period that the model
        does not keep (absolute positions). The boundary does not matter, because no phase is
        chosen.

    Source:
        The average over a group is the Reynolds operator of invariant theory. Few structured
        phases without training: Phase Marginalization (arXiv 2606.08132). The choice of the
        lattice is ours.
    """

    Options = GroupAverageOptions

    def __init__(
        self, period: int | None, phases: int | None = None, max_views: int | None = None
    ) -> None:
        super().__init__(period)
        options = GroupAverageOptions(phases, max_views, period)
        self.phases = options.phases
        self.max_views = options.max_views

    @classmethod
    def build(cls, period: int | None, boundary: str, options: GroupAverageOptions) -> Self:
        return cls(options.period or period, options.phases, options.max_views)

    @property
    def takes_stride(self) -> bool:
        """True with few phases, because those of the whole image would be whole patches apart."""
        return self.phases is not None

    def kept_shifts(self, period: int | None) -> str:
        """See `Alignment.kept_shifts`."""
        if self.phases is None:
            return super().kept_shifts(period)
        if self.period is None or period is None or self.period % period:
            return "none exactly"
        if self.phases == self.period**2:
            return super().kept_shifts(period)
        return f"circular shifts between {self.phases} phases of {self.period} pixels"

    def views(self, x: Tensor) -> Views:
        """One phase of all images after the other: what a model sees together is a batch."""
        if self.phases is None:
            rows, columns = (
                torch.arange(s, device=x.device) for s in spans(x.shape[-2:], self.period)
            )
            phases = torch.cartesian_prod(rows, columns).reshape(-1, 2)
        else:
            span = (self.period,) * 2 if self.period else (int(x.shape[-2]), int(x.shape[-1]))
            phases = torch.tensor(phase_lattice(span, self.phases), device=x.device)
        image = torch.arange(x.shape[0], device=x.device).repeat(len(phases))
        weight = torch.full((len(image),), 1 / len(phases), dtype=torch.float64, device=x.device)
        return Views(phases.repeat_interleave(x.shape[0], dim=0), image, weight)

    def call_size(self, x: Tensor) -> int | None:
        """See `Alignment.call_size`; `max_views` has priority."""
        if self.max_views is not None:
            return self.max_views
        return super().call_size(x) if self.phases is None else None

    def through(
        self, model: Callable[[Tensor], Any], x: Tensor, restore: Restore | None = None
    ) -> Any:
        """See `Alignment.through`; one phase is the model itself."""
        if self.phases == 1 and self.max_views is None:
            check_image(x)
            return model(x)
        return super().through(model, x, restore)

    def extra_repr(self) -> str:
        phases = self.phases or "all"
        return f"period={self.period}, phases={phases}, max_views={self.max_views}"
