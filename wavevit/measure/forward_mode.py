"""Forward-mode derivatives, without a warning that the caller cannot act on."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from wavevit.measure.evaluation import Model

__all__ = ["pushforward"]


def pushforward(model: Model, images: Tensor, tangents: Tensor) -> Tensor:
    """Derivative of the outputs along tangents, by `torch.func.jvp`.

    At the first one torch compiles code of its own with what it deprecates. From torch 2.14 on this
    is a FutureWarning, which every user would see (findings/torch_jvp_warns_about_itself.sh).

    Args:
        model: the outputs' function.
        images: where the derivative is taken.
        tangents: directions, of the shape of `images`.

    Returns:
        The derivative, of the outputs' shape.

    Guarantees:
        No warning of torch about itself (tests/unit/test_measure_continuity.py).
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
        product: Tensor = torch.func.jvp(model, (images,), (tangents,))[1]
    return product
