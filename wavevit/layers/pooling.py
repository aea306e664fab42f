"""From the tokens of an image to one vector."""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.deprecated import moved_names

__all__ = ["POOLS", "pool_tokens"]

POOLS = ("token", "avg", "power")


def pool_tokens(x: Tensor, how: str, prefix: int, eps: float) -> Tensor:
    """Pools a map (B, D, h, w), or tokens (B, T + N, D) of which the first T are no places.

    Args:
        x: features.
        how: ``"token"`` takes the first token; ``"avg"`` the mean over places; ``"power"`` mean
            and standard deviation of every channel, side by side; ``""`` leaves features alone.
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
