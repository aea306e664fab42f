"""The Haar transforms as linear maps with every derivative, on the fastest kernel available.

A `HaarMap` is one linear map and knows its transpose, which is enough for all of autograd
(`_engine.linear_maps`). Left to autograd, a slice's backward pass fills a whole image with
zeros, four times over. The layers, top to bottom:

* `HaarMap.apply` chooses. Eagerly: an autograd Function with explicit ``jvp`` and ``vmap``. Under
  `torch.compile`: the bare operator, whose derivative is registered, because dynamo can't trace a
  Function that has a ``jvp``. Where operations must be traceable (`torch.export`,
  `torch.jit.trace`, a tensor subclass) or no kernel helps a compiler: plain operations.
* ``torch.ops.wavevit.haar`` is that operator: fake tensors and dispatch modes see it.
* Kernels: `haar_cpu` (numba, extra ``fast``) for float32 and float64 on the CPU, `haar_triton` on
  CUDA, `haar_plain` everywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import repeat
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wavevit.checks import fail
from wavevit.wavelets._engine import haar_plain
from wavevit.wavelets._engine.kernel_choice import has_kernel, loaded
from wavevit.wavelets._engine.linear_maps import applied
from wavevit.wavelets._engine.operators import register_map
from wavevit.wavelets._engine.symbolic_shapes import certainly, exporting
from wavevit.wavelets._engine.torch_private import is_ordinary, transforms_active
from wavevit.wavelets._kernels.cpu_memory import room

__all__ = ["HaarMap", "most_fused"]


_KERNELS = {
    "cpu": "wavevit.wavelets._kernels.haar_cpu",
    "cuda": "wavevit.wavelets._kernels.haar_triton",
}
_WHAT = "Haar transforms run"  # without them, where their compiler is broken
_DEEPEST = {"cpu": 4, "cuda": 3}  # levels in one pass: a strip of 16 rows; a tile of 8 x 8 blocks


def most_fused(x: Tensor) -> int:
    """How many levels one pass over tensors like this one can do."""
    return _DEEPEST[x.device.type] if has_kernel(x) else 1


@dataclass(frozen=True)
class HaarMap:
    """One linear map: a kind of transform, a direction and the size of the images.

    Attributes:
        pyramid: the details of every level, (B, C, h, w) with a (B, C, 3, h_l, w_l) for each level
            from fine to coarse; otherwise the packet, one (B, C, 4**level, h, w).
        transposed: from coefficients to images. For even sides that is the inverse.
        level: number of levels, at least 1. A packet of several takes sides that ``2**level``
            divides, a pyramid any: where a side is odd, a level repeats its last row or column.
        size: (H, W) of the images.
        spacing: 0, or the distance in pixels between the taps of the first undecimated level; it
            doubles from level to level. On the circle, from any size, to (B, C, 4, H, W), or, for
            several levels, to (B, C, level, 4, H, W) from coarse to fine.
    """

    pyramid: bool
    transposed: bool
    level: int
    size: tuple[int, int]
    spacing: int = 0

    @property
    def transpose(self) -> HaarMap:
        """The adjoint map."""
        return replace(self, transposed=not self.transposed)

    def shapes(self, batch: int, channels: int) -> list[tuple[int, ...]]:
        """Shapes of the results."""
        height, width = self.size
        if self.transposed:
            return [(batch, channels, height, width)]
        if self.spacing:
            levels = () if self.level == 1 else (self.level,)
            return [(batch, channels, *levels, 4, height, width)]
        if not self.pyramid:
            return [(batch, channels, 4**self.level, *self._side(self.level))]
        details = [(batch, channels, 3, *self._side(step)) for step in range(1, self.level + 1)]
        return [(batch, channels, *self._side(self.level)), *details]

    def _side(self, step: int) -> tuple[int, int]:
        """Height and width, `step` levels down."""
        height, width = self.size
        for _ in range(step):  # a symbol of a compiled graph knows no shift to the right of -n
            height, width = (height + 1) // 2, (width + 1) // 2
        return height, width

    def passes(self) -> list[HaarMap]:
        """A pyramid as pyramids that a kernel does in one pass each, finest first.

        Several levels fuse as long as both sides halve; at an odd side a level is by itself.
        """
        found, done = [], 0
        while done < self.level:
            height, width = size = self._side(done)
            fused = 1
            most = min(self.level - done, _DEEPEST["cpu"])
            while fused < most and not (height % (2 << fused) or width % (2 << fused)):
                fused += 1
            found.append(replace(self, level=fused, size=size))
            done += fused
        return found

    def apply(self, *tensors: Tensor) -> list[Tensor]:
        """The map of the tensors, differentiable any number of times in either mode.

        Guarantees:
            The same values and derivatives with and without kernels, eagerly, compiled, exported
            and under `torch.func` (tests/properties/test_haar_fast.py).
        """
        first = tensors[0]
        if any(x.dtype != first.dtype or x.device != first.device for x in tensors[1:]):
            return self.plain(tensors)  # torch promotes, or complains, in its own words
        if torch.compiler.is_compiling():
            # A transform of torch.func inside the compiled function: the operator alone would give
            # jvp a tangent of zero, without a word.
            if transforms_active() or not has_kernel(first):
                return self.plain(tensors)
            if torch.compiler.is_dynamo_compiling():
                return self.call(tensors)
            return list(_Traced.apply(self, *tensors))
        if torch.jit.is_tracing() or not all(map(is_ordinary, tensors)):
            return self.plain(tensors)
        return applied(self, tensors)

    def call(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The bare operator, without a derivative in forward mode."""
        return torch.ops.wavevit.haar(list(tensors), *_arguments(self))

    def run(self, tensors: list[Tensor]) -> list[Tensor]:
        """Computes the map with the kernel for these tensors."""
        first = tensors[0]
        plan = _plan(self, *first.shape[:2], first.dtype, first.device.type, has_kernel(first))
        given = [x.shape for x in tensors]
        if given != plan.given:  # a kernel trusts the shapes: it would read another tensor's memory
            fail("coefficients", f"shapes {plan.given}", [tuple(shape) for shape in given])
        if plan.compute is None:
            return self.plain(tensors, eager=True)
        if len(plan.passes) > 1:
            return self._run_apart(plan.passes, tensors)
        tensors = list(map(Tensor.contiguous, tensors))
        results = list(map(room, repeat(first), plan.results))
        image, bands = (results[0], tensors) if self.transposed else (tensors[0], results)
        plan.compute(image, bands)
        return results

    def _run_apart(self, parts: Sequence[HaarMap], tensors: list[Tensor]) -> list[Tensor]:
        x, *details = tensors
        if not self.transposed:
            for part in parts:
                x, *finer = part.run([x])
                details += finer
            return [x, *details]
        for part in reversed(parts):
            (x,) = part.run([x, *details[-part.level :]])
            del details[-part.level :]
        return [x]

    def plain(self, tensors: Sequence[Tensor], eager: bool = False) -> list[Tensor]:
        """The same map level by level; differentiable by autograd unless `eager`."""
        forward = haar_plain.analysis_eager if eager else _analysis
        sizes = [self._side(step) for step in range(self.level)]
        x, *details = tensors
        if self.spacing:
            return [self._plain_undecimated(x)]
        if self.transposed and self.pyramid:
            for size, bands in zip(reversed(sizes), reversed(details), strict=True):
                if eager:
                    x = haar_plain.adjoint_eager((x, *bands.unbind(2)), size)
                else:
                    x = haar_plain.adjoint(torch.cat([x[:, :, None], bands], dim=2), size)
            return [x]
        batch, channels = x.shape[:2]
        if self.transposed:
            for step, size in reversed(list(enumerate(sizes))):
                x = x.reshape(batch, channels * 4**step, 4, *x.shape[-2:])
                x = (
                    haar_plain.adjoint_eager(x.unbind(2), size)
                    if eager
                    else haar_plain.adjoint(x, size)
                )
            return [x]
        if self.pyramid:
            for _ in sizes:
                bands = forward(x)
                x = bands[:, :, 0]
                details.append(bands[:, :, 1:].contiguous() if eager else bands[:, :, 1:])
            return [x.clone(), *details]  # a copy: results of an operator share no memory
        if eager:
            # A tensor of its own: autograd lets nobody write into a view that a Function gives.
            packet = x.new_empty(self.shapes(batch, channels)[0])
        for step in range(self.level):
            x = x.reshape(batch, channels * 4**step, *x.shape[-2:])
            if eager and step == self.level - 1:
                haar_plain.analysis_eager(x, packet.view(batch, x.shape[1], 4, *packet.shape[-2:]))
                return [packet]
            x = forward(x)
        return [x.reshape(batch, channels, 4**self.level, *x.shape[-2:])]

    def _plain_undecimated(self, x: Tensor) -> Tensor:
        spacings = [self.spacing << step for step in range(self.level)]
        if not self.transposed:
            levels: list[Tensor] = []
            for spacing in spacings:
                levels.append(haar_plain.undecimated(x, spacing))
                x = levels[-1][:, :, 0]
            return torch.stack(levels[::-1], dim=2) if self.level > 1 else levels[0]
        if self.level == 1:
            return haar_plain.undecimated_adjoint(x, self.spacing)
        below, *finer = x.unbind(2)
        image = haar_plain.undecimated_adjoint(below, spacings[-1])
        for bands, spacing in zip(finer, reversed(spacings[:-1]), strict=True):
            # What the coarser levels gave belongs to the approximation.
            bands = torch.cat([bands[:, :, :1] + image[:, :, None], bands[:, :, 1:]], dim=2)
            image = haar_plain.undecimated_adjoint(bands, spacing)
        return image


