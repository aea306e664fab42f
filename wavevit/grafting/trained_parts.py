"""Which parameters a distillation trains."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from wavevit.checks import check_at_least, check_choice, fail
from wavevit.grafting.blocks import first_blocks
from wavevit.grafting.embedding import find_embedding
from wavevit.grafting.grafted import GraftedEmbedding

__all__ = ["TRAINED", "Chosen", "choose_parameters", "patch_size"]

TRAINED = ("branch", "embedding", "blocks")


@dataclass(frozen=True)
class Chosen:
    """Parameters that are trained.

    Attributes:
        parameters: by name in the model, each once.
        added: those that a graft added.
        own: the model's own.
    """

    parameters: dict[str, nn.Parameter]
    added: tuple[nn.Parameter, ...]
    own: tuple[nn.Parameter, ...]


def choose_parameters(model: nn.Module, train: str, blocks: int) -> Chosen:
    """The parameters that ``train`` names.

    Args:
        model: the student.
        train: ``"all"``, or some of `TRAINED` joined by ``+``.
        blocks: number of first blocks that ``"blocks"`` means.

    Raises:
        ValueError: an unknown name, ``"branch"`` of a model without a graft, or nothing to train.
    """
    parts = [part.strip() for part in train.split("+")] if isinstance(train, str) else [train]
    for part in parts:
        check_choice("train", part, (*TRAINED, "all"))
    grafted = [one for one in model.modules() if isinstance(one, GraftedEmbedding)]
    added = {parameter for one in grafted for parameter in one.graft.parameters()}
    wanted: set[nn.Parameter] = set()
    for part in parts:
        match part:
            case "all":
                wanted |= set(model.parameters())
            case "branch":
                if not added:
                    expected = "'embedding', 'blocks' or 'all' for a model without a graft"
                    fail("train", expected, repr(train))
                wanted |= added
            case "embedding":
                wanted |= set(find_embedding(model)[1].parameters()) - added
            case "blocks":
                for block in first_blocks(model, check_at_least("blocks", blocks, 1)):
                    wanted |= set(block.parameters())
    # A parameter of two modules has one name here; the model's order makes runs repeatable.
    named = {name: one for name, one in model.named_parameters() if one in wanted}
    if not named:
        fail("train", "parts of the model that have parameters", repr(train))
    every = tuple(named.values())
    return Chosen(
        named,
        tuple(one for one in every if one in added),
        tuple(one for one in every if one not in added),
    )


def patch_size(model: nn.Module) -> int:
    """Side of a model's patches in pixels, the longer one.

    Raises:
        ValueError: a model without a patch embedding.
    """
    try:
        _, embedding = find_embedding(model)
    except ValueError as error:
        fail("span", f"a number of pixels (by default the patch size; {error})", None)
    strides = [
        max(module.stride)
        for name, module in embedding.named_modules()
        if isinstance(module, nn.Conv2d) and not name.startswith("graft.")
    ]
    return max(strides)
