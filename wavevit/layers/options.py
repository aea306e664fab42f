"""Options of layers: small frozen dataclasses, converted from and to plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Self

from wavevit.checks import check_choice, fail

__all__ = ["NoOptions", "PartOptions", "check_options_class", "read_options"]


@dataclasses.dataclass(frozen=True)
class PartOptions:
    """Base class of the options of one layer: a frozen dataclass; all fields have defaults.

    Values are plain data (numbers, strings, booleans, None, tuples of them), so that a
    configuration can be hashed, compared and written to JSON. Check them in ``__post_init__``.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Options(PartOptions):
        ...     kernel_size: int = 3
    """

    def scaled(self, width: int, pixels: Fraction) -> Self:
        """Options for a model `width` times as wide, for images `pixels` times as large."""
        return self


@dataclasses.dataclass(frozen=True)
class NoOptions(PartOptions):
    """Options of a layer without options."""


def check_options_class(part: str, options: Any) -> None:
    """Refuses an `Options` class that a configuration could not hold.

    Args:
        part: what it belongs to, for the message.
        options: the class.
    """
    frozen = (
        isinstance(options, type)
        and issubclass(options, PartOptions)
        and vars(options).get("__dataclass_params__") is not None
        and vars(options)["__dataclass_params__"].frozen
    )
    if not frozen:
        expected = "a frozen dataclass that inherits from wavevit.layers.PartOptions"
        fail(f"{part}.Options", expected, repr(options))
    missing = (dataclasses.MISSING,) * 2
    for field in dataclasses.fields(options):
        if (field.default, field.default_factory) == missing:
            fail(f"{part}.Options.{field.name}", "a field with a default", "no default")


def read_options(argument: str, part: str, known: type[PartOptions], value: Any) -> PartOptions:
    """Reads the options of a layer from a configuration.

    Args:
        argument: name of the configuration's field, for messages.
        part: name of the part, for messages.
        known: its `Options`.
        value: an instance, a mapping of its fields, or None for the defaults.

    Raises:
        ValueError: the options of another part, an unknown field or a bad value.
    """
    if value is None:
        return known()
    if isinstance(value, Mapping):
        names = [field.name for field in dataclasses.fields(known)]
        for name in value:
            if not names:
                fail(argument, f"no options: {part} reads none", repr(name))
            check_choice(f"{argument} of {part}", name, names)
        return known(**{name: _hashable(item) for name, item in value.items()})
    if type(value) is not known:
        expected = f"None, a mapping or {known.__qualname__}, the options of {part}"
        fail(argument, expected, repr(value))
    return value


def _hashable(value: Any) -> Any:
    """JSON's lists as tuples."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
