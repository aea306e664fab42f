"""Polyphase and phase tree: choose the grid by an argmax over phases, at once or level by level."""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.alignment.base import Alignment, Views
from wavevit.alignment.registry import register_alignment
from wavevit.alignment.statistics import energy, local_activity, spans, sum_by_phase, taper

__all__ = ["PhaseTree", "Polyphase"]


def _strongest(strength: Tensor) -> Tensor:
    """(B, p, q) to the indices (B, 2) of the largest entry, the first of equal ones."""
    best = strength.flatten(1).argmax(dim=1)
    columns = strength.shape[2]
    return torch.stack([best // columns, best % columns], dim=1)


@register_alignment("polyphase")
class Polyphase(Alignment):
    """Polyphase anchoring: places the grid at the phase with the most energy.

    Args:
        period: see `Alignment`.
        boundary: see `Alignment`.

    Guarantees:
        Exact as `PhaseLock` if the largest energy is unique: in float32 rounding decides between
        two phases closer than about 3e-7 (tests in float64,
        tests/properties/test_alignment_laws.py and, for ties, test_alignment_edge_cases.py).
        *Not* continuous: the output jumps where the two largest energies are equal; a jump scan
        finds this.

    Source:
        Chaman & Dokmanic 2021 (adaptive polyphase sampling, l2 norm), on the pixels of the
        image and the whole period at once; Rojas-Gomez et al. 2024 and Ding et al. 2023 choose
        among tokens.
    """

    def views(self, x: Tensor) -> Views:
        """One view of each image."""
        strength = taper(energy(x.detach()), self.boundary)
        return Views(_strongest(sum_by_phase(strength, spans(x.shape[-2:], self.period))))


@register_alignment("phase_tree")
class PhaseTree(Alignment):
    """Phase tree: chooses one of four phases at each level of a Haar pyramid.

    At each level the phase with the strongest details is chosen, the approximation is decimated
    at that phase, and the next level continues with it. The choices add up to one offset, so the
    model gets one shifted image and every stage has its own stride aligned. The odd factor of a
    period (7 in 224 = 32 · 7) is chosen in one step.

    Args:
        period: see `Alignment`.
        boundary: see `Alignment`.

    Guarantees:
        Exact as `Polyphase`, with ties at every level (tests/properties/test_alignment_laws.py).
        *Not* continuous: every decision is between whole phases, and a function with finitely many
        values jumps or is constant.

    Source:
        The shift-invariant wavelet trees of Beylkin 1992 and Pesquet, Krim & Carfantan 1996
        choose decimations by a cost; this one chooses by the energy of the details (of the
        pixels, where two samples are left on a side).
    """

    def views(self, x: Tensor) -> Views:
        """One view of each image."""
        x = x.detach().to(torch.promote_types(x.dtype, torch.float32))
        span = spans(x.shape[-2:], self.period)
        offset = torch.zeros(x.shape[0], 2, dtype=torch.long, device=x.device)
        stride = torch.ones(2, dtype=torch.long, device=x.device)
        while max(span) > 1:
            radix = (_radix(span[0]), _radix(span[1]))
            # On a circle of two samples squared details are equal at both; their energies aren't.
            strength = local_activity(x) if min(x.shape[-2:]) > 2 else energy(x)
            chosen = _strongest(sum_by_phase(taper(strength, self.boundary), radix))
            offset = offset + stride * chosen
            for axis in (0, 1):
                if radix[axis] == 2:
                    x = x + torch.roll(x, -1, axis - 2)
                x = _decimate(x, chosen[:, axis], radix[axis], axis - 2)
            stride = stride * torch.tensor(radix, device=x.device)
            span = (span[0] // radix[0], span[1] // radix[1])
        return Views(offset)


def _radix(span: int) -> int:
    return 2 if span % 2 == 0 else span


def _decimate(x: Tensor, phase: Tensor, radix: int, axis: int) -> Tensor:
    """Every `radix`-th row or column of (B, C, H, W), from a phase (B,) of each image's own."""
    steps = torch.arange(0, x.shape[axis], radix, device=x.device)
    index = phase[:, None] + steps
    index = index[:, None, :, None] if axis == -2 else index[:, None, None, :]
    shape = list(x.shape)
    shape[axis] = steps.shape[0]
    return x.gather(axis, index.expand(shape))
