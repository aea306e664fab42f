"""`first_blocks`: the first transformer blocks of a model."""

from __future__ import annotations

from torch import nn

from wavevit.checks import check_at_least, fail
from wavevit.grafting.embedding import find_embedding

__all__ = ["first_blocks"]

# Names of lists of blocks: timm and wavevit; open_clip; transformers; transformers and torchvision.
_NAMES = ("blocks", "resblocks", "layer", "layers")


def first_blocks(model: nn.Module, count: int) -> list[nn.Module]:
    """The first transformer blocks of a model, in their order.

    They are searched near the patch embedding: of a model for images and text, the blocks for
    images.

    Args:
        model: one that `wavevit.graft` takes, grafted or not.
        count: number of blocks, at least 0.

    Raises:
        ValueError: no list of blocks, or fewer than `count`.
    """
    check_at_least("count", count, 0)
    parent, _ = find_embedding(model)
    found: list[nn.Module] = []
    while parent and not found:
        parent = parent.rpartition(".")[0]
        found = _blocks(model.get_submodule(parent))
    if len(found) < count:
        searched = f"a model with {count} blocks or more (lists named {', '.join(_NAMES)})"
        fail("count", searched, f"{count}; {type(model).__name__} has {len(found)}")
    return found[:count]


def _blocks(model: nn.Module) -> list[nn.Module]:
    lists = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList | nn.Sequential)
    ]
    for wanted in _NAMES:
        found = [module for name, module in lists if name.rpartition(".")[2] == wanted]
        if found:
            return [block for module in found for block in module]
    return []
