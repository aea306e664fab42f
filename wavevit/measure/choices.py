"""Turnover of a choice of tokens: how many of them another crop of the same image changes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wavevit.checks import check_callable, check_choice, fail
from wavevit.measure.evaluation import Model, in_batches
from wavevit.measure.intervals import Interval, mean_interval
from wavevit.measure.shift import standard_error
from wavevit.measure.shifting import SHIFT_MODELS, center_crop, input_sides, shifted

__all__ = ["ChoiceTurnover", "choice_turnover"]


@dataclass(frozen=True)
class ChoiceTurnover:
    """Change of the weights of tokens under a shift, in percent of the tokens.

    Attributes:
        percent: mean over images of ``100 Σ |w' − w| / Σ (w' + w)``: 0 if the same tokens are
            chosen, 100 if no token is chosen twice. Of weights 0 and 1 it is the share of the
            tokens that change.
        stderr: standard error of `percent` over images.
        tokens: mean number of tokens with a weight above 0.
        shift: rows and columns in pixels.
        kind: shift model.
        images: number of images.
    """

    percent: float
    stderr: float
    tokens: float
    shift: tuple[float, float]
    kind: str
    images: int

    @property
    def interval(self) -> Interval:
        """95 % interval of `percent` (Student)."""
        low, high = mean_interval(self.percent, self.stderr, self.images)
        return max(low, 0.0), min(high, 100.0)


def choice_turnover(
    choose: Model,
    images: Tensor,
    shift: tuple[float, float] = (0, 1),
    *,
    kind: str = "crop",
    crop_size: int | None = None,
    batch_size: int = 64,
) -> ChoiceTurnover:
    """How much a shift changes which tokens are chosen, on a grid that does not move.

    Args:
        choose: images to weights of all candidates (B, M), at least 0 and with a sum above 0.
        images: (N, C, H, W), windows for ``"crop"``.
        shift: rows and columns in pixels.
        kind: shift model.
        crop_size: side of the crop in pixels, for ``"crop"``.
        batch_size: images at a time.

    Returns:
        A `ChoiceTurnover`.

    Raises:
        ValueError: an unknown shift model, or weights of another shape or sign.

    Example:
        >>> import torch
        >>> images = torch.rand(2, 1, 8, 8)
        >>> choice_turnover(lambda x: torch.ones(len(x), 4), images, kind="circular").percent
        0.0
    """
    check_choice("kind", kind, SHIFT_MODELS)
    check_callable("choose", choose)
    size = input_sides(images, crop_size, kind)
    before = in_batches(choose, center_crop(images, size), batch_size).double()
    after = in_batches(choose, shifted(images, shift, kind, size), batch_size).double()
    for weights in (before, after):
        if weights.ndim != 2:
            fail("choose", "weights of shape (B, M)", f"shape {tuple(weights.shape)}")
        if bool((weights < 0).any()) or not bool((weights.sum(dim=1) > 0).all()):
            fail("choose", "weights of at least 0 with a sum above 0", float(weights.min()))
    percents = 100 * (after - before).abs().sum(dim=1) / (after + before).sum(dim=1)
    return ChoiceTurnover(
        float(percents.mean()),
        standard_error(percents),
        float((before > 0).sum(dim=1).double().mean()),
        shift,
        kind,
        len(images),
    )
