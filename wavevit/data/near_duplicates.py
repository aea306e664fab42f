"""Find near-duplicate pictures: the same photograph in another size, compression or brightness.

A fingerprint holds the Haar details of a small grey version of the picture, each level at the same
weight. Means and slow gradients, which many photographs share (sky above ground), are not in it.
Two pictures whose fingerprints correlate are near-duplicates, also if one is mirrored. A cut-out of
another picture is not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_number, check_tensor, fail
from wavevit.wavelets import wavedec2

__all__ = ["NearDuplicate", "fingerprints", "near_duplicates"]

_SIDE, _LEVELS = 32, 3
_ALIKE = 0.75  # correlation; see tests/unit/test_data_photographs.py and docs/data.md
_ROWS = 1024  # of the matrix of correlations that are computed at a time


class NearDuplicate(NamedTuple):
    """Two pictures that show the same.

    Attributes:
        first: index of one.
        second: index of the other, above `first`.
        correlation: of their fingerprints.
    """

    first: int
    second: int
    correlation: float


def fingerprints(pictures: Sequence[Tensor]) -> Tensor:
    """Fingerprints (n, d) of unit length of grey pictures (H, W).

    Args:
        pictures: of any sizes.

    Raises:
        ValueError: no pictures, or tensors of another rank or dtype.
    """
    if not isinstance(pictures, Sequence) or not pictures:
        fail("pictures", "a sequence of at least one tensor (H, W)", repr(pictures)[:60])
    for index, own in enumerate(pictures):
        check_tensor(f"pictures[{index}]", own, "(H, W)", 2)
        if not own.is_floating_point() or not own.numel():
            got = f"{own.dtype} in shape {tuple(own.shape)}"
            fail(f"pictures[{index}]", "a floating dtype and at least one pixel", got)
    small = torch.stack(
        [
            F.interpolate(own[None, None], (_SIDE, _SIDE), mode="bilinear", antialias=True)[0]
            for own in pictures
        ]
    )
    return _details(small.double())


def near_duplicates(pictures: Sequence[Tensor], alike: float = _ALIKE) -> list[NearDuplicate]:
    """Pairs of grey pictures (H, W) that are near-duplicates.

    Args:
        pictures: of any sizes.
        alike: least correlation of fingerprints.

    Raises:
        ValueError: no pictures, tensors of another rank or dtype, or a correlation outside [-1, 1].

    Guarantees:
        Finds resized, recompressed, brightened and mirrored copies; bundled photographs are all
        different (tests/unit/test_data_photographs.py).
    """
    check_number("alike", alike, least=-1, most=1)
    own = fingerprints(pictures)
    mirrored = fingerprints([picture.flip(-1) for picture in pictures])
    found = []
    for start in range(0, len(own), _ROWS):
        rows = own[start : start + _ROWS]
        likeness = torch.maximum(rows @ own.T, rows @ mirrored.T)
        pairs = (likeness >= alike).triu(start + 1).nonzero().tolist()
        found += [NearDuplicate(start + i, j, float(likeness[i, j])) for i, j in pairs]
    return found


def _details(small: Tensor) -> Tensor:
    parts = []
    for details in wavedec2(small, "haar", level=_LEVELS).details:
        flat = details.flatten(1)
        # A flat picture has no details: its fingerprint is zero, and like no other.
        parts.append(flat / flat.norm(dim=1, keepdim=True).clamp(min=1e-9))
    return torch.cat(parts, dim=1) / len(parts) ** 0.5
