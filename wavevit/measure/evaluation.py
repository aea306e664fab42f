"""Running somebody's callable over many images: batches, eval mode, no gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from wavevit.checks import fail

__all__ = ["Model", "evaluation_mode", "in_batches"]

Model = Callable[[Tensor], Tensor]


@contextmanager
def evaluation_mode(model: Model) -> Iterator[None]:
    """Switches a module (and each part of it) to eval mode and back to what it was."""
    if not isinstance(model, nn.Module):
        yield
        return
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode


def in_batches(model: Model, images: Tensor, batch_size: int) -> Tensor:
    """`model` of all images, (B, …) floating, without gradients.

    Raises:
        ValueError: the model returns something else than one finite tensor of B rows.
    """
    outputs = []
    with torch.no_grad(), evaluation_mode(model):
        for batch in images.split(batch_size):
            output = model(batch)
            if not isinstance(output, Tensor):
                expected = "a callable that returns one tensor (wrap it to choose an output)"
                fail("model", expected, type(output).__name__)
            if output.ndim < 1 or output.shape[0] != batch.shape[0]:
                fail(
                    "model", f"an output with {batch.shape[0]} rows", f"shape {tuple(output.shape)}"
                )
            if not torch.isfinite(output).all():
                fail("model", "finite outputs", "NaN or infinity")
            outputs.append(output)
    return torch.cat(outputs)
