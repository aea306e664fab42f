"""`GraftedEmbedding`: a patch embedding with a wavelet branch, under its own class and names."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Proxy

from wavevit.checks import check_image, fail
from wavevit.grafting.branch import GraftBranch
from wavevit.grafting.embedding import patch_convolution, patch_of
from wavevit.layers import Part

__all__ = ["GraftedEmbedding", "add_branch", "find_grafted", "remove_branch"]

_LAYOUTS = ("NCHW", "NHWC", "NCL", "NLC")


class GraftedEmbedding(nn.Module):
    """A patch embedding of any class whose tokens have a wavelet branch added.

    `wavevit.graft` gives the patch embedding of a model a class that inherits from this class and
    from the embedding's own (as `torch.nn.utils.parametrize` does). So it has all attributes and
    methods that it had (``grid_size``, ``proj``, ``set_input_size``, …), its parameters keep their
    names, and one module is added: ``graft``.

    Attributes:
        graft: the branch; its parameters are the only names that are added to a state dict.
    """

    graft: GraftBranch
    ungrafted_class: type[nn.Module]

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Images (B, C, H, W) to the tokens of the original class plus those of the branch."""
        traced = isinstance(x, Proxy)
        if not traced:
            check_image(x, channels=self.graft.in_chans)
        found = super().forward(self.graft.low_pass(x), *args, **kwargs)
        tokens = found[0] if isinstance(found, tuple) else found
        added = self.graft(x, patch_of(self), _pads(self))
        tokens = tokens + _laid_out(added, tokens, self).to(tokens.dtype)
        return (tokens, *found[1:]) if isinstance(found, tuple) else tokens

    def __reduce_ex__(self, protocol: Any) -> Any:
        # The class is made when it is needed: a pickle names the class that it is made from.
        _, _, *rest = super().__reduce_ex__(max(protocol, 2))
        return (_new, (self.ungrafted_class,), *rest)


class _GraftedTokenizer(GraftedEmbedding):
    """A grafted tokenizer of a backbone of wavevit: what a layer declares, with the branch."""

    unbounded = "has a wavelet branch beside its patches, and no rule for both"

    def simplified(self) -> None:
        """None: `wavevit.grafting.merge` removes a linear branch."""
        return None

    def linear_part(self, x: Tensor) -> Tensor:
        """Tokens of the patches, and what the branch computes before its first non-linear step."""
        branch = self.graft
        own: Tensor = super().linear_part(branch.low_pass(x))  # type: ignore[misc]
        return torch.cat([own, branch.tokenizer.linear_part(branch.pixels(x, patch_of(self)))], 1)


def _pads(module: nn.Module) -> bool:
    """Whether an embedding completes the last patches of an image (timm; transformers' Swin)."""
    return bool(getattr(module, "dynamic_img_pad", False)) or hasattr(module, "maybe_pad")


def _laid_out(added: Tensor, tokens: Tensor, module: nn.Module) -> Tensor:
    """The branch's (B, h, w, D) in the layout of the tokens that it is added to."""
    layout = _layout(tokens, module)
    if layout == "NHWC":
        return added
    if layout == "NCHW":
        return added.permute(0, 3, 1, 2)
    added = added.flatten(1, 2)
    return added.transpose(1, 2) if layout == "NCL" else added


def _layout(tokens: Tensor, module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d):
        return "NCHW"
    if isinstance(module, Part):
        return "NHWC"
    if getattr(module, "flatten", False) is True:  # timm
        return "NLC"
    declared = getattr(module, "output_fmt", None)  # timm
    name = getattr(declared, "value", declared)
    if name in _LAYOUTS:
        return str(name)
    if isinstance(tokens, Proxy) or tokens.ndim == 3:
        return "NLC"
    conv = patch_convolution(module)
    assert conv is not None
    return "NCHW" if tokens.shape[1] == conv.out_channels else "NHWC"


@functools.cache
def _grafted_class(cls: type[nn.Module]) -> type[nn.Module]:
    base = _GraftedTokenizer if issubclass(cls, Part) else GraftedEmbedding
    facts = {"ungrafted_class": cls, "__doc__": GraftedEmbedding.__doc__}
    return type(f"Grafted{cls.__name__}", (base, cls), facts)


def _new(cls: type[nn.Module]) -> nn.Module:
    """An empty instance of the grafted class, as pickle and copy make one."""
    grafted = _grafted_class(cls)
    return grafted.__new__(grafted)


def add_branch(embedding: nn.Module, branch: GraftBranch) -> None:
    """Makes a patch embedding a `GraftedEmbedding`, in place."""
    embedding.__class__ = _grafted_class(type(embedding))
    embedding.add_module("graft", branch)


def remove_branch(embedding: GraftedEmbedding) -> None:
    """Gives a grafted embedding its own class back, in place; its parameters stay as they are."""
    del embedding.graft
    embedding.__class__ = embedding.ungrafted_class


def find_grafted(model: nn.Module, argument: str = "grafted") -> tuple[str, GraftedEmbedding]:
    """The grafted patch embedding of a model, and its name.

    Raises:
        ValueError: a model without a graft.
    """
    for name, module in model.named_modules():
        if isinstance(module, GraftedEmbedding):
            return name, module
    fail(argument, "a model of wavevit.graft", f"{type(model).__name__} without a graft")
