"""Weighted frame: an average over the strongest phases, without a hard choice or a jump."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wavevit.alignment.base import Alignment, Views
from wavevit.alignment.registry import register_alignment
from wavevit.alignment.statistics import laplacian_energy, spans, sum_by_phase, taper
from wavevit.checks import check_at_least, check_number
from wavevit.layers.options import PartOptions

__all__ = ["WeightedFrame", "WeightedFrameOptions"]


@dataclass(frozen=True)
class WeightedFrameOptions(PartOptions):
    """Options of the alignment ``"weighted_frame"``.

    Attributes:
        threshold: in (0, 1]: phases weaker than the strongest by at least this share get no weight.
        max_phases: largest number of phases for an image; None for no limit.

    Raises:
        ValueError: a threshold outside (0, 1], or fewer than one phase.
    """

    threshold: float = 0.05
    max_phases: int | None = None

    def __post_init__(self) -> None:
        check_number("threshold", self.threshold, above=0, most=1, expected="a share in (0, 1]")
        if self.max_phases is not None:
            check_at_least("max_phases", self.max_phases, 1)


@register_alignment("weighted_frame")
class WeightedFrame(Alignment):
    """Weighted average ``Σ_k w_k(x) g(T_{-k} x)`` over the strongest phases.

    The strength `S_k` of a phase is the energy of the image's Laplacian at that phase (it differs
    ten times more between phases than the energy of the pixels); ``w_k ∝ max(S_k - θ, 0)`` with
    ``θ = (1 - threshold) max S``.

    Args:
        period: see `Alignment`.
        boundary: see `Alignment`.
        threshold: in (0, 1]: phases weaker than the strongest by at least this share get no
            weight. A small threshold means few model calls and weights that change quickly; 1
            gives every phase a weight. The slope of the weights, and so of the model, grows like
            ``1 / threshold``.
        max_phases: largest number of model calls for an image: θ rises to the strength of phase
            ``max_phases + 1``. The result is still exact, and continuous except for images where
            ``max_phases + 1`` phases tie for the strongest. `torch.compile` needs it to make one
            graph, in which all `max_phases` views of each image are run.

    Raises:
        ValueError: a threshold outside (0, 1] or `max_phases` below 1.

    Guarantees:
        With ``boundary="circular"``: exact for integer circular shifts as `PhaseLock`, for every
        image, ties included, in every dtype, and continuous everywhere while `max_phases` is
        None (jump scan; tests/properties/test_alignment_laws.py). *Not* guaranteed: a cost.
        Stripes of period two make all phases of a kind equal and take up to P² calls.

    Source:
        Weighted frames: Dym, Lawrence & Siegel 2024 (arXiv 2402.16077). Statistic, threshold and
        the bound on calls are ours.
    """

    Options = WeightedFrameOptions

    def __init__(
        self,
        period: int | None,
        boundary: str = "circular",
        threshold: float = 0.05,
        max_phases: int | None = None,
    ) -> None:
        super().__init__(period, boundary)
        options = WeightedFrameOptions(threshold, max_phases)
        self.threshold = float(options.threshold)
        self.max_phases = options.max_phases

    @classmethod
    def build(cls, period: int | None, boundary: str, options: WeightedFrameOptions) -> Self:
        return cls(period, boundary, options.threshold, options.max_phases)

    @property
    def calls_vary(self) -> bool:
        """One call for each phase of positive weight."""
        return self.max_phases != 1

    def views(self, x: Tensor) -> Views:
        """The views of positive weight, images in order."""
        span = spans(x.shape[-2:], self.period)
        strength = sum_by_phase(taper(laplacian_energy(x), self.boundary), span).flatten(1).double()
        count = strength.shape[1]
        most = count if self.max_phases is None else self.max_phases
        bounded = most < count
        kept = most + 1 if bounded else count
        top, phase = strength.topk(kept, dim=1)
        floor = top[:, :1] * (1 - self.threshold)
        if bounded:
            floor = torch.maximum(floor, top[:, -1:])
            top, phase = top[:, :-1], phase[:, :-1]
        weight = (top - floor).clamp_min(0)
        total = weight.sum(dim=1, keepdim=True)
        # No strength at all (a constant image), or more ties than phases: the first one it is.
        first = torch.zeros_like(weight)
        first[:, 0] = 1
        weight = torch.where(total > 0, weight / torch.where(total > 0, total, 1.0), first)
        offset = torch.stack([phase // span[1], phase % span[1]], dim=-1)
        if x.is_meta or (bounded and torch.compiler.is_compiling()):
            image = torch.arange(x.shape[0], device=x.device)[:, None].expand_as(phase)
            return Views(offset.flatten(0, 1), image.flatten(), weight.flatten())
        image, place = (weight > 0).nonzero(as_tuple=True)
        return Views(offset[image, place], image, weight[image, place])

    def extra_repr(self) -> str:
        bound = f", threshold={self.threshold}, max_phases={self.max_phases}"
        return super().extra_repr() + bound
