"""Views of any model: pooled features and a map of tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from wavevit.alignment import AlignedModel
from wavevit.alignment.blur import copy_sharing_weights
from wavevit.auditing.calling import Called
from wavevit.auditing.wrappers import inner_of, peel

__all__ = [
    "InputOf",
    "OnGrid",
    "Pooled",
    "has_verbs",
    "headless",
    "hidden_views",
    "of_transformers",
    "through",
    "token_map",
]


def through(model: Any, view: Callable[[Any], nn.Module | None]) -> nn.Module | None:
    """`view` of a model, of what is inside where the model is aligned: the alignment stays."""
    model = peel(model)[0]
    if not isinstance(model, AlignedModel):
        return view(model)
    inner = through(model.model, view)
    if inner is None:
        return None
    return AlignedModel(inner, model.alignment, model.period_source, model.blurred, model.layout)


def has_verbs(model: Any) -> bool:
    """Whether a model, or what is inside its alignment, has timm's verbs for features or tokens."""
    inner = inner_of(model)
    verbs = ("reset_classifier", "forward_intermediates")
    return any(callable(getattr(inner, verb, None)) for verb in verbs)


def of_transformers(model: Any) -> bool:
    """Whether this is a model of transformers, which need not be installed."""
    return any(
        kind.__name__ == "PreTrainedModel" and kind.__module__.startswith("transformers.")
        for kind in type(model).__mro__
    )


def headless(model: Any) -> nn.Module | None:
    """The model without its classifier: pooled features. None where it names no classifier."""
    if not callable(getattr(model, "reset_classifier", None)):
        return None
    bare: Any = copy_sharing_weights(model)
    bare.reset_classifier(0)
    return bare


class InputOf(nn.Module):
    """What a layer of a model gets: pooled features, where it is the classifier.

    Args:
        called: the model.
        layer: in it.
        call: which of the layer's calls in a run, from 0.
    """

    def __init__(self, called: Called, layer: nn.Linear, call: int = 0) -> None:
        super().__init__()
        self.called, self.call = called, call
        # The model's own, so that a copy of this view holds the layer of the copied model.
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """The layer's input at that call."""
        seen: list[Tensor] = []
        handle = self.layer.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        try:
            self.called(x)
        finally:
            handle.remove()
        return seen[self.call]


class Pooled(nn.Module):
    """The mean of a map (B, D, h, w) over its cells: (B, D)."""

    def __init__(self, model: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Images to means."""
        return self.model(x).mean(dim=(2, 3))


class _TokenMap(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        (features,) = self.model.forward_intermediates(
            x, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True
        )
        return features


def token_map(model: Any) -> nn.Module | None:
    """The last map (B, D, h, w) of a model with timm's `forward_intermediates`, normalised."""
    return _TokenMap(model) if callable(getattr(model, "forward_intermediates", None)) else None


class OnGrid(nn.Module):
    """A map (B, D, h, w) from tokens (B, N, D), class and register tokens left out.

    Args:
        model: images to tokens, or to a map.
        side: of the grid; 0 for a map.
        prefix: tokens before it.
    """

    def __init__(self, model: Callable[[Tensor], Tensor], side: int, prefix: int) -> None:
        super().__init__()
        self.model, self.side, self.prefix = model, side, prefix

    def forward(self, x: Tensor) -> Tensor:
        """Images to maps."""
        tokens = self.model(x)
        if not self.side:
            return tokens
        return tokens[:, self.prefix :].transpose(1, 2).unflatten(2, (self.side, self.side))


class _Hidden(nn.Module):
    """A hidden state of a model of transformers."""

    def __init__(self, called: Called, name: str) -> None:
        super().__init__()
        self.called, self.name = called, name

    def forward(self, x: Tensor) -> Tensor:
        found = getattr(self.called(x), self.name)
        return found if isinstance(found, Tensor) else found[-1]


def hidden_views(model: Any, called: Callable[..., Called]) -> list[tuple[nn.Module, str]]:
    """Views of transformers' hidden states, the best first, and their names.

    Args:
        model: of transformers, or anything else, which has none.
        called: makes a `Called` of a model and more keyword arguments.
    """
    if not of_transformers(model):
        return []
    base = getattr(model, "base_model", model)
    views: list[tuple[nn.Module, str]] = []
    if isinstance(base, nn.Module) and of_transformers(base):
        views.append((_Hidden(called(base), "last_hidden_state"), "last_hidden_state"))
    for name in ("reshaped_hidden_states", "hidden_states"):
        asked = called(model, output_hidden_states=True, return_dict=True)
        views.append((_Hidden(asked, name), f"{name}[-1]"))
    return views
