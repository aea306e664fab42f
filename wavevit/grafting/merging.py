"""`merge`: a linear branch becomes part of the patch convolution."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import fail
from wavevit.grafting.branch import GatedLowPass, GraftBranch
from wavevit.grafting.grafted import GraftedEmbedding, find_grafted
from wavevit.grafting.surgery import ungraft

__all__ = ["merge"]

Model = TypeVar("Model", bound=nn.Module)

_LINEAR = "a branch that is linear in each patch (tokenizer='dwt', subband_act=False)"
_ROUNDING = 1e-9  # relative, in float64: a branch that deviates more is not linear in each patch


@torch.no_grad()
def merge(grafted: Model) -> Model:
    """Adds a linear branch to the patch convolution: the same outputs at the original's cost.

    Args:
        grafted: a model of `wavevit.graft` whose branch is linear in each patch, for example of
            the tokenizer ``"dwt"`` with Haar filters and ``subband_act=False``.

    Returns:
        A copy without a graft, of the original's classes and names. A convolution that had no bias
        (CLIP) has one, if the branch adds one.

    Raises:
        ValueError: a model without a graft; a branch that is not linear or reads beyond its patch
            (as every branch does whose patch is resampled); an open low-pass; a norm between the
            convolution and the branch.

    Guarantees:
        Outputs equal to rounding (tests/unit/test_graft_merge.py).
    """
    name, embedding = find_grafted(grafted)
    _check_mergeable(name, embedding)
    kernel, bias = _affine(embedding.graft, embedding.convolution)
    merged = ungraft(grafted)
    conv = merged.get_submodule(f"{name}.{embedding.graft.beside}".rstrip("."))
    assert isinstance(conv, nn.Conv2d)
    conv.weight.copy_(conv.weight.double() + kernel.to(conv.weight.device))
    bias = bias.to(conv.weight.device)
    if conv.bias is not None:
        conv.bias.copy_(conv.bias.double() + bias)
    elif bias.any():
        conv.bias = nn.Parameter(bias.to(conv.weight.dtype), conv.weight.requires_grad)
    return merged


def _check_mergeable(name: str, embedding: GraftedEmbedding) -> None:
    low_pass = embedding.graft.low_pass
    if isinstance(low_pass, GatedLowPass) and low_pass.gate.any():
        fail("grafted", "a low-pass whose gate is 0", f"gate {float(low_pass.gate):g}")
    between = [
        f"{name}.{child} ({type(module).__name__})"
        for child, module in embedding.named_children()
        if child not in ("graft", embedding.graft.beside) and not isinstance(module, nn.Identity)
    ]
    if between:
        expected = "a patch embedding without further layers after its convolution"
        fail("grafted", expected, ", ".join(between))


def _affine(branch: GraftBranch, conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """The branch as kernel (D, C, P, P) and bias (D,), in float64.

    Raises:
        ValueError: it is not linear, or reads beyond its patch.
    """
    wide = copy.deepcopy(branch).eval().double().cpu()
    wide.tokenizer = branch.tokenizer.in_float64().eval()
    patch = (conv.stride[0], conv.stride[1])
    shape = (conv.in_channels, *patch)
    numbers = conv.in_channels * patch[0] * patch[1]
    pixels = torch.eye(numbers, dtype=torch.float64).unflatten(1, shape)
    bias = wide(torch.zeros(1, *shape, dtype=torch.float64), patch)[0, 0, 0]
    kernel = (wide(pixels, patch)[:, 0, 0] - bias).mT.unflatten(1, shape)
    # Probes of 2 x 2 patches: other values, and neighbours that a wider filter would read.
    generator = torch.Generator().manual_seed(0)
    size = (4, conv.in_channels, 2 * patch[0], 2 * patch[1])
    images = torch.randn(size, generator=generator, dtype=torch.float64)
    found = wide(images, patch)
    expected = F.conv2d(images, kernel, bias, stride=patch).permute(0, 2, 3, 1)
    if (found - expected).norm() > _ROUNDING * (found - bias).norm():
        got = f"{branch.options}"
        if patch != (branch.stride, branch.stride):
            read = f"resampled to {branch.stride} x {branch.stride} with pixels of their neighbours"
            got = f"patches of {patch[0]} x {patch[1]} pixels, {read}"
        fail("grafted", _LINEAR, got)
    return kernel, bias
