"""Adapt weights of a layer that reads images to another number of channels.

timm's rule (`adapt_input_conv`): one channel gets the sum of the old channels' weights, so that a
grey image gives what the colour model gives of three equal channels; more channels take the old
ones' weights in turn, divided by how many more there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Source", "fit_channels", "fit_first", "fit_subbands"]


class Source(NamedTuple):
    """What is known of the images of a checkpoint.

    Attributes:
        grid: rows and columns of the first tokens that it was trained with, or None.
        channels: of the images, or None: read off the tensors.
    """

    grid: tuple[int, int] | None = None
    channels: int | None = None


def fit_channels(weight: Tensor, channels: int) -> Tensor:
    """Kernels (D, C, …) to (D, channels, …), in their own dtype."""
    source = weight.shape[1]
    if source == channels:
        return weight
    wide = weight.to(torch.promote_types(weight.dtype, torch.float32))
    if channels == 1:
        return wide.sum(dim=1, keepdim=True).to(weight.dtype)
    turns = torch.arange(channels, device=weight.device) % source
    return (wide[:, turns] * (source / channels)).to(weight.dtype)


def fit_first(
    state: Mapping[str, Tensor], name: str, channels: int, source: Source
) -> dict[str, Tensor]:
    """Of a layer's tensors the kernel `name`, fitted; nothing where it is missing or fits.

    Tensors that are not those of `source` belong to another architecture: they stay as they are.
    """
    kernel = state.get(name)
    if kernel is None or kernel.ndim < 2 or kernel.shape[1] == channels:
        return {}
    if source.channels not in (None, kernel.shape[1]):
        return {}
    return {name: fit_channels(kernel, channels)}


def fit_subbands(
    state: Mapping[str, Tensor], channels: int, bands: int, source: Source, linear: bool
) -> dict[str, Tensor]:
    """Gains ``norm`` and linear map ``proj`` of the subbands of an image, fitted band by band.

    Args:
        state: a layer's tensors, those of a channel together: ``proj.weight`` (D, C · bands, …),
            and ``norm.weight`` and ``norm.bias`` (C · bands) where it has gains.
        channels: of the images that it will read.
        bands: of each channel.
        source: what is known of the images before.
        linear: nothing that is not linear stands between gains and map. One channel is then exact
            whatever the gains are; otherwise it is where all channels have the same gains, as
            they have at the start, and the mean gain is taken.
    """
    weight = state.get("proj.weight")
    if weight is None or weight.ndim < 2 or weight.shape[1] in (0, channels * bands):
        return {}
    if weight.shape[1] % bands or source.channels not in (None, weight.shape[1] // bands):
        return {}  # another architecture's
    dtype, shape = weight.dtype, (weight.shape[0], channels * bands, *weight.shape[2:])
    precision = torch.promote_types(dtype, torch.float32)
    matrix = weight.to(precision).flatten(1).unflatten(1, (-1, bands))  # (D, C, bands)
    gains, offsets = state.get("norm.weight"), state.get("norm.bias")
    fitted: dict[str, Tensor] = {}
    if gains is not None and offsets is not None:
        gain, offset = (t.to(precision).unflatten(0, (-1, bands)) for t in (gains, offsets))
        turns = torch.arange(channels, device=gain.device) % gain.shape[0]
        if channels > 1:
            gain, offset = gain[turns], offset[turns]
        elif linear and "proj.bias" in state:
            # gain · matrix is one map, and what the offsets add is one vector: both are kept.
            shared = gain.square().mean(dim=0, keepdim=True).sqrt()
            shared = torch.where(shared > 0, shared, torch.ones_like(shared))
            added = (matrix * offset).sum(dim=(1, 2))
            fitted["proj.bias"] = (state["proj.bias"].to(precision) + added).to(dtype)
            matrix, gain, offset = matrix * gain / shared, shared, torch.zeros_like(shared)
        else:
            gain, offset = gain.mean(dim=0, keepdim=True), offset.mean(dim=0, keepdim=True)
        fitted["norm.weight"] = gain.flatten().to(gains.dtype)
        fitted["norm.bias"] = offset.flatten().to(offsets.dtype)
    fitted["proj.weight"] = fit_channels(matrix, channels).reshape(shape).to(dtype)
    return fitted
