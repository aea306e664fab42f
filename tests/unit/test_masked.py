"""Masked image modelling: bad input, metrics and harmonic inpainting."""

from __future__ import annotations

import pytest
import torch

from wavevit.tasks import create_task
from wavevit.tasks.inpainting import harmonic_inpainting
from wavevit.tasks.patches import random_mask, to_patches, to_pixels


def build(backbone: str = "test_vit", **options: object):
    torch.manual_seed(0)
    return create_task("masked", backbone, options, in_chans=1, img_size=32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_ratio": 1.0}, "mask_ratio: expected a number above 0 and below 1"),
        ({"target": "tokens"}, "target: expected one of 'pixels'"),
        ({"block": 8}, "block: expected a multiple of 16"),
        ({"block": 32}, "backbone: expected an img_size with at least two blocks"),
        ({"decoder_dim": 6}, "decoder_dim: expected a multiple of 4"),
        ({"band_weights": (1, 2)}, "band_weights: expected None with target='pixels'"),
        ({"target": "bands", "band_weights": (1, 2)}, "band_weights: expected 5 weights"),
        ({"encoder": "some"}, "encoder: expected one of"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.parametrize("backbone", ["test_swin", "test_haar_pyramid"])
def test_hierarchical_backbone_refuses_visible_tokens_alone(backbone: str) -> None:
    with pytest.raises(ValueError, match=r"encoder: expected 'all' \(a hierarchical model"):
        build(backbone, encoder="visible")


def test_bands_of_a_side_that_is_no_power_of_two_are_refused() -> None:
    with pytest.raises(ValueError, match="for patches of 12 pixels, got 'bands'"):
        create_task("masked", "test_vit", {"target": "bands"}, patch_size=12, img_size=48)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"images": torch.zeros(2, 1, 32, 40)}, "sides that are multiples of 16"),
        ({"images": torch.zeros(2, 1, 16, 16)}, "at least two blocks of 16 pixels"),
        (
            {"mask": torch.zeros(2, 2, 2)},
            r"batch\['mask'\]: expected booleans of shape \(2, 2, 2\)",
        ),
        ({"mask": torch.ones(2, 2, 2, dtype=torch.bool)}, "one hidden and one visible"),
        (
            {"mask": torch.eye(2).bool().expand(2, 2, 2) & torch.tensor([[[True]], [[False]]])},
            "equally",
        ),
    ],
)
def test_bad_batch_is_refused(entries: dict[str, torch.Tensor], message: str) -> None:
    task = build()
    with pytest.raises(ValueError, match=message):
        task.loss({**task.dummy_batch(2), **entries})


def test_keep_is_refused_where_blocks_need_the_grid() -> None:
    task = create_task("masked", "test_vit", position="rope", img_size=32)
    assert not task.encodes_visible
    tokens, grid = task.backbone.tokenize(task.dummy_images(1))
    with pytest.raises(ValueError, match=r"keep: expected None \(position='rope'"):
        task.backbone.encode(tokens, grid, keep=torch.tensor([[0]]))


def test_hierarchical_backbone_has_maps_and_no_sequence() -> None:
    backbone = build("test_swin").backbone
    images = torch.randn(2, 1, 32, 40)
    assert [tuple(x.shape[2:]) for x in backbone.maps(images)] == [(8, 10), (4, 5), (2, 3)]
    assert torch.equal(backbone.maps(images)[-1], backbone.forward_features(images))
    with pytest.raises(ValueError, match="backbone: expected one stage"):
        backbone.encode(*backbone.tokenize(images))


@pytest.mark.parametrize("target", ["pixels", "normed_pixels", "bands"])
def test_errors_are_those_of_the_guesses(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = build(target=target).double()
    images = task.dummy_images(3).double()
    mask = random_mask(3, (2, 2), 0.5, torch.Generator().manual_seed(0))
    patches = to_patches(images, 16)
    smooth = to_patches(harmonic_inpainting(images, to_pixels(mask, 16)), 16)
    for guess, relative in ((patches, 0.0), (smooth, 100.0)):
        monkeypatch.setattr(task, "decode", lambda *_, guess=guess: task.target(guess, patches))
        found = task.evaluate({"images": images, "mask": mask})
        assert task.summarize(found)["relative"] == pytest.approx(relative)


def test_errors_of_pixels_are_means_over_hidden_pixels() -> None:
    task = build().double()
    images = task.dummy_images(3).double()
    mask = random_mask(3, (2, 2), 0.5, torch.Generator().manual_seed(0))
    hidden = to_pixels(mask, 16)
    with torch.no_grad():
        found = task.evaluate({"images": images, "mask": mask})
    blank = task.hide(images, mask)
    wanted = ((blank - images).square() * hidden).sum((1, 2, 3)) / hidden.sum((1, 2, 3))
    assert torch.allclose(found["error_mean"], wanted)


def test_reconstructions_keep_visible_pixels() -> None:
    task = build("test_dtcwt_pyramid", target="normed_pixels")
    batch = task.dummy_batch(2)
    with torch.no_grad():
        answers = task.predict(batch)
    hidden = to_pixels(answers["mask"], task.block).expand_as(batch["images"])
    assert torch.equal(answers["reconstructions"][~hidden], batch["images"][~hidden])
    assert not torch.equal(answers["reconstructions"][hidden], batch["images"][hidden])


def test_random_masks_hide_equally_many_and_follow_the_generator() -> None:
    def draw(seed: int) -> torch.Tensor:
        return random_mask(50, (4, 4), 0.75, torch.Generator().manual_seed(seed))

    assert draw(0).flatten(1).sum(1).unique().tolist() == [12]
    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))
    assert random_mask(5, (1, 2), 0.99, None).flatten(1).sum(1).unique().tolist() == [1]


def test_inpainting_fills_planes_exactly() -> None:
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(16.0), indexing="ij")
    image = torch.stack([2 * rows - columns + 3, columns])[None]
    hidden = torch.zeros(1, 1, 20, 16, dtype=torch.bool)
    hidden[:, :, 4:12, 3:9] = True
    broken = image.masked_fill(hidden, torch.nan)
    assert torch.allclose(harmonic_inpainting(broken, hidden), image, atol=1e-3)
    assert not torch.allclose(harmonic_inpainting(image * image, hidden), image * image, atol=1e-2)


def test_inpainted_pixels_are_means_of_their_neighbours() -> None:
    images = torch.randn(2, 1, 12, 12, dtype=torch.float64)
    hidden = torch.zeros(2, 1, 12, 12, dtype=torch.bool)
    hidden[0, :, 2:9, 5:] = hidden[1, :, 3:5, 1:4] = True
    filled = harmonic_inpainting(images, hidden)
    padded = torch.nn.functional.pad(filled, (1, 1, 1, 1), mode="replicate")
    rows = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    around = (rows + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]) / 4
    assert torch.allclose(around[hidden], filled[hidden], atol=1e-4)
    assert torch.equal(filled[~hidden], images[~hidden])