class _Plan(NamedTuple):
    """What `HaarMap.run` derives from the shapes of a batch alone.

    Attributes:
        given: shapes of the arguments.
        results: shapes of the results.
        passes: see `HaarMap.passes`.
        compute: fills coefficients from images, or the other way round; None without a kernel.
    """

    given: list[tuple[int, ...]]
    results: list[tuple[int, ...]]
    passes: list[HaarMap]
    compute: Callable[[Tensor, list[Tensor]], None] | None


@lru_cache(maxsize=1024)  # worked out at every call, it takes longer than a small image
def _plan(
    haar_map: HaarMap, batch: int, channels: int, dtype: torch.dtype, device: str, usable: bool
) -> _Plan:
    shape = (batch, channels, *haar_map.size)
    kernel, compute = loaded(device, _KERNELS[device], _WHAT) if usable else None, None
    if kernel is not None and 0 not in shape:
        compute = kernel.computes(haar_map, shape, dtype)
    return _Plan(
        haar_map.transpose.shapes(batch, channels),
        haar_map.shapes(batch, channels),
        haar_map.passes() if haar_map.pyramid else [haar_map],
        compute,
    )


def _analysis(x: Tensor) -> Tensor:
    free = exporting() and not all(certainly(n % 2 == 0) for n in x.shape[-2:])
    return haar_plain.analysis(x, any_size=free)


def _map(
    pyramid: bool, transposed: bool, level: int, height: int, width: int, spacing: int
) -> HaarMap:
    return HaarMap(pyramid, transposed, level, (height, width), spacing)


_known_map = lru_cache(maxsize=1024)(_map)  # of numbers; a graph's symbols have no hash


class _Traced(torch.autograd.Function):
    """A map for AOTAutograd, which traces a Function; its operator is below all derivatives.

    ``torch.ops.wavevit.haar`` passes through Python once more at every call of the graph.
    """

    @staticmethod
    def forward(ctx: Any, haar_map: HaarMap, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.haar_map = haar_map
        return tuple(torch.ops.wavevit.haar_values(list(tensors), *_arguments(haar_map)))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return None, *_Traced.apply(ctx.haar_map.transpose, *gradients)


def _arguments(haar_map: HaarMap) -> tuple[Any, ...]:
    shape = (haar_map.level, *haar_map.size, haar_map.spacing)
    return haar_map.pyramid, haar_map.transposed, *shape


_SCHEMA = "bool pyramid, bool transposed, int level, SymInt height, SymInt width, int spacing"
register_map("haar", _SCHEMA, _map, _known_map)
register_map("haar_values", _SCHEMA, _map, _known_map, derivatives=False)
