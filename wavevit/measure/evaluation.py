"""Run a callable on many images: in batches, in eval mode, without gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from wavevit.checks import check_at_least, check_callable, fail

__all__ = ["Model", "evaluation_mode", "in_batches", "plain_attention"]

Model = Callable[[Tensor], Tensor]


@contextmanager
def evaluation_mode(model: Model) -> Iterator[None]:
    """Switches a module and its submodules to eval mode, and afterwards back.

    A graph of `torch.export` has only the mode that it was exported in and raises an error for
    ``eval()``: it is not switched, the modules around it are.
    """
    if not isinstance(model, nn.Module):
        yield
        return
    # A frozen TorchScript module has no such attribute.
    training = {module: getattr(module, "training", None) for module in model.modules()}
    try:
        try:
            model.eval()
        except NotImplementedError:
            for module in training:
                module.training = False
        yield
    finally:
        for module, mode in training.items():
            if mode is not None:
                module.training = mode


@contextmanager
def plain_attention() -> Iterator[None]:
    """Attention as the products that it is made of.

    Fused attention has no forward-mode derivative on the CPU, is not seen by torch's counter, and
    does not give its weights. This holds for `scaled_dot_product_attention` and for the fast path
    of `nn.MultiheadAttention`.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def in_batches(model: Model, images: Tensor, batch_size: int) -> Tensor:
    """`model` of all images, (B, …) floating, without gradients.

    Raises:
        ValueError: no callable, no batch of images, a batch below one image, or a model that
            returns something else than one finite tensor of B rows.
    """
    check_callable("model", model)
    check_at_least("batch_size", batch_size, 1)
    if not isinstance(images, Tensor) or not images.ndim or not len(images):
        got = f"shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images)
        fail("images", "a tensor with at least one image", got)
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
            wrong = int((~torch.isfinite(output)).flatten(1).any(dim=1).sum())
            if wrong:
                got = f"NaN or infinity for {wrong} of {len(batch)} images"
                fail("model", "finite outputs", got)
            outputs.append(output)
    return torch.cat(outputs)
