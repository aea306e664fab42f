"""The law of each task is in the contract: a task of a user's class that breaks it fails."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wavevit
from wavevit.tasks import (
    TASKS,
    Autoregressive,
    Captioning,
    Contrastive,
    Detection,
    Diffusion,
    Masked,
    Segmentation,
    Task,
    create_task,
    list_tasks,
)
from wavevit.testing import TASK_LAWS, assert_task_contract

# Retrieval and classification have the checks of every task alone.
WITHOUT = {"classification", "retrieval"}


def test_every_other_task_has_a_law() -> None:
    assert {TASKS.get(name) for name in list_tasks() if name not in WITHOUT} == set(TASK_LAWS)


class HiddenLater(Masked):
    """Hides nothing before the tokenizer."""

    def hide(self, images: Tensor, mask: Tensor) -> Tensor:
        return images


class ReadsAll(Autoregressive):
    """Its context has the mean of the whole image."""

    def __init__(self, backbone: Any, options: Any) -> None:
        super().__init__(backbone, options)
        order, context = self.order, self.order.context
        order.context = lambda backbone, x: context(backbone, x) + x.mean()


class Begun(Diffusion):
    """Does not start at 0."""

    def __init__(self, backbone: Any, options: Any) -> None:
        super().__init__(backbone, options)
        for parameter in self.output.parameters():
            nn.init.constant_(parameter, 0.1)


class Placed(Contrastive):
    """Similarities that depend on the place in the batch."""

    def similarities(self, images: Tensor, texts: Tensor) -> Tensor:
        return super().similarities(images, texts) + torch.arange(len(texts))


class LooksAhead(Captioning):
    """A decoder that sees later tokens."""

    def __init__(self, backbone: Any, options: Any) -> None:
        super().__init__(backbone, options)
        self.decoder.causal = False


class Short(Detection):
    """The last column of each map is lost."""

    def levels(self, images: Tensor) -> list[Tensor]:
        return [level[..., :-1] for level in super().levels(images)]


class Cut(Segmentation):
    """Answers for whole cells only."""

    def logits(self, images: Tensor) -> Tensor:
        found = super().logits(images)
        return found[..., : found.shape[-2] // 4 * 4, : found.shape[-1] // 4 * 4]


BROKEN: dict[type[Task], str] = {
    HiddenLater: "reads hidden pixels",
    ReadsAll: "drawn with .* scored",
    Begun: "prediction up to",
    Placed: "similarities differ after a permutation",
    LooksAhead: "image tokens depend on the text",
    Short: "maps of .* cells at strides",
    Cut: "logits of shape",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_negative_control_task_of_a_user_that_breaks_its_law(kind: type[Task]) -> None:
    def build() -> Task:
        # Wavelets that overlap see hidden pixels; patches do not.
        name = "test_dtcwt_vit" if kind is HiddenLater else "test_vit"
        backbone = wavevit.create_model(name, num_classes=4, img_size=32, in_chans=1)
        return kind(backbone, kind.Options())

    with pytest.raises(AssertionError, match=f"law: .*{BROKEN[kind]}"):
        assert_task_contract(build, checks=["law"])


@pytest.mark.parametrize("padding", ["circular", "zeros"])
@pytest.mark.parametrize("name", ["segmentation", "detection"])
def test_circular_heads_follow_the_image(name: str, padding: str) -> None:
    """A negative control: a convolution of the head, or of the backbone, that pads with zeros."""

    def build() -> Task:
        options: dict[str, Any] = {"circular": True}
        if name == "detection":
            options["strides"] = (4, 8, 16)
        changes = {"num_classes": 3, "img_size": 32, "in_chans": 1}
        task = create_task(name, "test_haar_pyramid", options, **changes)
        assert task.backbone.symmetry.lockable_period == 16
        if isinstance(task, Detection):
            for convolution in task.pyramid.smooth:
                convolution.border = padding
        elif padding == "zeros":
            task.classify = nn.Conv2d(task.classify.in_channels, 3, 3, padding=1)
        return task

    if padding == "circular":
        assert_task_contract(build, checks=["law"])
    else:
        with pytest.raises(AssertionError, match="do not follow a shift by 16 px"):
            assert_task_contract(build, checks=["law"])
