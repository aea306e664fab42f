"""Data sources: names, crops of windows, shifts beyond the margin."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from wavevit.data import (
    Scenes,
    Source,
    WindowCutter,
    create_source,
    list_sources,
    register_source,
)
from wavevit.data.splits import take_share


def test_scene_crops_are_those_of_scenes() -> None:
    source = create_source("scenes", "test", 48, 8)
    batch = source.sample(20, torch.Generator().manual_seed(3))
    same = Scenes("test", 48, 8).sample(20, torch.Generator().manual_seed(3))
    assert torch.equal(batch["images"], same.images)
    assert torch.equal(batch["labels"], same.labels)
    assert (source.num_classes, source.window) == (18, 64)


def test_moved_crop_is_another_part_of_the_window() -> None:
    source = create_source("scenes", "test", 48, 8)
    batch = source.sample(4, torch.Generator().manual_seed(0))
    crops, moved = (source.crop(batch, shift)["images"] for shift in ((0, 0), (-2, 3)))
    assert torch.equal(crops[..., :-2, 3:], moved[..., 2:, :-3])
    assert not torch.equal(crops, moved)
    with pytest.raises(ValueError, match=r"shift: expected at most 8 pixels"):
        source.crop(batch, (0, 9))


def test_names_are_checked() -> None:
    with pytest.raises(ValueError, match=r"source: expected one of .*scenes"):
        create_source("scene", "test")

    class SceneSource(Source):
        """Another file's class, though of the same name."""

    SceneSource.__qualname__ = type(create_source("scenes", "test", 48, 8)).__qualname__
    expected = rf"name: expected a name that is not taken, for {__name__}\..*, got 'scenes', which "
    with pytest.raises(ValueError, match=expected + r"is the name of wavevit\.data\.sources\."):
        register_source("scenes")(SceneSource)

    assert "scenes" in list_sources()


@pytest.mark.parametrize("name", ["scenes", "captioned", "places", "objects"])
def test_unknown_options_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"options: .* source '{name}' .*, got 'colour'"):
        create_source(name, "train", 16, colour=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"color": "no"}, "color: expected True or False, got 'no'"),
        ({"scale": 0.5}, "scale: expected 0 < smallest <= largest <= 1, got 0.5"),
    ],
)
def test_options_of_another_type_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WindowCutter(16, 0, True, **changes)


def test_share_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="share: expected a number above 0 and at most 1, got 'a'"):
        take_share(["a", "b"], [0, 1], "a")
