"""Masked image modelling: no hidden pixel reaches the encoder; bands cost what pixels cost."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wavevit.tasks import Masked, create_task
from wavevit.tasks.mask_targets import PatchTarget
from wavevit.tasks.patches import from_patches, random_mask, to_patches, to_pixels

BACKBONES = {
    "vit": ("test_vit", {}),
    "haar_vit": ("test_haar_vit", {}),
    "dtcwt_vit": ("test_dtcwt_vit", {}),
    "swt_vit": ("test_haar_vit", {"tokenizer": "swt"}),
    "haar_pyramid": ("test_haar_pyramid", {}),
    "dtcwt_pyramid": ("test_dtcwt_pyramid", {}),
    "swin": ("test_swin", {}),
    "locked_vit": ("test_haar_vit", {"alignment": "phase_lock", "position": "none"}),
    "mvitv2": ("test_mvitv2", {"img_size": 64}),
}
OVERLAPPING = ("dtcwt_vit", "swt_vit")


def build(name: str, **options: object) -> Masked:
    model, changes = BACKBONES[name]
    torch.manual_seed(0)
    task = create_task("masked", model, options, **{"in_chans": 1, "img_size": 32, **changes})
    assert isinstance(task, Masked)
    return task.double().eval()


def gradient(output: Tensor, images: Tensor) -> Tensor:
    """Derivative of a random sum of all outputs: 0 where the whole Jacobian is 0."""
    torch.manual_seed(1)
    (found,) = torch.autograd.grad((output * torch.randn_like(output)).sum(), images)
    return found.abs()


def images_and_mask(task: Masked) -> tuple[Tensor, Tensor]:
    images = task.dummy_images(2).double().requires_grad_()
    return images, random_mask(2, task.grid(images), 0.5, torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", BACKBONES)
def test_hidden_pixels_have_no_derivative(name: str) -> None:
    task = build(name)
    images, mask = images_and_mask(task)
    slope = gradient(task.encode(images, mask), images)
    hidden = to_pixels(mask, task.block).expand_as(slope)
    assert slope[hidden].max() == 0
    assert slope[~hidden].max() > 0


@pytest.mark.parametrize("name", BACKBONES)
def test_hidden_pixels_do_not_change_predictions(name: str) -> None:
    task = build(name)
    images, mask = images_and_mask(task)
    other = torch.where(to_pixels(mask, task.block), images + 5, images)
    first, second = (task.decode(task.encode(x, mask), mask) for x in (images, other))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", OVERLAPPING)
def test_negative_control_mask_after_the_transform_leaks(name: str) -> None:
    task = build(name)
    images, mask = images_and_mask(task)
    tokens, grid = task.backbone.tokenize(images)
    visible = task._visible(mask)
    after = task.backbone.encode(tokens, grid, keep=visible)[:, task.backbone.num_prefix_tokens :]
    slope = gradient(after, images)
    assert slope[to_pixels(mask, task.block).expand_as(slope)].max() > 1e-6


def test_visible_tokens_alone_go_through_the_blocks() -> None:
    task = build("dtcwt_vit", mask_ratio=0.75)
    images, _ = images_and_mask(task)
    mask = random_mask(2, task.grid(images), 0.75, torch.Generator().manual_seed(0))
    assert task.encode(images, mask).shape[1] == 1
    assert build("dtcwt_vit", encoder="all").encode(images, mask).shape[1] == 4


def test_all_tokens_kept_in_order_equal_the_plain_encoder() -> None:
    task = build("haar_vit")
    tokens, grid = task.backbone.tokenize(task.dummy_images(2).double())
    order = torch.arange(4).expand(2, -1)
    kept = task.backbone.encode(tokens, grid, keep=order)
    assert torch.equal(kept, task.backbone.encode(tokens, grid))
    flipped = task.backbone.encode(tokens, grid, keep=order.flip(1))
    assert torch.allclose(flipped[:, 1:].flip(1), kept[:, 1:], atol=1e-12)


def test_cost_of_bands_is_cost_of_pixels_with_their_numbers_as_weights() -> None:
    torch.manual_seed(0)
    patches, guess = torch.randn(2, 2, 3, 2, 8, 8, dtype=torch.float64)
    pixels = PatchTarget("pixels", 8, 2)
    bands = PatchTarget("bands", 8, 2, (1, 3, 12, 48))
    wanted = pixels.cost(pixels(guess), pixels(patches))
    assert torch.allclose(bands.cost(bands(guess), bands(patches)), wanted, rtol=1e-6)
    even = PatchTarget("bands", 8, 2)
    assert not torch.allclose(even.cost(even(guess), even(patches)), wanted, rtol=1e-2)


@pytest.mark.parametrize("kind", ["pixels", "normed_pixels", "bands"])
def test_inverse_of_a_target_gives_the_patches(kind: str) -> None:
    patches = torch.randn(2, 6, 3, 4, 4, dtype=torch.float64)
    target = PatchTarget(kind, 4, 3)
    assert torch.allclose(target.inverse(target(patches), patches), patches, atol=1e-12)


def test_patches_are_cut_and_joined() -> None:
    images = torch.randn(2, 3, 8, 12)
    patches = to_patches(images, 4)
    assert torch.equal(patches[:, 4], images[:, :, 4:8, 4:8])
    assert torch.equal(from_patches(patches, (2, 3)), images)
