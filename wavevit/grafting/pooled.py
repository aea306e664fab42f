"""Features of any model: one vector for each image, and one for each token."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from wavevit.checks import check_callable, fail

__all__ = ["pooled_and_tokens", "pooled_features"]


def pooled_features(model: nn.Module, images: Tensor) -> Tensor:
    """The features of images that a model's head gets, (B, D).

    * timm's models and ours: ``forward_head(forward_features(x), pre_logits=True)``;
    * transformers' models: the class token of ``last_hidden_state``, or the mean of its tokens
      where the model has no class token; of a classifier, those of its base model;
    * other modules: the output, where it is (B, D).

    Args:
        model: a module.
        images: (B, C, H, W).

    Raises:
        ValueError: an output that is not one vector for each image.
    """
    return _checked(_features(model, images)[0], images)


def pooled_and_tokens(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """`pooled_features`, and what they are pooled from, in one pass.

    Args:
        model: a model of timm, transformers or wavevit.
        images: (B, C, H, W).

    Returns:
        (B, D), and the tokens in the model's own layout with B images first: (B, N, D) with class
        and register tokens, (B, h, w, D) or (B, D, h, w).

    Raises:
        ValueError: a model that does not give its tokens, or as `pooled_features`.
    """
    found, tokens = _features(model, images)
    if not isinstance(tokens, Tensor) or tokens.ndim < 3 or len(tokens) != len(images):
        expected = "a model that gives its tokens (forward_features or last_hidden_state)"
        fail("model", expected, type(model).__name__)
    return _checked(found, images), tokens


def _features(model: nn.Module, images: Tensor) -> tuple[Any, Any]:
    """Pooled features, and the tokens before them or None."""
    check_callable("model", model)
    verbs: Any = model
    if hasattr(model, "forward_features") and hasattr(model, "forward_head"):
        tokens = verbs.forward_features(images)
        return verbs.forward_head(tokens, pre_logits=True), tokens
    prefix = getattr(model, "base_model_prefix", "")
    base: Any = getattr(model, prefix, model) if prefix else model
    found: Any = base(images)
    hidden = getattr(found, "last_hidden_state", None)
    if hidden is None:
        return found, None
    return (hidden[:, 0] if _has_class_token(base) else hidden.mean(dim=1)), hidden


def _has_class_token(base: Any) -> bool:
    """Whether the first token of a model of transformers is a class token."""
    inner = getattr(base, "vision_model", base)  # of CLIP, in older versions
    embeddings = getattr(inner, "embeddings", None)
    return any(hasattr(embeddings, name) for name in ("cls_token", "class_embedding"))


def _checked(found: Any, images: Tensor) -> Tensor:
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(images):
        got = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        expected = "one vector for each image (pass features=, a function of model and images)"
        fail("model", expected, got)
    return found
