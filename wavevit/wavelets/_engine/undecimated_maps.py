"""Several undecimated levels as one linear map, written into one result without a copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wavevit.wavelets._engine.bank_maps import BankMap, fits, undecimated
from wavevit.wavelets._engine.linear_maps import applied
from wavevit.wavelets._kernels.cpu_memory import room

if TYPE_CHECKING:
    from wavevit.wavelets.filters import FilterBank

__all__ = ["UndecimatedMap", "one_level"]

# How one level is computed.
Step = Callable[[BankMap, Tensor], list[Tensor]]


def one_level(
    bank: FilterBank, which: str, spacing: int, mode: str, size: tuple[int, ...]
) -> BankMap:
    """A level of ``"analysis"``, to (B, C, 4, H, W), or the transpose of one of ``"synthesis"``."""
    layout = "joined" if which == "analysis" else "apart"
    return BankMap(undecimated(bank, which, spacing), mode, size, layout)


@dataclass(frozen=True)
class UndecimatedMap:
    """(B, C, H, W) to (B, C, level, 4, H, W), coarse to fine; signals and volumes likewise.

    Attributes:
        bank: the filters.
        mode: what lies beyond the border, see `_engine.modes`.
        size: (H, W); (L,) of signals, (D, H, W) of volumes.
        level: number of levels.
        transposed: from coefficients to images; each level adds to the next finer approximation.
    """

    bank: FilterBank
    mode: str
    size: tuple[int, ...]
    level: int
    transposed: bool = False

    @property
    def transpose(self) -> UndecimatedMap:
        """The adjoint map."""
        return replace(self, transposed=not self.transposed)

    def _step(self, index: int) -> BankMap:
        return one_level(self.bank, "analysis", 2**index, self.mode, self.size)

    def apply(self, *tensors: Tensor) -> list[Tensor]:
        """The map outside any compiler, with every derivative."""
        if not fits(*tensors):  # the older vmap's gradients: level by level, each as it can
            return self._stepwise(tensors[0], BankMap.apply)
        return applied(self, tensors)

    def call(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The map as bare operators."""
        (x,) = tensors
        return self._stepwise(x, lambda step, bands: step.call([bands]))

    def run(self, tensors: list[Tensor]) -> list[Tensor]:
        """The map as numbers."""
        (x,) = tensors
        if self.transposed:
            return [self._adjoint(x, lambda step, bands: step.run([bands]))]
        result = room(x, (*x.shape[:2], self.level, 2 ** len(self.size), *self.size))
        for index in range(self.level):
            bands = result[:, :, self.level - 1 - index]
            bands[:] = self._step(index).run([x])[0]
            x = bands[:, :, 0]
        return [result]

    def _stepwise(self, x: Tensor, do: Step) -> list[Tensor]:
        """A level at a time."""
        if self.transposed:
            return [self._adjoint(x, do)]
        levels: list[Tensor] = []
        for index in range(self.level):
            levels += do(self._step(index), x)
            x = levels[-1][:, :, 0]
        return [torch.stack(levels[::-1], dim=2)]

    def _adjoint(self, coefficients: Tensor, do: Step) -> Tensor:
        bands, *finer = coefficients.unbind(2)
        for index in range(self.level - 1, -1, -1):
            (image,) = do(self._step(index).transpose, bands)
            if index:
                bands = finer[self.level - 1 - index]
                bands = torch.cat([bands[:, :, :1] + image[:, :, None], bands[:, :, 1:]], dim=2)
        return image
