"""The pixels that two crops of one image share."""

from __future__ import annotations

from torch import Tensor

from wavevit.checks import fail

__all__ = ["overlap"]


def overlap(first: Tensor, second: Tensor, shift: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The same places of the image in the maps of two crops.

    Args:
        first: (…, H, W), one value for each pixel of a crop.
        second: the same of the crop that starts `shift` pixels (down, right) of it.
        shift: in pixels.

    Returns:
        (…, H - |down|, W - |right|) of both.

    Raises:
        ValueError: a shift that leaves nothing in common.
    """
    if any(abs(step) >= side for step, side in zip(shift, first.shape[-2:], strict=True)):
        fail("shift", f"less than the sides {tuple(first.shape[-2:])}", shift)
    (rows, back_rows), (columns, back_columns) = (
        (slice(max(step, 0), side + min(step, 0)), slice(max(-step, 0), side + min(-step, 0)))
        for step, side in zip(shift, first.shape[-2:], strict=True)
    )
    return first[..., rows, columns], second[..., back_rows, back_columns]
