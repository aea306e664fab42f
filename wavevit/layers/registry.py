"""Registries of layers: the class for each name in a configuration.

A layer is one class in one file. It registers its name with a decorator, and then works everywhere
a configuration is read: `wavevit.create_model`, checkpoints, the audit, studies, contract tests.
Importing `wavevit.layers` registers the layers of this package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from torch import nn

from wavevit.checks import fail, nearest
from wavevit.layers.options import NoOptions, PartOptions, check_options_class, read_options
from wavevit.layers.symmetry import Part
from wavevit.plugins import fail_taken, origin_of

__all__ = [
    "ACTIVATIONS",
    "DOWNSAMPLES",
    "MIXERS",
    "MLPS",
    "NORMS",
    "POSITIONS",
    "TOKENIZERS",
    "NotRegistered",
    "Registry",
    "register_activation",
    "register_downsample",
    "register_mixer",
    "register_mlp",
    "register_norm",
    "register_position",
    "register_tokenizer",
]

Base = TypeVar("Base", bound=nn.Module)
Registered = TypeVar("Registered", bound=type)


class NotRegistered(ValueError):
    """Error: a configuration names a layer that is not registered in this process."""


class Registry(Generic[Base]):
    """Registry of the classes of one kind of layer by name.

    Args:
        kind: kind of layer, such as ``"tokenizer"``; the decorator's name is ``register_KIND``.
        base: base class of every class.
        without: values that mean no layer, such as ``"none"``.

    Example:
        >>> TOKENIZERS.get("patch").__name__
        'PatchTokenizer'
        >>> "dtcwt" in TOKENIZERS
        True
    """

    def __init__(self, kind: str, base: type[Base], without: tuple[str, ...] = ()) -> None:
        self.kind, self.base, self.without = kind, base, without
        self._classes: dict[str, type[Base]] = {}
        self._origins: dict[str, tuple[str, str]] = {}

    def register(self, name: str) -> Callable[[Registered], Registered]:
        """Decorator: registers a class under a name for configurations.

        A file that runs twice (a notebook cell, a reloaded module) replaces its own
        class, but no class of another file.

        Raises:
            ValueError: a name that is taken or not a string, a class of another kind, or a class
                with `Options` that a configuration cannot contain.
        """
        if not isinstance(name, str) or not name:
            fail("name", f"a name for a {self.kind}, such as @register_{self.kind}('mine')", name)

        def add(cls: Registered) -> Registered:
            self._check_class(name, cls)
            origin = origin_of(cls)
            if name in self.without or self._origins.get(name, origin) != origin:
                other = self._classes.get(name)
                owner = f"{other.__module__}.{other.__qualname__}" if other else "no layer"
                fail_taken("name", name, owner, f"{cls.__module__}.{cls.__qualname__}")
            self._classes[name], self._origins[name] = cls, origin
            return cls

        return add

    def _check_class(self, name: str, cls: Any) -> None:
        if not isinstance(cls, type) or not issubclass(cls, self.base):
            expected = f"a class that inherits from {self.base.__module__}.{self.base.__qualname__}"
            fail(f"{self.kind} {name!r}", expected, repr(cls))
        # The function behind each classmethod: the base class's own only raises.
        owners = (cls, Part)
        build, abstract = (getattr(getattr(c, "build", None), "__func__", None) for c in owners)
        if build in (None, abstract):
            fail(f"{self.kind} {name!r}", "a class with a classmethod build", cls.__qualname__)
        check_options_class(cls.__qualname__, getattr(cls, "Options", NoOptions))

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def names(self) -> tuple[str, ...]:
        """Registered names, sorted."""
        return tuple(sorted(self._classes))

    def values(self) -> tuple[str, ...]:
        """All allowed values: those that mean no layer, then the registered names."""
        return self.without + self.names()

    def check(self, argument: str, name: str) -> str:
        """Returns `name` if it is an allowed value.

        Raises:
            NotRegistered: another name; the message lists the nearest and says how to register.
        """
        if isinstance(name, str) and (name in self.without or name in self._classes):
            return name
        values = self.values()
        close = nearest(name, values)
        hint = f" (nearest: {', '.join(close)})" if close else ""
        raise NotRegistered(
            f"{argument}: expected one of {', '.join(map(repr, values))}{hint}, got {name!r}; "
            f"{self.kind} {name!r} is not registered: import the file that registers it "
            f"(register_{self.kind}({name!r})) first"
        )

    def get(self, name: str) -> type[Base]:
        """The class of that name.

        Raises:
            NotRegistered: an unknown name, or a value that means no layer.
        """
        if not isinstance(name, str) or name not in self._classes:
            self.check(self.kind, name)
            raise NotRegistered(f"{self.kind}: expected the name of a layer, got {name!r}")
        return self._classes[name]

    def options(self, argument: str, name: str, value: Any) -> PartOptions:
        """Options of the layer `name` from an instance, a mapping, or None for its defaults.

        Raises:
            ValueError: the options of another part, an unknown field or a bad value.
        """
        known = NoOptions if name in self.without else getattr(self.get(name), "Options", NoOptions)
        if isinstance(value, PartOptions) and type(value) is not known:
            expected = f"None or {known.__qualname__}, the options of {self.kind} {name!r}"
            fail(argument, expected, f"{value!r}{self._whose(type(value), argument)}")
        return read_options(argument, f"{self.kind} {name!r}", known, value)

    def _whose(self, options: type[PartOptions], argument: str) -> str:
        """In words, where options come from that another part was given."""
        classes = self._classes.items()
        owners = sorted(name for name, cls in classes if vars(cls).get("Options") is options)
        if not owners:
            return ""
        of = " and ".join(map(repr, owners))
        return (
            f", the options of {self.kind} {of}. dataclasses.replace keeps them: with another "
            f"{self.kind}, also give {argument}=None (its defaults) or its own options"
        )


TOKENIZERS: Registry[Part] = Registry("tokenizer", Part)
MIXERS: Registry[Part] = Registry("mixer", Part)
DOWNSAMPLES: Registry[Part] = Registry("downsample", Part, without=("none",))
POSITIONS: Registry[Part] = Registry("position", Part)
MLPS: Registry[Part] = Registry("mlp", Part)
ACTIVATIONS: Registry[Part] = Registry("activation", Part)
NORMS: Registry[nn.Module] = Registry("norm", nn.Module)


def register_tokenizer(name: str) -> Callable[[Registered], Registered]:
    """Decorator: a class from images (B, C, H, W) to tokens (B, h, w, D); see `Registry.register`.

    Example:
        >>> from torch import nn
        >>> from wavevit.layers import Part, Symmetry
        >>> @register_tokenizer("example_blocks")
        ... class Blocks(Part):
        ...     def __init__(self, channels, dim, patch):
        ...         super().__init__()
        ...         self.proj = nn.Conv2d(channels, dim, patch, stride=patch)
        ...         self.symmetry = Symmetry(patch)
        ...
        ...     @classmethod
        ...     def build(cls, context, options):
        ...         return cls(context.in_chans, context.dim, context.patch_size)
        ...
        ...     def forward(self, x):
        ...         return self.proj(x).permute(0, 2, 3, 1)
        >>> import wavevit
        >>> wavevit.create_model("test_vit", tokenizer="example_blocks").config.tokenizer
        'example_blocks'
    """
    return TOKENIZERS.register(name)


def register_mixer(name: str) -> Callable[[Registered], Registered]:
    """Decorator: a class from tokens (B, N, D) and their grid (h, w) to tokens (B, N, D)."""
    return MIXERS.register(name)


def register_downsample(name: str) -> Callable[[Registered], Registered]:
    """Decorator: a class from tokens and grid to tokens and grid of half the sides, rounded up."""
    return DOWNSAMPLES.register(name)


def register_position(name: str) -> Callable[[Registered], Registered]:
    """Decorator: a class from tokens (B, T + h·w, D) and their grid to the same shape."""
    return POSITIONS.register(name)


def register_mlp(name: str) -> Callable[[Registered], Registered]:
    """Decorator: a class from tokens (B, N, D) and their grid to the same, for each token."""
    return MLPS.register(name)


def register_activation(name: str) -> Callable[[Registered], Registered]:
    """Decorator: a `wavevit.layers.activations.Activation`."""
    return ACTIVATIONS.register(name)


def register_norm(name: str) -> Callable[[Registered], Registered]:
    """Decorator: a class with `symmetry` whose ``build(dim, eps)`` is a norm of tokens."""
    return NORMS.register(name)
