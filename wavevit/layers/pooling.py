"""Pooling: tokens or a map to one vector."""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.deprecated import moved_names

__all__ = ["POOLS", "pool_tokens"]

POOLS = ("token", "avg", "power")


def pool_tokens(x: Tensor, how: str, prefix: int, eps: float) -> Tensor:
    """Pools a map (B, D, h, w), or tokens (B, T + N, D) with T prefix tokens.

    Args:
        x: features.
        how: ``"token"``: the first token; ``"avg"``: the mean over the grid; ``"power"``: mean
            and standard deviation of every channel, concatenated; ``""``: no pooling.
        prefix: T.
        eps: added to the variance, so that a flat channel has a derivative.
    """
    if not how:
        return x
    if how == "token":
        return x[:, 0]
    places = x.flatten(2) if x.ndim == 4 else x[:, prefix:].transpose(1, 2)
    mean = places.mean(dim=2)
    if how == "avg":
        return mean
    # Not Tensor.var, which warns about an empty batch.
    variance = (places - mean[:, :, None]).square().mean(dim=2)
    return torch.cat([mean, (variance + eps).sqrt()], dim=1)


__getattr__ = moved_names(__name__, {"pool_constant": "wavevit.measure.certify"})
