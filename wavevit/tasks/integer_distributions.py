"""Distributions of integers between two bounds: categorical, discretised logistic mixture."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["DISTRIBUTIONS", "Categorical", "LogisticMixture"]

_REACH = 6.0  # of the logarithm of a scale around that of its unit


class Categorical:
    """A probability for each integer, between bounds that may differ from value to value.

    Args:
        low: smallest integer that there is.
        high: largest.

    Attributes:
        count: parameters of a value.
        moves: whether `moved` exists.
    """

    def __init__(self, low: int, high: int, unit: float = 1.0) -> None:
        self.low, self.high = low, high
        self.count = high - low + 1

    moves = False

    def bias(self) -> Tensor:
        """Parameters at the start."""
        return torch.zeros(self.count)

    def _log_probs(self, parameters: Tensor, low: Tensor, high: Tensor) -> Tensor:
        known = torch.arange(self.low, self.high + 1, device=parameters.device)
        outside = (known < low[..., None]) | (known > high[..., None])
        return parameters.masked_fill(outside, -torch.inf).log_softmax(-1)

    def log_prob(self, parameters: Tensor, values: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Natural logarithm of the probability of integers.

        Args:
            parameters: (…, `count`).
            values: (…) integers within the bounds.
            low: smallest possible values, (…) or to be broadcast.
            high: largest possible values.
        """
        low, high = low.expand(values.shape), high.expand(values.shape)
        found = self._log_probs(parameters, low, high)
        return found.gather(-1, (values - self.low).long()[..., None])[..., 0]

    def draw(self, parameters: Tensor, uniform: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Integers from uniform numbers.

        Args:
            parameters: (…, `count`).
            uniform: (…, 2) in [0, 1); the first is used.
            low: see `log_prob`.
            high: see there.
        """
        shape = parameters.shape[:-1]
        low, high = low.expand(shape), high.expand(shape)
        mass = self._log_probs(parameters, low, high).exp().cumsum(-1)
        index = torch.searchsorted(mass, uniform[..., :1] * mass[..., -1:], right=True)[..., 0]
        return torch.minimum(torch.maximum(index + self.low, low), high)


class LogisticMixture:
    """A mixture of logistic densities, integrated over each integer; bounds take the tails.

    Args:
        low: smallest integer that there is.
        high: largest.
        unit: scale at the start.
        components: densities of the mixture.

    Attributes:
        count: parameters of a value: a weight, a mean and a scale for each component.

    Guarantees:
        Probabilities between the bounds add up to 1 (tests/unit/test_autoregressive.py).

    Source:
        Salimans et al. 2017 (PixelCNN++), section 2.1.
    """

    def __init__(self, low: int, high: int, unit: float = 1.0, components: int = 5) -> None:
        self.centre, self.unit, self.components = (low + high) / 2, unit, components
        self.count = 3 * components

    moves = True

    def moved(self, parameters: Tensor, steps: Tensor) -> Tensor:
        """Parameters of the distributions moved by `steps` (…), in integers."""
        weight, mean, scale = parameters.chunk(3, dim=-1)
        return torch.cat([weight, mean + steps[..., None] / self.unit, scale], dim=-1)

    def bias(self) -> Tensor:
        """Parameters at the start: means a unit apart."""
        means = torch.arange(self.components) - (self.components - 1) / 2
        return torch.cat([torch.zeros(self.components), means, torch.zeros(self.components)])

    def _parts(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weight, mean, scale = parameters.chunk(3, dim=-1)
        logarithm = _REACH * torch.tanh(scale / _REACH) + math.log(self.unit)
        return weight.log_softmax(-1), self.centre + self.unit * mean, logarithm

    def log_prob(self, parameters: Tensor, values: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """See `Categorical.log_prob`."""
        weight, mean, logarithm = self._parts(parameters)
        rate = (-logarithm).exp()
        x = values[..., None].to(parameters.dtype)
        above, below = (x + 0.5 - mean) * rate, (x - 0.5 - mean) * rate
        # log(σ(above) − σ(below)), without a difference of numbers that are almost equal.
        left, right = F.logsigmoid(above), F.logsigmoid(-below)
        gap = torch.log(-torch.expm1(-rate))
        first, last = (values <= low)[..., None], (values >= high)[..., None]
        middle = left + right + gap
        found = torch.where(first, torch.where(last, torch.zeros_like(left), left), middle)
        found = torch.where(last & ~first, right, found)
        return torch.logsumexp(weight + found, dim=-1)

    def draw(self, parameters: Tensor, uniform: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """See `Categorical.draw`; both uniform numbers are used."""
        weight, mean, logarithm = self._parts(parameters)
        mass = weight.exp().cumsum(-1)
        chosen = torch.searchsorted(mass, uniform[..., :1] * mass[..., -1:], right=True)
        chosen = chosen.clamp_max(self.components - 1)
        centre, scale = mean.gather(-1, chosen)[..., 0], logarithm.gather(-1, chosen)[..., 0].exp()
        values = (centre + scale * torch.logit(uniform[..., 1], eps=1e-12)).round()
        # Bounded before they are integers: a float32 uniform number may be 1, and infinity is no
        # integer.
        return torch.minimum(torch.maximum(values, low.to(values)), high.to(values)).long()


#: Distributions by name.
DISTRIBUTIONS = {"logistic_mixture": LogisticMixture, "categorical": Categorical}
