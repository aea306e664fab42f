"""Ridge regression: what features say in a linear way."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_PENALTY = 1e-3  # per sample, on features of variance 1
_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


def ridge(fitted: Tensor, wanted: Tensor, judged: Tensor) -> Tensor:
    """What a linear map of features (N, D), fitted to `wanted` (N, K), says of others (M, D)."""
    known, asked = _standardized(fitted, judged)
    return asked @ _solved(known, wanted.double(), _PENALTY)


def chosen_ridge(fitted: Tensor, wanted: Tensor, judged: Tensor) -> Tensor:
    """`ridge` with the penalty of the smallest leave-one-out error on the fitted samples.

    For few samples of many features, one small penalty would fit their noise. The error of each
    sample, predicted from all others, is its residual over 1 minus its leverage.
    """
    known, asked = _standardized(fitted, judged)
    target = wanted.double()

    def error(penalty: float) -> float:
        answers = known @ _solved(known, target, penalty)
        leverage = (known * _solved(known, torch.eye(len(known)).double(), penalty).T).sum(1)
        left_out = (target - answers) / (1 - leverage).clamp_min(1e-9)[:, None]
        return float(left_out.square().sum())

    return asked @ _solved(known, target, min(_PENALTIES, key=error))


def _standardized(fitted: Tensor, judged: Tensor) -> tuple[Tensor, Tensor]:
    """Features of variance 1 on the fitted samples, float64, and a constant."""
    mean, std = fitted.mean(dim=0), fitted.std(dim=0).clamp_min(1e-12)
    known, asked = (F.pad(((x - mean) / std).double(), (0, 1), value=1.0) for x in (fitted, judged))
    return known, asked


def _solved(known: Tensor, wanted: Tensor, penalty: float) -> Tensor:
    """Weights (D, K) of a penalised linear map."""
    gram = known.T @ known + penalty * len(known) * torch.eye(known.shape[1]).double()
    return torch.linalg.solve(gram, known.T @ wanted)
