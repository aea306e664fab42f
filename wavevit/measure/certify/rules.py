"""Rules for Lipschitz constants, one for each class of module.

A constant is an upper bound that is proved: for all inputs, not at an image. A rule is registered
for the class of a module (`functools.singledispatch`) by the decorators of this file. A class can
also declare its constants itself, by methods ``lipschitz_bound(tokens)`` and ``constant_at(size)``.
The nearest of both counts, in the order in which Python looks up methods.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from torch import nn

from wavevit.checks import check_module
from wavevit.layers.old_bounds import OldBounds
from wavevit.layers.symmetry import Part
from wavevit.measure.certify.results import LipschitzConstant, NoLipschitzBound
from wavevit.wavelets._engine.torch_private import has_forward_hooks

__all__ = [
    "UNDECLARED",
    "bound_by_rule",
    "constant_by_rule",
    "declares_constant",
    "lipschitz_at",
    "lipschitz_of",
    "lipschitz_rule",
    "lipschitz_rule_at",
    "no_lipschitz_bound",
]

UNDECLARED = Part.unbounded

Bound = TypeVar("Bound", bound=Callable[[Any, int | None], float])
Constant = TypeVar("Constant", bound=Callable[[Any, tuple[int, int]], LipschitzConstant])


@functools.singledispatch
def _bound(module: Any, tokens: int | None) -> float:
    raise NoLipschitzBound(module, getattr(module, "unbounded", UNDECLARED))


@functools.singledispatch
def _constant(module: Any, size: tuple[int, int]) -> LipschitzConstant:
    return LipschitzConstant(lipschitz_of(module), exact=False)


def lipschitz_rule(*classes: type[nn.Module]) -> Callable[[Bound], Bound]:
    """Decorator: registers a function as the rule of these classes.

    The function gets a module and the length of the sequence (None for any length). It returns an
    upper bound of ‖f(y) − f(x)‖ / ‖y − x‖, Euclidean norms, in evaluation, or raises
    `NoLipschitzBound` if there is none. A rule also counts for subclasses that do not change
    `forward`.

    Args:
        classes: of the modules.

    Example:
        >>> import torch
        >>> class Half(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x / 2
        >>> @lipschitz_rule(Half)
        ... def half(module, tokens):
        ...     return 0.5
        >>> lipschitz_of(torch.nn.Sequential(Half(), Half()))
        0.25
    """

    def register(rule: Bound) -> Bound:
        for cls in classes:
            _bound.register(cls)(rule)
        return rule

    return register


def lipschitz_rule_at(*classes: type[nn.Module]) -> Callable[[Constant], Constant]:
    """Decorator: as `lipschitz_rule`, for inputs of one size.

    The function gets a module and rows and columns of its inputs (of a tokenizer pixels, of a
    downsampling the grid of its tokens) and returns a `LipschitzConstant`. Where no such rule is
    registered, that of `lipschitz_rule` counts, as an upper bound.

    Args:
        classes: of the modules.
    """

    def register(rule: Constant) -> Constant:
        for cls in classes:
            _constant.register(cls)(rule)
        return rule

    return register


def no_lipschitz_bound(*classes: type[nn.Module], because: str) -> None:
    """Registers that modules of these classes have no Lipschitz constant.

    Args:
        classes: of the modules.
        because: the reason, to be read after the name of the class.
    """

    def refuse(module: Any, tokens: int | None) -> float:
        raise NoLipschitzBound(module, because)

    lipschitz_rule(*classes)(refuse)


def declares_constant(cls: type) -> bool:
    """Whether a class has a rule, a method with its constant, or a reason for no constant."""
    if getattr(cls, "unbounded", UNDECLARED) != UNDECLARED:
        return True
    return any(_nearest(cls, *where) is not None for where in (_BOUND, _CONSTANT))


def lipschitz_of(module: nn.Module, tokens: int | None = None) -> float:
    """Lipschitz constant of a module: upper bound of ‖f(y) − f(x)‖ / ‖y − x‖.

    Args:
        module: one whose class has a rule (`lipschitz_rule`) or a method
            ``lipschitz_bound(tokens)``. In evaluation: dropping is no part of it.
        tokens: length of the sequence, for what depends on it; None for any length.

    Raises:
        NoLipschitzBound: it has none, or there is no rule for it.

    Guarantees:
        Not exceeded on any pair that a search has found, reached by linear layers and by GELU
        (tests/properties/test_certified_laws.py).
    """
    check_module("module", module)
    _refuse_hooks(module)
    found = _declaration(module, *_BOUND)
    if found is not None:
        bound: float = found.answer(tokens)
        return bound
    inner = _wrapped(module, "lipschitz_bound")
    return bound_by_rule(module, tokens) if inner is None else lipschitz_of(inner, tokens)


def lipschitz_at(module: nn.Module, size: tuple[int, int]) -> LipschitzConstant:
    """The constant of a module for inputs of one size.

    Args:
        module: one whose class has a rule (`lipschitz_rule_at`) or a method ``constant_at(size)``;
            else as for `lipschitz_of`.
        size: rows and columns, of a tokenizer in pixels, of a downsampling in tokens.

    Raises:
        NoLipschitzBound: it has none, or there is no rule for it.

    Guarantees:
        As `lipschitz_of`; where exact, the largest singular value of the whole matrix
        (tests/properties/test_tokenizer_constants.py).
    """
    check_module("module", module)
    _refuse_hooks(module)
    found, plain = _declaration(module, *_CONSTANT), _declaration(module, *_BOUND)
    if found is not None and (plain is None or found.place <= plain.place):
        constant: LipschitzConstant = found.answer(size)
        return constant
    inner = _wrapped(module, "constant_at") if plain is None else None
    if inner is not None:
        return lipschitz_at(inner, size)
    return LipschitzConstant(lipschitz_of(module), exact=False)


def bound_by_rule(module: Any, tokens: int | None = None) -> float:
    """As `lipschitz_of`, by rules only; for methods that override a rule and build on it."""
    return _bound(module, tokens)


def constant_by_rule(module: Any, size: tuple[int, int]) -> LipschitzConstant:
    """As `lipschitz_at`, by rules alone."""
    return _constant(module, size)


_BOUND = (_bound, "lipschitz_bound")
_CONSTANT = (_constant, "constant_at")


class _Declaration(NamedTuple):
    """What says a module's constant.

    Attributes:
        place: how far from the module: -1 for itself, then the order of its classes.
        answer: takes the length of the sequence, or a size.
    """

    place: int
    answer: Callable[[Any], Any]


def _nearest(cls: type, rules: Any, method: str) -> tuple[int, type] | None:
    """The nearest class that has a rule or the method, and its place."""
    for place, base in enumerate(cls.__mro__):
        declares = method in vars(base) and base is not OldBounds
        if declares or (base in rules.registry and base is not object):
            return place, base
    return None


def _declaration(module: nn.Module, rules: Any, method: str) -> _Declaration | None:
    if method in vars(module):
        return _Declaration(-1, vars(module)[method])
    found = _nearest(type(module), rules, method)
    if found is None:
        return None
    place, cls = found
    if cls not in rules.registry:
        return _Declaration(place, getattr(module, method))
    return _Declaration(place, functools.partial(_follow, rules.registry[cls], cls, module))


def _follow(rule: Callable[..., Any], cls: Any, module: nn.Module, argument: Any) -> Any:
    """What the rule of a class says of a module, if the module does what that class does."""
    own = type(module)
    torchs_own = cls.__module__.startswith("torch.nn.")
    if torchs_own and not own.__module__.startswith("torch.nn."):
        raise NoLipschitzBound(module, UNDECLARED)
    if own.forward is not cls.forward:
        raise NoLipschitzBound(
            module, f"computes something else than {cls.__name__}, and {UNDECLARED}"
        )
    return rule(module, argument)


def _wrapped(module: nn.Module, method: str) -> nn.Module | None:
    """The module inside one that passes its attributes on, as `torch.compile` makes them."""
    inner = getattr(getattr(module, method, None), "__self__", module)
    return None if inner is module else inner


def _refuse_hooks(module: nn.Module) -> None:
    if has_forward_hooks(module):
        raise NoLipschitzBound(module, "has hooks that may change what goes in or comes out")
