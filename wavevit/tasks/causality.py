"""Check whether a backbone can run causally over its tokens."""

from __future__ import annotations

import copy

import torch

from wavevit.models import Backbone
from wavevit.models.masking import why_no_mask

__all__ = ["why_not_causal"]


@torch.no_grad()
def why_not_causal(backbone: Backbone) -> str | None:
    """Why a backbone cannot run causally over its tokens; None if it can.

    Attention is masked, but a position, norm, MLP or activation may still read later tokens. To
    find this also in layers of your own, a copy with random weights is run: for two sequences that
    differ in their second half, the outputs of the first half must be equal.
    """
    reason = why_no_mask(backbone.config)
    if reason is not None:
        return reason
    if backbone.config.stages[0].inject:
        return "injected details of the image have later pixels in them"
    copied = copy.deepcopy(backbone).cpu().double().eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in copied.parameters():  # new models have gates and gains of 0: they hide leaks
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.copy_(noise / max(parameter.shape[-1], 1) ** 0.5)
    grid = backbone.config.grid(backbone.config.patch_size)
    places, dim = grid[0] * grid[1], backbone.config.stages[0].embed_dim
    first = torch.randn(1, places, dim, generator=generator, dtype=torch.float64)
    second = first.clone()
    half = places // 2
    second[:, half:] = torch.randn(1, places - half, dim, generator=generator, dtype=torch.float64)
    seen = backbone.num_prefix_tokens + half
    one, two = (copied.encode(tokens, grid, is_causal=True)[:, :seen] for tokens in (first, second))
    if not torch.allclose(one, two, rtol=1e-9, atol=1e-9):
        config, stage = backbone.config, backbone.config.stages[0]
        parts = f"position={config.position!r}, norm={config.norm!r}, mlp={stage.mlp!r}"
        return f"a layer reads later tokens ({parts}, activation={config.activation!r})"
    return None
