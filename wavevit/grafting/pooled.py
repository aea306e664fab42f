"""Pooled features: one vector for each image, from any model."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from wavevit.checks import fail

__all__ = ["pooled_features"]


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
    found: Any
    verbs: Any = model
    if hasattr(model, "forward_features") and hasattr(model, "forward_head"):
        found = verbs.forward_head(verbs.forward_features(images), pre_logits=True)
    else:
        prefix = getattr(model, "base_model_prefix", "")
        base: Any = getattr(model, prefix, model) if prefix else model
        found = base(images)
        hidden = getattr(found, "last_hidden_state", None)
        if hidden is not None:
            embeddings = getattr(base, "embeddings", None)
            found = hidden[:, 0] if hasattr(embeddings, "cls_token") else hidden.mean(dim=1)
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(images):
        got = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        expected = "one vector for each image (pass features=, a function of model and images)"
        fail("model", expected, got)
    return found
