"""Results of a certificate: a constant, a step of a chain, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LipschitzConstant", "LipschitzStep", "NoLipschitzBound"]


class NoLipschitzBound(ValueError):
    """Error: a module has no global Lipschitz constant, or no rule for it.

    Attributes:
        module: the module.
        reason: the reason, as the end of a sentence that starts with the module's name.

    Args:
        module: the module.
        reason: see `reason`.
        name: name of the module inside the model, if it is known.
    """

    def __init__(self, module: object, reason: str, name: str = "") -> None:
        kind = type(module).__name__
        part = f"{name} ({kind})" if name else kind
        super().__init__(f"no global Lipschitz bound, because {part} {reason}")
        self.module, self.reason = module, reason


@dataclass(frozen=True)
class LipschitzConstant:
    """Lipschitz constant of a module for images of one size.

    Attributes:
        value: upper bound of ‖f(y) − f(x)‖ / ‖y − x‖, Euclidean norms.
        exact: True if it is the smallest possible, such as the operator norm of a linear map.
            False for an upper bound.
    """

    value: float
    exact: bool


@dataclass(frozen=True)
class LipschitzStep:
    """One step from the pixels on: ``bound`` after it is ``factor · (bound before) + plus``.

    Attributes:
        name: name of the module, as in `torch.nn.Module.named_modules`.
        factor: largest factor by which the step changes the difference of two inputs.
        plus: what a second path from the pixels adds (injected details), else 0.
        bound: bound of all steps so far: change of the output over change of the pixels.
        exact: whether `factor` is the smallest possible for this step. The product of two exact
            factors is still only an upper bound.
    """

    name: str
    factor: float
    plus: float
    bound: float
    exact: bool = False
