"""`certified_lipschitz`: proved Lipschitz bound of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from wavevit.checks import check_image
from wavevit.layers.forward_steps import ForwardStep
from wavevit.layers.old_bounds import OldSteps
from wavevit.measure.certify.chain import steps_along
from wavevit.measure.certify.results import LipschitzStep, NoLipschitzBound
from wavevit.measure.certify.rules import lipschitz_of
from wavevit.measure.depth import WatchAttention
from wavevit.measure.evaluation import evaluation_mode

__all__ = ["CertifiedLipschitz", "certified_lipschitz"]

_ATTENDS = (
    "attends and declares no Lipschitz constant: dot-product attention has none, its slope grows "
    "with the size of its tokens without end (Kim et al. 2021)"
)


@runtime_checkable
class _Describes(Protocol):
    def forward_steps(self, size: tuple[int, int]) -> Sequence[ForwardStep]: ...


@runtime_checkable
class _Declares(Protocol):
    def lipschitz_steps(self, size: tuple[int, int]) -> Sequence[LipschitzStep]: ...


@dataclass(frozen=True)
class CertifiedLipschitz:
    """Proved upper bound of ‖f(y) − f(x)‖ / ‖y − x‖ for all pairs of images.

    Attributes:
        bound: output change per unit of pixel change, Euclidean norms over all numbers of an
            output and of an image; for *all* pairs of images of this size.
        steps: the bound of each step, from the pixels on (see `LipschitzStep`).
        size: rows and columns of the images in pixels.
    """

    bound: float
    steps: tuple[LipschitzStep, ...]
    size: tuple[int, int]


def certified_lipschitz(model: Callable[[Tensor], Any], images: Tensor) -> CertifiedLipschitz:
    """An upper bound of a network's global Lipschitz constant, in evaluation.

    It combines the rules for the modules (`wavevit.measure.certify`) along the steps of the
    forward pass. The steps are those that a model lists (``forward_steps(size)``, like our models,
    or ``lipschitz_steps(size)``), or the layers of a chain. Norms of
    matrices are singular values, not power iterations, which approach them from below.

    Args:
        model: a module.
        images: (N, C, H, W): the bound is for images of that size. Their values are not used.

    Returns:
        A `CertifiedLipschitz`.

    Raises:
        NoLipschitzBound: a `ValueError` that names the layer without a global constant and the
            reason, for example dot-product attention or a module without a rule.

    Guarantees:
        No pair of images that a guided search finds exceeds it, and the search does find one for a
        bound that is a little too small; exact for linear tokenizers
        (tests/properties/test_certified_laws.py). To the rounding of float64, for the weights as
        they are: a model computed in float32 or less adds that rounding.

    Source:
        Kim et al. 2021; Qi et al. 2023 (LipsFormer); each part says its own.
    """
    check_image(images, "images")
    size = (images.shape[-2], images.shape[-1])
    if not isinstance(model, nn.Module):
        raise NoLipschitzBound(model, "is no module: its parts cannot be asked")
    try:
        steps = _steps_of(model, size)
    except NoLipschitzBound as error:
        part, reason = error.module, error.reason
        foreign = not isinstance(model, _Describes | _Declares) and any(model.children())
        attention = _attention_in(model, images[:1]) if part is model and foreign else None
        if attention is not None:
            part, reason = attention, _ATTENDS
        names: dict[object, str] = {module: name for name, module in model.named_modules()}
        raise NoLipschitzBound(part, reason, names.get(part, "")) from None
    return CertifiedLipschitz(steps[-1].bound if steps else 1.0, steps, size)


def _steps_of(model: nn.Module, size: tuple[int, int]) -> tuple[LipschitzStep, ...]:
    """What a model says; else a step for each part of a `nn.Sequential`, one for another."""
    if isinstance(model, _Declares) and not _is_old(model.lipschitz_steps):
        return tuple(model.lipschitz_steps(size))
    if isinstance(model, _Describes):
        return tuple(steps_along(model.forward_steps(size)))
    parts = model.named_children() if type(model) is nn.Sequential else [("", model)]
    steps, bound = [], 1.0
    for name, part in parts:
        factor = lipschitz_of(part)
        bound *= factor
        steps.append(LipschitzStep(name, factor, 0.0, bound))
    return tuple(steps)


def _is_old(method: Any) -> bool:
    return getattr(method, "__func__", None) is OldSteps.lipschitz_steps


def _attention_in(model: nn.Module, image: Tensor) -> nn.Module | None:
    """The first module that computes attention, for a model that declares nothing itself."""
    running: list[nn.Module] = []
    found: list[nn.Module] = []

    def enter(module: nn.Module, _: Any) -> None:
        running.append(module)

    def leave(*_: Any) -> None:
        running.pop()

    handles = [module.register_forward_pre_hook(enter) for module in model.modules()]
    handles += [module.register_forward_hook(leave) for module in model.modules()]
    look = WatchAttention(lambda _: found.append(running[-1]))
    try:
        with torch.no_grad(), evaluation_mode(model), sdpa_kernel(SDPBackend.MATH), look:
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None
