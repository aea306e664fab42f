"""`graft`: add a wavelet branch to the patch embedding of a model; `ungraft` removes it."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from torch import nn

from wavevit.checks import check_bool, fail
from wavevit.grafting.branch import GraftBranch
from wavevit.grafting.embedding import find_embedding, patch_convolution, training_grid
from wavevit.grafting.grafted import GraftedEmbedding, add_branch, find_grafted, remove_branch
from wavevit.grafting.options import GraftOptions
from wavevit.layers import Symmetry

__all__ = ["branch_parameters", "graft", "ungraft"]

Model = TypeVar("Model", bound=nn.Module)


def graft(
    model: Model, tokenizer: str = "dtcwt", *, inplace: bool = False, **options: Any
) -> Model:
    """Adds a wavelet branch beside the patch embedding of a pretrained model.

    The branch is a wavelet tokenizer at the stride of the patch embedding and a linear map, whose
    output is added to the tokens before class tokens and positions. The map starts at zero, so the
    output does not change until the branch is trained. The model keeps its class, its methods and
    the names of its parameters; those of the branch are ``<patch embedding>.graft.*``. The
    tokenizer's weights are drawn from torch's random state.

    Args:
        model: of timm (`patch_embed`), transformers (ViT, DINOv2, CLIP, …), open_clip, torchvision
            or wavevit; with a patch embedding whose kernel is its stride.
        tokenizer: a name of `wavevit.layers.TOKENIZERS`, also your own: ``"dtcwt"``, ``"swt"``,
            ``"scattering"``, ``"dwt"``, …
        inplace: change the model itself, not a copy.
        **options: fields of `GraftOptions`: ``lowpass=``, ``width=``, ``padding=``, …

    Returns:
        The grafted copy, or the model itself with `inplace`.

    Raises:
        ValueError: a model without patch embedding, with several or with an overlapping stem; a
            model with a graft; an unknown tokenizer or option.

    Guarantees:
        At the start the output is the original's to 1e-6 (float64: 1e-12), and the gradient of the
        branch is not zero; a circular shift by the patch moves the branch's tokens by one, with
        ``padding="circular"`` (tests/properties/test_graft_laws.py). *Not* guaranteed: that the
        model reacts less to shifts. It learns that from data.

    Example:
        >>> import torch
        >>> import wavevit
        >>> model = wavevit.create_model("test_vit").eval()
        >>> grafted = wavevit.graft(model, "dtcwt")
        >>> images = torch.randn(1, 3, 32, 32)
        >>> torch.equal(grafted(images), model(images))
        True
    """
    check_bool("inplace", inplace)
    for name, module in model.named_modules() if isinstance(model, nn.Module) else ():
        if isinstance(module, GraftedEmbedding):
            fail("model", "a model without a graft (wavevit.ungraft removes one)", f"one at {name}")
    name, embedding = find_embedding(model)
    if hasattr(embedding, "graft"):
        fail(name, "a patch embedding without an attribute 'graft'", type(embedding).__name__)
    if not inplace:
        model = copy.deepcopy(model)
        embedding = model.get_submodule(name)
    conv = patch_convolution(embedding)
    assert conv is not None  # `find_embedding` has checked it
    patch = (conv.stride[0], conv.stride[1])
    kept = _kept_shifts(model, name)
    if kept is not None:
        options = {"padding": "circular", **options}
    chosen = GraftOptions.of({"tokenizer": tokenizer, **options})
    grid = training_grid(embedding, patch)
    branch = GraftBranch(conv.in_channels, conv.out_channels, patch, grid, chosen)
    if kept is not None and kept % (branch.kept_period(patch[0]) or kept + 1):
        expected = f"a branch that keeps circular shifts by {kept} px, as the model does"
        fail("padding", f"{expected} (padding='circular')", f"{chosen.padding!r}, {tokenizer!r}")
    branch.to(device=conv.weight.device, dtype=conv.weight.dtype).train(embedding.training)
    add_branch(embedding, branch)
    return model


def _kept_shifts(model: nn.Module, name: str) -> int | None:
    """Shift period in pixels that a backbone of wavevit around its tokenizer declares exact."""
    while name:
        name = name.rpartition(".")[0]
        symmetry = getattr(model.get_submodule(name), "symmetry", None)
        if isinstance(symmetry, Symmetry):
            return symmetry.lockable_period
    return None


def ungraft(grafted: Model, *, inplace: bool = False) -> Model:
    """Removes the branch of `wavevit.graft` from a model.

    Args:
        grafted: a model of `wavevit.graft`.
        inplace: change the model itself, not a copy.

    Returns:
        A model of the original's classes. All its parameters are those of `grafted`: bit for bit
        the original's, unless they were trained.

    Raises:
        ValueError: a model without a graft.
    """
    check_bool("inplace", inplace)
    name, embedding = find_grafted(grafted)
    if not inplace:
        grafted = copy.deepcopy(grafted)
        found = grafted.get_submodule(name)
        assert isinstance(found, GraftedEmbedding)
        embedding = found
    remove_branch(embedding)
    return grafted


def branch_parameters(grafted: nn.Module) -> list[nn.Parameter]:
    """The parameters that `wavevit.graft` added to a model, and no others.

    Raises:
        ValueError: a model without a graft.
    """
    return list(find_grafted(grafted)[1].graft.parameters())
