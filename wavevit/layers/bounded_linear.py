"""Linear layers with a spectral norm of at most 1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.old_bounds import OldBounds
from wavevit.wavelets._engine.linear_maps import outside_autocast

__all__ = ["BoundedLinear", "bound_linear_maps", "matrix_of"]


class BoundedLinear(nn.Linear, OldBounds):
    """Linear layer with a spectral norm of at most 1: its matrix divided by a bound of its norm.

    The bound is that of Gram matrices, squared three times: ``‖W‖ ≤ ‖(W Wᵀ)⁸‖_F^{1/16}``, at most
    the 16th root of the smaller side too large (1.4 for 192 channels) and 1.1 for random weights.
    So the size of the learned matrix does not matter, its direction does. It costs
    ``m² M + 2 m³`` products a forward pass for a matrix of sides m ≤ M, whatever the batch;
    `Backbone.fold` leaves a plain `nn.Linear` for inference, and for adapters: what peft's LoRA
    adds stands beside the bounded map, and merged into its weight it would be bounded with it.

    Guarantees:
        Norm between ``m^{-1/16}`` and 1 (tests/properties/test_certified_laws.py). In half
        precision, to the rounding of the quotient.

    Source:
        Delattre et al. 2023 (Gram iteration). Miyato et al. 2018 divide by a power iteration's
        value, which is below the norm.
    """

    def bounded_weight(self) -> Tensor:
        """The matrix that is applied."""
        # Products that autocast rounds would give a bound below the norm, by half a percent.
        with outside_autocast(self.weight):
            return self._divided()

    def _divided(self) -> Tensor:
        wide = self.weight.to(torch.promote_types(self.weight.dtype, torch.float32))
        gram = wide @ wide.mT if wide.shape[0] <= wide.shape[1] else wide.mT @ wide
        bound, root = torch.ones((), dtype=wide.dtype, device=wide.device), 0.5
        for squaring in range(4):
            size = gram.norm().clamp_min(1e-12)
            bound, root = bound * size**root, root / 2
            if squaring < 3:
                gram = gram / size
                gram = gram @ gram
        return (wide / bound).to(self.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.bounded_weight(), self.bias)

    def simplified(self) -> nn.Module:
        """The plain linear map that it is."""
        plain = nn.Linear(self.in_features, self.out_features, device="meta")
        plain.weight, plain.bias = nn.Parameter(self.bounded_weight()), self.bias
        return plain


def matrix_of(linear: nn.Linear) -> Tensor:
    """The matrix that a linear map applies, whether its own or the bounded one."""
    return linear.bounded_weight() if isinstance(linear, BoundedLinear) else linear.weight


def bound_linear_maps(module: nn.Module) -> None:
    """Makes every `nn.Linear` inside a module a `BoundedLinear`, in place, parameters shared."""
    for parent in list(module.modules()):
        for name, part in list(parent.named_children()):
            if type(part) is nn.Linear:
                bounded = BoundedLinear(part.in_features, part.out_features, device="meta")
                bounded.weight, bounded.bias = part.weight, part.bias
                setattr(parent, name, bounded)
