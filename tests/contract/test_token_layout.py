"""Tokens become a map only where one is asked for: a convolution, a stage's feature, an output."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import wavevit
from wavevit import Backbone

IMAGES = torch.zeros(2, 3, 32, 32)
COPIES = ("aten::clone", "aten::copy_", "aten::_to_copy", "aten::_reshape_copy", "aten::cat")


@dataclasses.dataclass(frozen=True)
class Call:
    """One operation of torch and the shape of what it returned."""

    name: str
    shape: tuple[int, ...]


class Calls(TorchDispatchMode):
    """Records operations that return one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Call] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if isinstance(output, Tensor):
            self.found.append(Call(func.name().partition(".")[0], tuple(output.shape)))
        return output


def calls(function: Callable[[], object]) -> list[Call]:
    with torch.no_grad(), Calls() as recorded:
        function()
    return recorded.found


def maps_after_the_first_tokens(model: Backbone, function: Callable[[], object]) -> list[Call]:
    """Maps (B, D, h, w) or (B, h, w, D) of the token grid, behind the tokenizer."""
    grid = model.config.grid(model.config.patch_size)
    behind = len(calls(lambda: model.tokenize(IMAGES)))
    dim = model.num_features
    shapes = {(len(IMAGES), dim, *grid), (len(IMAGES), *grid, dim)}
    return [call for call in calls(function)[behind:] if call.shape in shapes]


def model_of(name: str, **changes: object) -> Backbone:
    torch.manual_seed(0)
    return wavevit.create_model(name, img_size=32, num_classes=5, **changes).eval()


@pytest.mark.parametrize("name", ["test_vit", "test_dtcwt_vit", "test_haar_vit"])
def test_a_columnar_model_makes_no_map_of_its_tokens(name: str) -> None:
    model = model_of(name)
    for function in (
        lambda: model(IMAGES),
        lambda: model.forward_features(IMAGES),
        lambda: model.get_intermediate_layers(IMAGES, n=2),
        lambda: model.forward_intermediates(IMAGES, output_fmt="NLC", norm=True),
    ):
        assert not maps_after_the_first_tokens(model, function)


def test_a_map_is_made_where_one_is_asked_for() -> None:
    """Negative control: the count sees maps, and an alignment moves tokens as one."""
    model, aligned = model_of("test_vit"), model_of("test_vit", alignment="phase_lock")
    for own, function in (
        (model, lambda: model.forward_intermediates(IMAGES, intermediates_only=True)),
        (aligned, lambda: aligned.forward_features(IMAGES)),
    ):
        assert maps_after_the_first_tokens(own, function)


def copies(found: list[Call]) -> list[Call]:
    """Copies of whole sequences or maps."""
    return [call for call in found if call.name in COPIES and call.shape[0] == len(IMAGES)]


def test_a_columnar_model_copies_its_tokens_twice() -> None:
    """From the convolution's planes to tokens, and to put the class token in front."""
    model = model_of("test_vit")
    dim, count = model.num_features, 1 + IMAGES.shape[-1] ** 2 // model.config.patch_size**2
    found = copies(calls(lambda: model(IMAGES)))
    first, second = (2, count - 1, dim), (2, count, dim)
    assert found == [Call("aten::clone", first), Call("aten::cat", second)]


class Nothing(nn.Module):
    """A mixer or MLP whose branch is zero."""

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        return torch.zeros_like(x)


def copies_between_blocks(position: str) -> list[Call]:
    """Of a pyramid without injected details, which are planes of the image."""
    model = model_of("test_haar_pyramid", position=position)
    for stage in model.stages:
        stage.inject = None
        for block in stage.blocks:
            block.mixer, block.mlp = Nothing(), Nothing()
    first = len(copies(calls(lambda: model.tokenize(IMAGES))))
    return copies(calls(lambda: model(IMAGES)))[first:]


def test_stages_hand_maps_on_without_a_copy() -> None:
    assert not copies_between_blocks("none")


def test_a_copy_between_stages_is_seen() -> None:
    """Negative control: the border of a circular convolution is put around the map by copies."""
    assert {call.name for call in copies_between_blocks("conv")} == {"aten::cat"}
