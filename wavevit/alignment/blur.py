"""Blur: a low-pass filter before every stride of a model, which reduces aliasing."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.alignment.statistics import BOUNDARIES
from wavevit.checks import as_pair, check_choice, check_module, check_pair, fail
from wavevit.wavelets._engine.torch_private import pre_hooks

__all__ = ["LowPass", "blur_strides", "copy_sharing_weights"]

Module = TypeVar("Module", bound=nn.Module)


class LowPass(nn.Module):
    """Low-pass filter: two running means of `stride` pixels on each axis, ``2 * stride - 1`` taps.

    For stride 2 the taps are (1, 2, 1) / 4. The filter is zero at every multiple of the
    new sampling frequency, that is, at the frequencies that would alias to a constant.

    Args:
        stride: stride of the decimation that follows, (rows, columns).
        boundary: ``"circular"``; all other values repeat the edge pixels, for real crops.

    Raises:
        ValueError: no pair of strides of at least 1, or an unknown boundary.

    Source:
        Zhang 2019 (BlurPool) for the taps of stride 2; wider strides ours.
    """

    def __init__(self, stride: tuple[int, int], boundary: str = "circular") -> None:
        super().__init__()
        check_pair("stride", stride, "two strides (rows, columns) of at least 1 pixel", least=1)
        self.stride = (int(stride[0]), int(stride[1]))
        self.boundary = check_choice("boundary", boundary, BOUNDARIES)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        channels = x.shape[1]
        for axis, stride in zip((-2, -1), self.stride, strict=True):
            if stride == 1:
                continue
            side = x.shape[axis]
            index = torch.arange(1 - stride, side + stride - 1, device=x.device)
            index = index % side if self.boundary == "circular" else index.clamp(0, side - 1)
            steps = torch.arange(1 - stride, stride, device=x.device, dtype=x.dtype)
            taps = (1 - steps.abs() / stride) / stride
            kernel = taps[:, None] if axis == -2 else taps[None]
            kernel = kernel.expand(channels, 1, *kernel.shape)
            x = F.conv2d(x.index_select(axis, index), kernel, groups=channels)
        return x

    def extra_repr(self) -> str:
        return f"stride={self.stride}, boundary={self.boundary!r}"


class _BlurInput:
    """A forward pre-hook: the module sees its image low-passed."""

    def __init__(self, low_pass: LowPass) -> None:
        self.low_pass = low_pass

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self.low_pass(inputs[0]), *inputs[1:])


class _Decimate(nn.Module):
    def __init__(self, stride: tuple[int, int]) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[..., :: self.stride[0], :: self.stride[1]]


class _CeilMode(nn.Module):
    """What `nn.MaxPool2d` adds with ``ceil_mode=True``: room for the last, cut off window.

    Args:
        pool: the pooling, with its stride.
    """

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        values = (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
        self.kernel, self.stride, self.padding, self.dilation = map(as_pair, values)

    def forward(self, x: Tensor) -> Tensor:
        """Images with rows and columns of -∞ after the last ones, where a window reaches beyond."""
        missing = []
        for axis, side in enumerate(x.shape[-2:]):
            stride, padding = self.stride[axis], self.padding[axis]
            reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
            windows = -(-(side + 2 * padding - reach) // stride) + 1
            if (windows - 1) * stride >= side + padding:  # it would begin after the image
                windows -= 1
            missing.append(max((windows - 1) * stride + reach - side - 2 * padding, 0))
        rows, columns = missing
        return F.pad(x, (0, columns, 0, rows), value=-torch.inf)


def _is_blurred(module: nn.Module) -> bool:
    """Whether `blur_strides` has changed it; of a pooling, what took its place is asked."""
    if isinstance(module, _Decimate) or any(isinstance(h, _BlurInput) for h in pre_hooks(module)):
        return True
    return hasattr(module, "decimation") and isinstance(getattr(module, "low_pass", None), LowPass)


def blur_strides(model: nn.Module, boundary: str = "circular") -> list[str]:
    """Adds a low-pass before every stride of a model, in place.

    * Strided `nn.Conv2d` and `nn.AvgPool2d`: the input is low-passed. Both commute with the
      filter, so this equals the layer at stride 1, low-passed and decimated, at the cost of the
      strided layer.
    * Strided `nn.MaxPool2d`: the maximum is computed at stride 1, low-passed, then decimated.
    * Modules with an attribute `low_pass` and their stride in `decimation` (our wavelet tokenizer
      and downsamplers): the attribute is set.

    Parameters and their names do not change.

    Args:
        model: any module; changed in place.
        boundary: boundary of the low-pass, see `LowPass`.

    Returns:
        The names of the changed modules. Decimation by slicing and reshaping (patch merging of
        timm's Swin) cannot be found.

    Raises:
        ValueError: an unknown boundary, something else than a module, a bare `nn.MaxPool2d`,
            which has no parent, or a model that has these low-passes already: a second one would
            blur more than the stride needs.
    """
    check_module("model", model)
    check_choice("boundary", boundary, BOUNDARIES)
    blurred = [name or "the model itself" for name, m in model.named_modules() if _is_blurred(m)]
    if blurred:
        got = f"one at {', '.join(blurred[:3])}" + (", …" if len(blurred) > 3 else "")
        fail("model", "strides without the low-pass of an earlier blur_strides", got)
    reached = []
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d | nn.AvgPool2d) and max(as_pair(module.stride)) > 1:
            low_pass = LowPass(as_pair(module.stride), boundary)
            module.register_forward_pre_hook(_BlurInput(low_pass))
        elif isinstance(module, nn.MaxPool2d) and max(as_pair(module.stride)) > 1:
            dense = copy.copy(module)
            dense.stride = 1
            stride = as_pair(module.stride)
            room = [_CeilMode(module)] if module.ceil_mode else []
            new = nn.Sequential(*room, dense, LowPass(stride, boundary), _Decimate(stride))
            parent, _, child = name.rpartition(".")
            if not child:
                fail("model", "a model around its pooling", "a bare MaxPool2d")
            setattr(model.get_submodule(parent), child, new)
        elif isinstance(getattr(module, "low_pass", None), nn.Identity):
            stride = as_pair(module.decimation)
            if max(stride) == 1:
                continue
            module.low_pass = LowPass(stride, boundary)
        else:
            continue
        reached.append(name)
    return reached


def copy_sharing_weights(model: Module) -> Module:
    """Copies the modules of a model; parameters and buffers are shared with it."""
    shared = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
