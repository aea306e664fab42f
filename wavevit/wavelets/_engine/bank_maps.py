"""Separable filter banks as linear maps with every derivative, over kernels for the CPU.

As `_engine.haar_maps` for Haar: a `BankMap` knows its transpose, which is all that autograd needs.
It is called in the same ways for the same reasons:

* `BankMap.apply`, eagerly: an autograd Function with explicit ``jvp`` and ``vmap``;
* ``torch.ops.wavevit.bank``, under `torch.compile`: the bare operator with a registered derivative;
* `fits` says where neither works (an export, a tensor subclass, `torch.func` inside a compiled
  function, a device or dtype without a kernel): callers then use plain operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from operator import mul
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wavevit.checks import fail
from wavevit.wavelets._engine import bank_axes, bank_pieces
from wavevit.wavelets._engine.kernel_choice import has_kernel, kernels_for
from wavevit.wavelets._engine.linear_maps import applied, outside_autocast
from wavevit.wavelets._engine.operators import register_map
from wavevit.wavelets._engine.symbolic_shapes import exporting
from wavevit.wavelets._engine.tensor_cache import remember
from wavevit.wavelets._engine.torch_private import is_ordinary, transforms_active
from wavevit.wavelets._kernels.bank_tables import axis_matrix, mixing_matrix
from wavevit.wavelets._kernels.cpu_memory import room

if TYPE_CHECKING:
    from wavevit.wavelets.filters import FilterBank

__all__ = ["Bank", "BankMap", "decimated", "fits", "undecimated"]


@dataclass(frozen=True)
class Bank:
    """What one axis does: ``c_b[k] = Σ_i taps_b[i] x̃[stride k + spacing i − before]``.

    Attributes:
        taps: of each band, an even number of bands, all of one length.
        stride: 2, or 1 where no sample is dropped.
        spacing: samples from tap to tap.
        before: samples that the first coefficient reads before the signal begins.
        after: samples that the last one may read behind its end.
    """

    taps: tuple[tuple[float, ...], ...]
    stride: int
    spacing: int
    before: int
    after: int

    def count(self, side: int) -> int:
        """Coefficients per band of a side."""
        reach = self.spacing * (len(self.taps[0]) - 1) + 1
        return (side + self.before + self.after - reach) // self.stride + 1


def decimated(bank: FilterBank, which: str, mode: str) -> Bank:
    """The ``"analysis"`` or the ``"synthesis"`` filters of `bank` at every second sample."""
    before = bank.length // 2 - 1 if mode == "periodization" else bank.length - 2
    return Bank(_correlating(bank, which), 2, 1, before, before + 1)


def undecimated(bank: FilterBank, which: str, spacing: int) -> Bank:
    """The same at every sample, `spacing` samples from tap to tap."""
    half = spacing * bank.length // 2
    return Bank(_correlating(bank, which), 1, spacing, half - spacing, half)


def _correlating(bank: FilterBank, which: str) -> tuple[tuple[float, ...], ...]:
    if which == "analysis":
        return bank.dec_lo[::-1], bank.dec_hi[::-1]
    return bank.rec_lo, bank.rec_hi


@dataclass(frozen=True)
class BankMap:
    """One linear map: a bank along every axis of signals, images or volumes.

    Attributes:
        bank: of each axis.
        mode: what lies beyond the border, see `_engine.modes`.
        size: (L,) of signals, (H, W) of images, (D, H, W) of volumes.
        layout: of the coefficients, here of images. ``"joined"``: (B, C, bands, h, w);
            ``"apart"``: the approximation (B, C, h, w) and the other bands (B, C, n, h, w);
            ``"oriented"``: a dual tree's, of four bands an axis, the approximation (B, C, 2h, 2w)
            and six orientations' real and imaginary parts (B, C, 6, 2, h, w).
        transposed: from coefficients to images.
    """

    bank: Bank
    mode: str
    size: tuple[int, ...]
    layout: str = "joined"
    transposed: bool = False

    @property
    def transpose(self) -> BankMap:
        """The adjoint map."""
        return replace(self, transposed=not self.transposed)

    def shapes(self, batch: int, channels: int) -> list[tuple[int, ...]]:
        """Shapes of the results."""
        if self.transposed:
            return [(batch, channels, *self.size)]
        bands = len(self.bank.taps) ** len(self.size)
        counts = [self.bank.count(side) for side in self.size]
        if self.layout == "oriented":
            h, w = counts
            return [(batch, channels, 2 * h, 2 * w), (batch, channels, 6, 2, h, w)]
        if self.layout == "apart":
            return [(batch, channels, *counts), (batch, channels, bands - 1, *counts)]
        return [(batch, channels, bands, *counts)]

    def apply(self, *tensors: Tensor) -> list[Tensor]:
        """The map, differentiable any number of times in either mode; fast where it `fits`."""
        if not fits(*tensors):
            return self.plain(tensors)
        if torch.compiler.is_compiling():
            return self.call(tensors)
        return applied(self, tensors)

    def call(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The bare operator, without a derivative in forward mode."""
        return torch.ops.wavevit.bank(list(tensors), *_arguments(self))

    def run(self, tensors: list[Tensor]) -> list[Tensor]:
        """Computes the map, with the kernel wherever it runs."""
        expected = self.transpose.shapes(*tensors[0].shape[:2])
        given = [tuple(x.shape) for x in tensors]
        if given != expected:  # a kernel trusts the shapes: it would read another tensor's memory
            fail("coefficients", f"shapes {expected}", given)
        results = [room(tensors[0], shape) for shape in self.shapes(*tensors[0].shape[:2])]
        if not tensors[0].numel():
            return [result.zero_() for result in results]
        images, bands = (results, tensors) if self.transposed else (tensors, results)
        kernel = _kernel(tensors[0], len(self.size))
        if kernel is None:
            with outside_autocast(tensors[0]):
                if len(self.size) == 2:
                    bank_pieces.run(self, images[0], bands)
                else:
                    bank_axes.run(self, tensors, results)
        elif self.transposed:
            kernel.run(self, images[0], [x.contiguous() for x in bands])
        else:
            kernel.run(self, _even_planes(images[0]), bands)
        return results

    def plain(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The same in plain operations, of images as dense products: fast for small sides, and
        what no kernel can be given."""
        with outside_autocast(tensors[0]):
            if len(self.size) == 2:
                return self._multiplied(tensors)
            return bank_axes.filtered(self, tensors)

    def _multiplied(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        like = tensors[0]

        def constant(values: np.ndarray) -> Tensor:
            return torch.tensor(values, dtype=like.dtype, device=like.device)

        def matrix(side: int) -> Tensor:
            key = (self.bank, side, self.mode, like.dtype, like.device)
            return remember(key, lambda: constant(axis_matrix(self.bank, side, self.mode)))

        rows, columns = map(matrix, self.size)
        number, (h, w) = len(self.bank.taps), map(self.bank.count, self.size)
        batch, channels = tensors[0].shape[:2]
        flat = (batch, channels, number**2, h * w)
        if not self.transposed:
            y = torch.matmul(torch.matmul(rows, tensors[0]), columns.t())
            y = y.reshape(batch, channels, number, h, number, w).permute(0, 1, 4, 2, 3, 5)
            if self.layout == "oriented":
                y = torch.matmul(constant(mixing_matrix()), y.reshape(flat))
                quads, details = y[:, :, :4], y[:, :, 4:]
                quads = quads.reshape(batch, channels, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3)
                parts = [quads, details]
            else:
                y = y.reshape(flat)
                parts = [y[:, :, 0], y[:, :, 1:]] if self.layout == "apart" else [y]
            shapes = self.shapes(batch, channels)
            return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        if self.layout == "oriented":
            quads = tensors[0].reshape(batch, channels, h, 2, w, 2).permute(0, 1, 3, 5, 2, 4)
            pieces = [quads.reshape(*flat[:2], 4, h * w), tensors[1].reshape(*flat[:2], 12, h * w)]
            y = torch.matmul(constant(mixing_matrix().T), torch.cat(pieces, dim=2))
        else:
            y = torch.cat([part.reshape(*flat[:2], -1, h * w) for part in tensors], dim=2)
        y = y.reshape(batch, channels, number, number, h, w).permute(0, 1, 3, 4, 2, 5)
        y = y.reshape(batch, channels, number * h, number * w)
        return [torch.matmul(torch.matmul(rows.t(), y), columns)]


_KERNELS = {
    1: "wavevit.wavelets._kernels.bank_cpu_lines",
    2: "wavevit.wavelets._kernels.bank_cpu",
    3: "wavevit.wavelets._kernels.bank_cpu_volumes",
}


def _kernel(x: Tensor, dims: int) -> ModuleType | None:
    return kernels_for(x, _KERNELS[dims], "Filter banks run")


def _even_planes(x: Tensor) -> Tensor:
    """`x`, copied unless its planes are contiguous in themselves and evenly spaced."""
    step = x.stride(1)
    packed = x.stride()[2:] == tuple(accumulate(x.shape[:2:-1], mul, initial=1))[::-1]
    if packed and x.stride(0) == x.shape[1] * step and step > 0:
        return x
    # A tensor counts as contiguous whatever the stride of a dimension of one element, such as the
    # channels of `(1, B, H, W)` turned to `(B, 1, H, W)`: a view of one row has the strides anew.
    return x.contiguous().flatten().view(x.shape)


def _arguments(bank_map: BankMap) -> tuple[Any, ...]:
    bank = bank_map.bank
    taps = [tap for taps in bank.taps for tap in taps]
    steps = bank.stride, bank.spacing, bank.before, bank.after
    shape = bank_map.mode, list(bank_map.size), bank_map.layout, bank_map.transposed
    return taps, len(bank.taps), *steps, *shape


def _map(taps: Sequence[float], bands: int, *args: Any) -> BankMap:
    """Inverse of `_arguments`."""
    length = len(taps) // bands
    filters = tuple(tuple(taps[b * length : (b + 1) * length]) for b in range(bands))
    mode, size, layout, transposed = args[4:]
    return BankMap(Bank(filters, *args[:4]), mode, tuple(size), layout, transposed)


register_map(
    "bank",
    "float[] taps, int bands, int stride, int spacing, int before, int after, str mode,"
    " SymInt[] size, str layout, bool transposed",
    _map,
)


def fits(*tensors: Tensor) -> bool:
    """Whether to use `BankMap.apply` for these tensors; otherwise callers use plain operations.

    Eagerly on the CPU: yes, with a kernel or piece by piece. In a compiled graph: with a kernel
    only, because the compiler optimises plain operations as well.

    Guarantees:
        The same values and derivatives on either path (tests/properties/test_bank_fast.py).
    """
    first = tensors[0]
    if first.device.type != "cpu" or first.dtype not in (torch.float32, torch.float64):
        return False
    if any(x.dtype != first.dtype or x.device != first.device for x in tensors[1:]):
        return False
    if torch.compiler.is_compiling():
        # A transform of torch.func inside the compiled function: the operator alone would give
        # jvp a tangent of zero, without a word.
        kernel = has_kernel(first)
        return kernel and not transforms_active()
    return not exporting() and not torch.jit.is_tracing() and all(map(is_ordinary, tensors))
