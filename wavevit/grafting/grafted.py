"""`GraftedEmbedding`: a patch embedding with a wavelet branch, under its own class and names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Proxy

from wavevit.checks import check_image, fail
from wavevit.grafting.branch import GraftBranch
from wavevit.grafting.embedding import convolution_name
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
        if not isinstance(x, Proxy):
            check_image(x, channels=self.graft.in_chans)
        found = super().forward(self.graft.low_pass(x), *args, **kwargs)
        tokens = found[0] if isinstance(found, tuple) else found
        added = self.graft(x, self._patch, _pads(self))
        tokens = tokens + self._laid_out(added, tokens).to(tokens.dtype)
        return (tokens, *found[1:]) if isinstance(found, tuple) else tokens

    @property
    def convolution(self) -> nn.Conv2d:
        """The convolution of the patches; its stride is the patch."""
        found = getattr(self, self.graft.beside) if self.graft.beside else self
        assert isinstance(found, nn.Conv2d)
        return found

    @property
    def _patch(self) -> tuple[int, int]:
        rows, columns = self.convolution.stride
        return rows, columns

    def _laid_out(self, added: Tensor, tokens: Tensor) -> Tensor:
        """The branch's (B, h, w, D) in the layout of the tokens that it is added to."""
        layout = self._layout(tokens)
        if layout == "NHWC":
            return added
        if layout == "NCHW":
            return added.permute(0, 3, 1, 2)
        added = added.flatten(1, 2)
        return added.transpose(1, 2) if layout == "NCL" else added

    def _layout(self, tokens: Tensor) -> str:
        if isinstance(self, nn.Conv2d):
            return "NCHW"
        if isinstance(self, Part):
            return "NHWC"
        if getattr(self, "flatten", False) is True:  # timm
            return "NLC"
        declared = getattr(self, "output_fmt", None)  # timm
        name = getattr(declared, "value", declared)
        if name in _LAYOUTS:
            return str(name)
        if isinstance(tokens, Proxy) or tokens.ndim == 3:
            return "NLC"
        return "NCHW" if tokens.shape[1] == self.convolution.out_channels else "NHWC"

    def __reduce_ex__(self, protocol: Any) -> Any:
        # The class is made when it is needed: a pickle names the class that it is made from.
        reduced = super().__reduce_ex__(max(protocol, 2))
        assert isinstance(reduced, tuple)
        return (_new, (self.ungrafted_class,), *reduced[2:])


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
        return torch.cat([own, branch.tokenizer.linear_part(branch.pixels(x, self._patch))], 1)


def _pads(module: nn.Module) -> bool:
    """Whether an embedding completes the last patches of an image (timm; transformers' Swin)."""
    return bool(getattr(module, "dynamic_img_pad", False)) or hasattr(module, "maybe_pad")


_CLASSES: dict[type[nn.Module], type[GraftedEmbedding]] = {}  # by the class that was grafted


def _grafted_class(cls: type[nn.Module]) -> type[GraftedEmbedding]:
    if cls not in _CLASSES:
        base = _GraftedTokenizer if issubclass(cls, Part) else GraftedEmbedding
        facts = {"ungrafted_class": cls, "__doc__": GraftedEmbedding.__doc__}
        _CLASSES[cls] = type(f"Grafted{cls.__name__}", (base, cls), facts)
    return _CLASSES[cls]


def _new(cls: type[nn.Module]) -> nn.Module:
    """An empty instance of the grafted class, as pickle and copy make one."""
    grafted = _grafted_class(cls)
    return grafted.__new__(grafted)


def _become(module: nn.Module, cls: type[nn.Module]) -> None:
    module.__class__ = cls


def add_branch(embedding: nn.Module, branch: GraftBranch) -> None:
    """Makes a patch embedding with one convolution a `GraftedEmbedding`, in place."""
    name = convolution_name(embedding)
    assert name is not None  # `find_embedding` has checked it
    branch.beside = name
    _become(embedding, _grafted_class(type(embedding)))
    embedding.add_module("graft", branch)


def remove_branch(embedding: GraftedEmbedding) -> None:
    """Gives a grafted embedding its own class back, in place; its parameters stay as they are."""
    del embedding.graft
    _become(embedding, embedding.ungrafted_class)


def find_grafted(model: nn.Module, argument: str = "grafted") -> tuple[str, GraftedEmbedding]:
    """The grafted patch embedding of a model, and its name.

    Raises:
        ValueError: a model without a graft.
    """
    for name, module in model.named_modules() if isinstance(model, nn.Module) else ():
        if isinstance(module, GraftedEmbedding):
            return name, module
    fail(argument, "a model of wavevit.graft", f"{type(model).__name__} without a graft")
