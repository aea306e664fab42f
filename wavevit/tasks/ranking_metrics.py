"""Metrics of retrieval: recall at k, mean average precision, and what chance gives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from wavevit.checks import check_at_least, fail

__all__ = ["chance_of_ranking", "neighbours", "rank_metrics"]

_ROWS = 1024  # queries ranked at a time


def neighbours(queries: Tensor, gallery: Tensor, count: int) -> Tensor:
    """The nearest entries of a gallery for each query, without the query's own entry.

    Args:
        queries: (N, D), of unit length.
        gallery: (N, D), of unit length; entry i is the query i or another view of it.
        count: of neighbours, below N.

    Returns:
        (N, count) indices, nearest first. Equal cosines: the earlier entry first.

    Raises:
        ValueError: more neighbours than there are others.
    """
    if check_at_least("count", count, 1) >= len(gallery):
        fail("count", f"below {len(gallery)}, the size of the gallery", count)
    cosines = queries @ gallery.T
    cosines.fill_diagonal_(-torch.inf)
    return cosines.argsort(dim=1, descending=True, stable=True)[:, :count]


def rank_metrics(embeddings: Tensor, labels: Tensor, at: Sequence[int]) -> dict[str, float]:
    """Recall and mean average precision; each example is a query for the others of its label.

    Args:
        embeddings: (N, D), of unit length.
        labels: (N,).
        at: numbers of neighbours for the recall.

    Returns:
        In %: ``R@k``, queries with at least one example of their label among the nearest k; and
        ``mAP``, mean over queries of the average precision of the whole ranking. Queries whose
        label no other example has are left out; NaN if that leaves none.

    Raises:
        ValueError: embeddings that are not finite.
    """
    if not torch.isfinite(embeddings).all():  # no order, and any figure would come out
        fail("embeddings", "finite numbers", "NaN or infinity")
    if len(labels) < 2:
        return {**{f"R@{k}": math.nan for k in at}, "mAP": math.nan}
    hits: dict[int, list[Tensor]] = {k: [] for k in at}
    precisions: list[Tensor] = []
    for start in range(0, len(labels), _ROWS):
        own = slice(start, start + _ROWS)
        cosines = embeddings[own] @ embeddings.T
        rows = torch.arange(len(cosines), device=cosines.device)
        cosines[rows, rows + start] = -torch.inf  # last of the ranking
        order = cosines.argsort(dim=1, descending=True, stable=True)[:, :-1]
        relevant = labels[order] == labels[own, None]
        asked = relevant.any(1)
        relevant = relevant[asked].double()
        for k in at:
            hits[k].append(relevant[:, :k].amax(1))
        places = torch.arange(1, relevant.shape[1] + 1, device=relevant.device)
        precision = relevant.cumsum(1) / places
        precisions.append((precision * relevant).sum(1) / relevant.sum(1))
    found = {f"R@{k}": 100 * float(torch.cat(values).mean()) for k, values in hits.items()}
    return {**found, "mAP": 100 * float(torch.cat(precisions).mean())}


def chance_of_ranking(labels: Tensor, at: Sequence[int]) -> dict[str, float]:
    """Chance level: the expectation of `rank_metrics` for random rankings.

    With r relevant entries among n others, R@k is 1 - C(n-r, k) / C(n, k). The average precision is
    (H + (n - H) (r - 1) / (n - 1)) / n, with the harmonic number H of n.

    Args:
        labels: (N,).
        at: as in `rank_metrics`.
    """
    others = len(labels) - 1
    _, inverse, counts = labels.unique(return_inverse=True, return_counts=True)
    relevant = [int(c) - 1 for c in counts[inverse].tolist() if c > 1]
    if not relevant:
        return {**{f"R@{k}": math.nan for k in at}, "mAP": math.nan}
    harmonic = sum(1 / i for i in range(1, others + 1))
    found = {}
    for k in at:
        few = min(k, others)
        missed = [math.comb(others - r, few) / math.comb(others, few) for r in relevant]
        found[f"R@{k}"] = 100 * (1 - sum(missed) / len(missed))
    spread = [(r - 1) / (others - 1) if others > 1 else 0.0 for r in relevant]
    mean = sum(harmonic + (others - harmonic) * s for s in spread) / (others * len(spread))
    return {**found, "mAP": 100 * mean}
