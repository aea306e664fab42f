"""Results of a certificate: a constant, a step of a chain, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LipschitzConstant", "LipschitzStep", "NoLipschitzBound"]


class NoLipschitzBound(ValueError):
    """A part has no global Lipschitz constant, or none that anybody has declared.

    Attributes:
        module: the part.
        reason: what is in the way, to be read after the part's name.

    Args:
        module: the part.
        reason: see there.
        name: of the part inside the model, where it is known.
    """

    def __init__(self, module: object, reason: str, name: str = "") -> None:
        kind = type(module).__name__
        part = f"{name} ({kind})" if name else kind
        super().__init__(f"no global Lipschitz bound, because {part} {reason}")
        self.module, self.reason = module, reason


@dataclass(frozen=True)
class LipschitzConstant:
    """What no difference of outputs divided by that of inputs exceeds, for images of one size.

    Attributes:
        value: of Euclidean norms.
        exact: True if no smaller number would do: the operator norm of what is linear. False for
            an upper bound.
    """

    value: float
    exact: bool


@dataclass(frozen=True)
class LipschitzStep:
    """One step from the pixels on: ``bound`` after it is ``factor · (bound before) + plus``.

    Attributes:
        name: the part, as `torch.nn.Module.named_modules` calls it.
        factor: what the step multiplies a difference of two images with, at most.
        plus: what a second way from the pixels adds (injected details), else 0.
        bound: of everything up to here, change of the output over change of the pixels.
        exact: no smaller factor would do for this step. What two exact steps make of each other
            is an upper bound all the same.
    """

    name: str
    factor: float
    plus: float
    bound: float
    exact: bool = False
