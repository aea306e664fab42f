"""Deprecated configuration fields, which are now options of one layer.

`wavevit.deprecated.REMOVED_IN` is the version that removes them.

Older configurations still load (`BackboneConfig.from_dict`, without a warning); the old
keyword arguments and attributes work and warn.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from wavevit.alignment import ALIGNMENTS
from wavevit.deprecated import warn_deprecated
from wavevit.layers import MIXERS, TOKENIZERS, Registry

__all__ = ["OLD_FIELDS", "accept_old_fields", "translated"]

Config = TypeVar("Config", bound=type)


class _Moved(NamedTuple):
    """Where a field went: an option of one part of one axis."""

    axis: str
    part: str
    option: str

    def __str__(self) -> str:
        return f"{self.axis}_options={{{self.option!r}: …}} with {self.axis}={self.part!r}"


_REGISTRIES: dict[str, Registry[Any]] = {
    "tokenizer": TOKENIZERS,
    "mixer": MIXERS,
    "alignment": ALIGNMENTS,
}
OLD_FIELDS: dict[str, dict[str, _Moved]] = {
    "StageConfig": {
        "kernel_size": _Moved("mixer", "wavelet_conv", "kernel_size"),
        "wavelet_levels": _Moved("mixer", "wavelet_conv", "levels"),
        "window_size": _Moved("mixer", "window", "window_size"),
    },
    "BackboneConfig": {
        "stem_depth": _Moved("tokenizer", "alias_free", "stem_depth"),
        "stem_width": _Moved("tokenizer", "alias_free", "stem_width"),
        "scales": _Moved("tokenizer", "alias_free", "scales"),
        "alignment_shift": _Moved("alignment", "phase_lock", "shift"),
        "alignment_gate": _Moved("alignment", "phase_lock", "gate"),
        "alignment_threshold": _Moved("alignment", "weighted_frame", "threshold"),
    },
}


def translated(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Old fields of a configuration as the present ones.

    An old field of a layer that the configuration does not use is checked and left out, because it
    was never read.

    Args:
        cls: `StageConfig` or `BackboneConfig`.
        values: its fields by name, old ones among them or not.

    Raises:
        ValueError: a value that the part does not take.
    """
    new = dict(values)
    for name, moved in OLD_FIELDS[cls.__name__].items():
        if name not in new:
            continue
        registry, field = _REGISTRIES[moved.axis], f"{moved.axis}_options"
        change = {moved.option: new.pop(name)}
        registry.options(field, moved.part, change)
        if new.get(moved.axis, getattr(cls, moved.axis)) == moved.part:
            held = registry.options(field, moved.part, new.get(field))
            new[field] = {**dataclasses.asdict(held), **change}
    return new


def accept_old_fields(cls: Config) -> Config:
    """Decorator of a configuration: its old fields work as arguments and attributes, and warn."""
    moved = OLD_FIELDS[cls.__name__]
    init = cls.__init__  # type: ignore[misc]

    @functools.wraps(init)
    def __init__(self: Any, *arguments: Any, **values: Any) -> None:
        if not moved.keys().isdisjoint(values):
            for name in moved.keys() & values.keys():
                warn_deprecated(f"{cls.__name__}({name}=…)", str(moved[name]))
            values = translated(cls, values)
        init(self, *arguments, **values)

    cls.__init__ = __init__  # type: ignore[misc]
    for name in moved:
        setattr(cls, name, _property(cls, name, moved[name]))
    return cls


def _property(cls: type, name: str, moved: _Moved) -> property:
    def value(self: Any) -> Any:
        successor = f"{cls.__name__}.options({moved.axis!r}).{moved.option}"
        warn_deprecated(f"{cls.__name__}.{name}", successor)
        used = getattr(self, moved.axis) == moved.part
        options = self.options(moved.axis) if used else None
        return getattr(options or _REGISTRIES[moved.axis].get(moved.part).Options(), moved.option)

    return property(value, doc=f"Deprecated: {moved}.")
