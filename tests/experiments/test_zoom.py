"""Views under zoom: the same places, real pixels, held-out pixels only."""

from __future__ import annotations

import pytest
import torch

from experiments.core.config import DataConfig
from experiments.core.zoom import ZOOMS, zoom_accuracy, zoom_views
from wavevit.data import Scenes
from wavevit.data.photographs import NAMES
from wavevit.models import Backbone, BackboneConfig, make_stages


def test_views_show_the_same_place_larger() -> None:
    """The middle half of a view is the view from half as far, reduced; most of it agrees."""
    views, labels, ratios = zoom_views(DataConfig(), 36)
    assert tuple(views) == ZOOMS
    assert all(images.shape == (36, 1, 64, 64) for images in views.values())
    assert labels.bincount().tolist() == [2] * 18
    assert 1 <= float(ratios.min()) < float(ratios.max()) <= 2
    for near, far in ((1.0, 0.5), (2.0, 1.0)):
        middle = views[far][..., 16:48, 16:48]
        reduced = torch.nn.functional.avg_pool2d(views[near], 2)
        pairs = torch.stack([middle.flatten(1), reduced.flatten(1)], dim=1)
        same = torch.stack([torch.corrcoef(pair)[0, 1] for pair in pairs])
        other = torch.stack(
            [
                torch.corrcoef(torch.stack([a, b]))[0, 1]
                for a, b in zip(pairs[:, 0], pairs[:, 1].roll(1, 0), strict=True)
            ]
        )
        assert float(same.median()) > 0.95
        assert float(other.median()) < 0.5  # negative control: another place does not agree


def test_nearer_views_have_detail_of_their_own() -> None:
    """Where the photograph is finer, the view at zoom 2 is not the enlarged view at zoom 1."""
    views, _, ratios = zoom_views(DataConfig(), 72)
    enlarged = torch.nn.functional.interpolate(
        views[1.0][..., 16:48, 16:48], (64, 64), mode="bicubic", align_corners=False
    )
    enlarged = Scenes("test", 64).normalized(enlarged)
    change = (views[2.0] - enlarged).flatten(1).norm(dim=1) / 64
    fine, as_it_is = ratios == 2, ratios == 1
    assert float(change[as_it_is].median()) < 0.15
    assert float(change[fine].median()) > 2 * float(change[as_it_is].median())


def test_accuracy_is_plain_data() -> None:
    data = DataConfig(test_crops=72)
    torch.manual_seed(0)
    model = Backbone(
        BackboneConfig(
            img_size=64,
            in_chans=1,
            num_classes=18,
            patch_size=16,
            stages=make_stages(depths=[1], embed_dims=[8], num_heads=1),
        )
    ).eval()
    result = zoom_accuracy(model, data, torch.device("cpu"))
    assert list(result["top1"]) == ["0.5", "0.71", "1", "1.41", "2"]
    assert result["places"] == 36
    assert (result["classes"], result["finer"]) == (18, 16)
    others = [value for zoom, value in result["top1"].items() if zoom != "1"]
    native = result["top1"]["1"]
    assert result["kept"] == (pytest.approx(25 * sum(others) / native) if native else 0.0)


def test_photographs_that_are_too_small_are_left_out() -> None:
    """Two have fewer than 192 rows at any resolution."""
    _, labels, _ = zoom_views(DataConfig(crop_size=96, max_short_side=384), 32)
    left_out = {NAMES[label] for label in range(len(NAMES))} - {NAMES[int(i)] for i in labels}
    assert left_out == {"page", "text"}
    with pytest.raises(ValueError, match="zooms: expected views that fit"):
        zoom_views(DataConfig(crop_size=160), 18)
