"""Laws of single tasks: what may depend on what, on the backbone and with the options at hand.

`TASK_LAWS` has the law of each task of wavevit by class; `assert_task_contract` checks it for a
task of that class, and of a class of yours that is derived from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.tasks import (
    Autoregressive,
    Captioning,
    Contrastive,
    Detection,
    Diffusion,
    Masked,
    Segmentation,
    Task,
)
from wavevit.tasks.patches import random_mask, to_pixels
from wavevit.tasks.text import BOS, encode_text
from wavevit.testing.subject import require

__all__ = ["TASK_LAWS"]

_COUNT = 3  # examples
_EXACT = 1e-9  # relative, in float64


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def _draw_weights(module: nn.Module) -> None:
    """Random weights everywhere: gates and heads of new models are small, and would hide a leak."""
    generator = _generator(1)
    for parameter in module.parameters():
        fan = parameter.shape[-1] if parameter.ndim else 1
        parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan**0.5)


def _apart(one: Tensor, two: Tensor) -> float:
    """Largest difference, relative to the size of the first."""
    size = float(one.detach().abs().max()) or 1.0
    return float((one - two).detach().abs().max()) / size


def masked(task: Masked) -> None:
    """The derivative of what the encoder gives by hidden pixels is 0."""
    task.double()
    images = task.dummy_images(_COUNT, _generator()).requires_grad_()
    mask = random_mask(_COUNT, task.grid(images), task.options.mask_ratio, _generator(1))
    found = task.encode(images, mask)
    weights = torch.randn(found.shape, generator=_generator(2), dtype=found.dtype)
    (slope,) = torch.autograd.grad((found * weights).sum(), images)
    hidden = to_pixels(mask, task.block).expand_as(slope)
    leak, seen = float(slope[hidden].abs().max()), float(slope[~hidden].abs().max())
    require(seen > 0, "the encoder does not read the visible pixels")
    require(leak == 0, f"the encoder reads hidden pixels (derivative {leak:.1e} beside {seen:.1e})")


@torch.no_grad()
def autoregressive(task: Autoregressive) -> None:
    """Scoring an image that was drawn gives the bits that were counted while drawing, which can
    depend on earlier values only."""
    task.double()
    _draw_weights(task)
    drawn = task.sample(2, _generator())
    scored = task.bits(drawn["images"])
    apart = _apart(drawn["bits"], scored)
    require(apart < _EXACT, f"drawn with {drawn['bits'].tolist()} bits, scored {scored.tolist()}")


@torch.no_grad()
def diffusion(task: Diffusion) -> None:
    """Before training the predicted image is 0, for every time and class."""
    noise = torch.randn(task.dummy_images(_COUNT).shape, generator=_generator())
    noise = noise.to(next(task.parameters()))
    for time in (0.0, 0.5, 0.9):
        classes = range(task.options.classes) if task.options.classes else (None,)
        for label in classes:
            labels = None if label is None else torch.full((_COUNT,), label)
            found = task.denoise(noise, noise.new_full((_COUNT,), time), labels)
            require(not found.any(), f"prediction up to {float(found.abs().max()):.1e} at t={time}")


@torch.no_grad()
def contrastive(task: Contrastive) -> None:
    """Permuting the batch permutes the similarities and leaves the loss."""
    task.double()
    batch, order = task.dummy_batch(_COUNT, _generator()), [2, 0, 1]
    moved = {
        name: value[order] if isinstance(value, Tensor) else [value[i] for i in order]
        for name, value in batch.items()
    }
    found = []
    for own in (batch, moved):
        answers = task.predict(own)
        found.append(task.similarities(answers["image_embeddings"], answers["text_embeddings"]))
    apart = _apart(found[0][order][:, order], found[1])
    require(apart < _EXACT, f"similarities differ after a permutation (relative {apart:.1e})")
    losses = [task.loss(own, _generator()).total for own in (batch, moved)]
    apart = _apart(*losses)
    require(apart < _EXACT, f"the loss differs after a permutation (relative {apart:.1e})")


@torch.no_grad()
def captioning(task: Captioning) -> None:
    """Image tokens do not depend on the text, and a token of the text not on later ones."""
    task.double()
    prefix = task.image_tokens(task.dummy_images(1, _generator()))
    length = min(task.options.context, 8)
    texts = encode_text(["a" * (length - 2), "b" * (length - 2)], task.options.context)
    texts = texts.to(prefix.device)
    texts[:, : length // 2] = texts[0, : length // 2]
    require(int(texts[0, 0]) == BOS, "texts do not begin with their first token")
    prefix = prefix.expand(2, -1, -1)
    image, text = task.decoder.run(task.decoder.embed(texts), prefix)
    apart = _apart(image[0], image[1])
    require(apart < _EXACT, f"image tokens depend on the text (relative {apart:.1e})")
    logits = task.logits(prefix, texts)
    for found in (text, logits):
        apart = _apart(found[0, : length // 2], found[1, : length // 2])
        require(apart < _EXACT, f"tokens depend on later ones (relative {apart:.1e})")
    require(_apart(text[0], text[1]) > _EXACT, "tokens do not depend on the text")


def _follows(
    task: Detection | Segmentation,
    strides: Sequence[int],
    maps: Callable[[Tensor], Sequence[Tensor]],
) -> None:
    """Answers of a circularly shifted image are the shifted answers, where the head is circular and
    the backbone declares such shifts.

    Args:
        task: under test.
        strides: of the maps in pixels.
        maps: of images (B, C, H, W), (B, …, h, w) each.
    """
    period = task.backbone.symmetry.lockable_period
    if not task.options.circular or period is None:
        return
    task.double()
    _draw_weights(task)
    shift = math.lcm(period, *strides, *(i["reduction"] for i in task.backbone.feature_info))
    shape = (1, task.backbone.in_chans, 2 * shift, 2 * shift)
    images = torch.randn(shape, generator=_generator(), dtype=torch.float64)
    moved = images.roll((shift, -shift), (-2, -1))
    for stride, still, found in zip(strides, maps(images), maps(moved), strict=True):
        steps = shift // stride
        apart = _apart(still.roll((steps, -steps), (-2, -1)), found)
        where = f"answers at stride {stride}"
        require(apart < _EXACT, f"{where} do not follow a shift by {shift} px ({apart:.1e})")


@torch.no_grad()
def detection(task: Detection) -> None:
    """The map of stride s has ⌈H/s⌉ x ⌈W/s⌉ cells with one answer each; with a circular head the
    answers follow the image (`_follows`)."""
    images = task.dummy_images(1, _generator())
    size, strides = images.shape[-2:], task.options.strides
    wanted = [tuple(-(-side // stride) for side in size) for stride in strides]
    shapes = [tuple(level.shape[-2:]) for level in task.levels(images)]
    require(shapes == wanted, f"maps of {shapes} cells at strides {list(strides)}, not {wanted}")
    cells = sum(rows * columns for rows, columns in wanted)
    found = task.answers(images)
    require(found.logits.shape[1] == cells, f"{found.logits.shape[1]} answers for {cells} cells")

    def maps(x: Tensor) -> list[Tensor]:
        return [torch.cat(own, dim=1) for own in task.head.maps(task.levels(x))]

    _follows(task, strides, maps)


@torch.no_grad()
def segmentation(task: Segmentation) -> None:
    """The answer is as large as the image, also where its sides are no multiples of the strides;
    with a circular head it follows the image (`_follows`)."""
    images = task.dummy_images(1, _generator())
    if not task.options.circular:  # which needs whole cells
        images = nn.functional.pad(images, (0, 3, 0, 1))
    shape = task.logits(images).shape
    require(shape == (1, task.num_classes, *images.shape[-2:]), f"logits of shape {tuple(shape)}")
    _follows(task, [1], lambda x: [task.logits(x)])


#: The law of each task by its class.
TASK_LAWS: dict[type[Task], Callable[[Any], None]] = {
    Autoregressive: autoregressive,
    Captioning: captioning,
    Contrastive: contrastive,
    Detection: detection,
    Diffusion: diffusion,
    Masked: masked,
    Segmentation: segmentation,
}
