"""Quadtree over patches: detail energies, weights of a soft or hard split, threshold by budget.

A node of level l is a square of ``2**l`` finest patches a side. It is either a token or is split
into its four children, or a part of both: with a split s in [0, 1] a node passes the share s of its
own weight on to each of its children and keeps the rest. So the weights of all nodes that cover a
pixel sum to 1, and a node that is not split ends its subtree.

Levels are in lists, finest first. Level l has ``h >> l`` rows and ``w >> l`` columns; where a row
or column is left over, its patches are nodes of a finer level that have no parent.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.layers.padding import pad_map
from wavevit.wavelets import dwt2, swt2
from wavevit.wavelets._engine.torch_private import is_derived

__all__ = [
    "count_threshold",
    "haar_pyramid",
    "hashed_energies",
    "lost_energy",
    "node_weights",
    "share_threshold",
    "split_share",
    "swt_energies",
    "token_count",
]

# Values of the threshold that one round of the search tries at once, and rounds after which the
# interval is as short as the rounding of its ends: 16**7 and 16**14 steps of some tens of nats.
_TRIED = 15
_ROUNDS = {torch.float32: 7, torch.float64: 14}


def haar_pyramid(x: Tensor, patch: int, levels: int) -> tuple[list[Tensor], ...]:
    """Energies that each node loses as one token, and the images that it keeps and loses.

    A token of level l sees its square at the resolution of means over ``2**l`` pixels. What it
    loses are the orthonormal Haar details of levels 1 to l inside the square.

    Args:
        x: images (B, C, H, W), sides divisible by `patch`.
        patch: side of a finest patch in pixels.
        levels: number of levels, at least 1.

    Returns:
        Energies (B, h, w) of each level, the mean over channels of the sum over pixels, divided by
        the pixels of a finest patch, 0 for level 0; means (B, C, h · patch, w · patch) of each
        level; and from level 1 on the details of the level itself in units of pixels
        (B, 3 · C, h · patch, w · patch).
    """
    rows, columns = x.shape[-2] // patch, x.shape[-1] // patch
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    energies = [wide.new_zeros(x.shape[0], rows, columns)]
    means, details = [x], []
    for level in range(1, levels):
        rows, columns = rows // 2, columns // 2
        bands = dwt2(wide[..., : 2 * rows * patch, : 2 * columns * patch])
        wide, fine = bands[:, :, 0], bands[:, :, 1:]
        own = fine.square().sum(dim=2).mean(dim=1)
        own = F.avg_pool2d(own[:, None], patch)[:, 0]
        energies.append(own + _merged(energies[-1], rows, columns))
        means.append((wide * 0.5**level).to(x.dtype))
        details.append((fine * 0.5**level).to(x.dtype).flatten(1, 2))
    return energies, means, details


def _merged(energy: Tensor, rows: int, columns: int) -> Tensor:
    """Sums over the four children of each node."""
    return 4 * F.avg_pool2d(energy[:, None, : 2 * rows, : 2 * columns], 2)[:, 0]


def swt_energies(x: Tensor, patch: int, levels: int, padding: str) -> list[Tensor]:
    """The energies of `haar_pyramid`, averaged over all positions of the Haar grid.

    Args:
        x: see `haar_pyramid`.
        patch: see there.
        levels: see there.
        padding: ``"circular"``, or ``"replicate"`` for an image that repeats its border.
    """
    rows, columns = x.shape[-2] // patch, x.shape[-1] // patch
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    energies = [wide.new_zeros(x.shape[0], rows, columns)]
    if levels == 1:
        return energies
    margin = 1 << (levels - 1)
    maps = swt2(pad_map(wide, margin, padding), level=levels - 1)[:, :, :, 1:]
    density = maps.square().sum(dim=3).mean(dim=1)  # (B, levels, H + 2 margin, W + 2 margin)
    total = torch.zeros_like(energies[0])
    for level in range(1, levels):
        # A coefficient is of the 2**level pixels from its index on. Their middle is between two
        # pixels: half of it belongs to each.
        here = density[:, levels - 1 - level] / 4**level
        start = margin - (1 << (level - 1))
        height, width = x.shape[-2:]
        here = here[:, start : start + height + 1, start : start + width + 1]
        here = F.avg_pool2d(here[:, None], 2, stride=1)
        total = total + F.avg_pool2d(here, patch)[:, 0]
        summed = total
        for step in range(level):
            summed = _merged(summed, rows >> (step + 1), columns >> (step + 1))
        energies.append(summed)
    return energies


def hashed_energies(means: Sequence[Tensor], patch: int) -> list[Tensor]:
    """Pseudo-random energies: the control of a choice by content.

    Each node gets a number that is uniform in [0, 1) times its number of finest patches, and the
    sum of its children's. It is computed from the mean of the node, so that the same image has the
    same numbers, and no nearby image does.
    """
    energies: list[Tensor] = []
    for level, mean in enumerate(means):
        wide = mean.to(torch.promote_types(mean.dtype, torch.float32))
        node = F.avg_pool2d(wide.mean(dim=1, keepdim=True), patch)[:, 0]
        drawn = (node.double() * 12345.678 + 0.3771 * level).sin() * 43758.5453
        drawn = ((drawn - drawn.floor()) * 4**level).to(wide.dtype)
        if level:
            drawn = drawn + _merged(energies[-1], drawn.shape[-2], drawn.shape[-1])
        energies.append(drawn if level else torch.zeros_like(drawn))
    return energies


def split_share(energy: Tensor, threshold: Tensor, softness: float) -> Tensor:
    """The share s of a node that is split: 0 below the threshold, 1 above, smooth between.

    Args:
        energy: of nodes, at least 0.
        threshold: positive, of a shape that broadcasts.
        softness: half the width of the transition as a share of the threshold, below 1; 0 for a
            jump at the threshold.
    """
    if softness == 0:
        return (energy > threshold).to(energy.dtype)
    steepness = 0.5 / softness
    place = (energy * (steepness / threshold) - steepness * (1 - softness)).clamp(0, 1)
    return place * place * (3 - 2 * place)


def node_weights(splits: Sequence[Tensor]) -> list[Tensor]:
    """Weights of nodes from the shares that are split.

    Args:
        splits: (…, h, w) for each level, finest first; that of level 0 gives only the grid.

    Returns:
        Weights of the same shapes; over every finest patch those of its nodes sum to 1.
    """
    weights: list[Tensor] = []
    reached = torch.ones_like(splits[-1])
    for level in range(len(splits) - 1, 0, -1):
        passed = reached * splits[level]
        weights.append(reached - passed)
        reached = _to_children(passed, splits[level - 1].shape[-2:])
    return [reached, *reversed(weights)]


def _to_children(passed: Tensor, grid: Sequence[int]) -> Tensor:
    """What nodes pass on, on the grid of their children; 1 for those without a parent."""
    *front, rows, columns = passed.shape
    passed = passed[..., :, None, :, None].expand(*front, rows, 2, columns, 2)
    passed = passed.reshape(*front, 2 * rows, 2 * columns)
    missing = (grid[0] - passed.shape[-2], grid[1] - passed.shape[-1])
    if missing == (0, 0):
        return passed
    return F.pad(passed, (0, missing[1], 0, missing[0]), value=1.0)


def token_count(weights: Sequence[Tensor]) -> Tensor:
    """Sum of the weights of all nodes: the number of tokens where every weight is 0 or 1."""
    return torch.stack([w.sum(dim=(-2, -1)) for w in weights]).sum(dim=0)


def lost_energy(weights: Sequence[Tensor], energies: Sequence[Tensor]) -> Tensor:
    """Energy that the tokens lose, in the units of `haar_pyramid`."""
    pairs = zip(weights, energies, strict=True)
    return torch.stack([(w * e).sum(dim=(-2, -1)) for w, e in pairs]).sum(dim=0)


def count_threshold(
    energies: Sequence[Tensor], most: float, softness: float, floor: float, together: bool = False
) -> Tensor:
    """Smallest threshold at which an image has at most `most` tokens.

    Args:
        energies: (B, h, w) for each level.
        most: largest sum of the weights of an image.
        softness: see `split_share`.
        floor: smallest threshold, positive.
        together: one threshold for the batch, whose mean count is at most `most`.

    Returns:
        (B,). With a soft split it is a continuous function of the energies, with its derivative.
    """
    # A patch that is split is replaced by four: three more.
    gains = [torch.full_like(e, 3.0) for e in energies[1:]]
    roots = energies[0].shape[-2] * energies[0].shape[-1]
    roots = roots - sum(3 * e.shape[-2] * e.shape[-1] for e in energies[1:])
    target = torch.full_like(energies[0][:, 0, 0], most - roots)
    return _search(energies, gains, target, softness, floor, together, upper=True)


def share_threshold(
    energies: Sequence[Tensor], share: float, softness: float, floor: float
) -> Tensor:
    """Largest threshold at which the tokens keep this share of an image's detail energy.

    Arguments and result as in `count_threshold`.
    """
    gains = [
        own - _merged(finer, own.shape[-2], own.shape[-1])
        for finer, own in itertools.pairwise(energies)
    ]
    target = share * torch.stack([g.sum(dim=(-2, -1)) for g in gains]).sum(dim=0)
    return _search(energies, gains, target, softness, floor, False, upper=False)


def _gained(
    energies: Sequence[Tensor], gains: Sequence[Tensor], threshold: Tensor, softness: float
) -> Tensor:
    """Sum over the nodes from level 1 on of their gain times the weight that is split."""
    wide, found = threshold[..., None, None], torch.zeros_like(threshold)
    reached: Tensor | None = None
    for energy, gain in zip(reversed(energies[1:]), reversed(gains), strict=True):
        split = split_share(energy, wide, softness)
        reached = split if reached is None else _to_children(reached, energy.shape[-2:]) * split
        found = found + (reached * gain).sum(dim=(-2, -1))
    return found


def _search(
    energies: Sequence[Tensor],
    gains: Sequence[Tensor],
    target: Tensor,
    softness: float,
    floor: float,
    together: bool,
    upper: bool,
) -> Tensor:
    """The threshold, from `floor` on, at which `_gained`, which falls with it, is the target.

    The logarithm of the threshold is searched by cutting an interval into 16 again and again, down
    to rounding. Each round does the same for all images, whatever their values, so that graphs can
    hold it. Of the last interval it is the upper or the lower end.
    """
    still, weights = [e.detach() for e in energies], [g.detach() for g in gains]
    aim = _mean(target.detach(), together)
    largest = still[-1].flatten(1).amax(dim=1)
    for energy in still[:-1]:
        largest = torch.maximum(largest, energy.flatten(1).amax(dim=1))
    if together:
        largest = torch.cat([largest, largest.new_zeros(1)]).amax().expand_as(largest)
    low = torch.full_like(largest, floor).log()
    # From here on nothing is split.
    high = torch.maximum(low, (largest / (1 - softness)).clamp_min(floor).log() + 1e-3)
    steps = torch.arange(1, _TRIED + 1, device=low.device, dtype=low.dtype) / (_TRIED + 1)

    def above(logarithms: Tensor) -> Tensor:
        return _mean(_gained(still, weights, logarithms.exp(), softness), together) > aim

    enough, start = ~above(low[None])[0], low
    for _ in range(_ROUNDS[low.dtype]):
        width = high - low
        # It falls: the first ones are above.
        passed = above(low + width * steps[:, None]).sum(dim=0)
        low, high = low + width * passed / (_TRIED + 1), low + width * (passed + 1) / (_TRIED + 1)
    found = torch.where(enough, start, high if upper else low).exp()
    if softness == 0 or not is_derived(*energies):
        return found

    # The derivative of the implicit function.
    step = found * 1e-4
    ends = [_gained(still, weights, found + sign * step, softness) for sign in (1, -1)]
    slope = _mean(ends[0] - ends[1], together) / (2 * step)
    missed = _mean(_gained(energies, gains, found, softness) - target, together)
    flat = enough | (slope >= 0)
    moved = (missed - missed.detach()) / torch.where(flat, -torch.ones_like(slope), slope)
    return found - torch.where(flat, torch.zeros_like(moved), moved)


def _mean(values: Tensor, together: bool) -> Tensor:
    """The mean over the images of a batch, for each of them, where they have one threshold."""
    return values.mean(dim=-1, keepdim=True).expand_as(values) if together else values
