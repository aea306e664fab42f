"""Convolutions by a kernel, as a function of torch with a backward pass of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wavevit.wavelets._engine.eager import is_only_differentiated_backward
from wavevit.wavelets._engine.plain_gradients import plain_gradients
from wavevit.wavelets._engine.torch_private import is_derived

__all__ = ["Convolver", "Plain", "convolved"]

Plain = Callable[[Tensor, Tensor, Tensor | None], Tensor]


class Convolver(NamedTuple):
    """What a kernel computes, of images, a weight whose last axes are the kernel, and a bias.

    Attributes:
        runs: whether it takes images and a weight.
        forward: the convolution of images, weight and bias, ``circular`` or with zeros.
        turned: the weight that convolves a gradient back to the images.
        of_weight: the gradient of the weight: of images, gradient, weight and ``circular``.
    """

    runs: Callable[[Tensor, Tensor], bool]
    forward: Callable[[Tensor, Tensor, Tensor | None, bool], Tensor]
    turned: Callable[[Tensor], Tensor]
    of_weight: Callable[[Tensor, Tensor, Tensor, bool], Tensor]


def convolved(
    how: Convolver, x: Tensor, weight: Tensor, bias: Tensor | None, circular: bool, plain: Plain
) -> Tensor:
    """The convolution of `how`, or of `plain` where no kernel runs.

    Every derivative beyond the first, and all of `torch.func`, goes through `plain`.
    """
    tensors = [part for part in (x, weight, bias) if part is not None]
    if not is_only_differentiated_backward(*tensors) or torch.is_autocast_enabled("cpu"):
        return plain(x, weight, bias)
    if not how.runs(x, weight):
        return plain(x, weight, bias)
    if is_derived(*tensors):
        return _Convolution.apply(how, x, weight, bias, circular, plain)
    return how.forward(x, weight, bias, circular)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        how: Convolver,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        circular: bool,
        plain: Plain,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        ctx.how, ctx.circular, ctx.plain = how, circular, plain
        return how.forward(x, weight, bias, circular)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        needed = ctx.needs_input_grad[1:4]
        if torch.is_grad_enabled() or not is_only_differentiated_backward(x, weight, gradient):
            found = plain_gradients(ctx.plain, (x, weight, bias), needed, gradient)
            return None, *found, None, None
        of_x = of_weight = of_bias = None
        if needed[0]:
            of_x = ctx.how.forward(gradient, ctx.how.turned(weight), None, ctx.circular)
        if needed[1]:
            of_weight = ctx.how.of_weight(x, gradient, weight, ctx.circular)
        if needed[2]:
            of_bias = gradient.sum((0, 2, 3))
        return None, of_x, of_weight, of_bias, None, None
