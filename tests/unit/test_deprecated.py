"""Deprecated names: each message says the successor and the version that removes the name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import wavevit
from wavevit.deprecated import REMOVED_IN, warn_deprecated
from wavevit.pictures import load_image, open_image


def test_old_names_are_gone_in_the_version_that_the_messages_name() -> None:
    """When this fails, delete what `wavevit.deprecated` is used for, and choose the next."""
    present, removed = (tuple(map(int, v.split("."))) for v in (wavevit.__version__, REMOVED_IN))
    assert present < removed


def test_warning_has_the_version_and_the_successor() -> None:
    message = rf"^old is deprecated, and wavevit {REMOVED_IN} removes it: use new$"
    with pytest.warns(DeprecationWarning, match=message):
        warn_deprecated("old", "new")


@pytest.mark.parametrize("function", [load_image, open_image])
def test_old_name_of_an_argument(function) -> None:
    message = rf"{function.__name__}\(source=…\) is deprecated, .* use image=…"
    with pytest.warns(DeprecationWarning, match=message) as caught:
        old = function(source="coins")
    assert Path(caught[0].filename) == Path(__file__)
    new = function(image="coins")
    images = (old, new) if isinstance(old, torch.Tensor) else (old[0], new[0])
    assert torch.equal(*images)
    with (
        pytest.warns(DeprecationWarning, match="source=…"),
        pytest.raises(ValueError, match="source: expected None beside image"),
    ):
        function(source="coins", image="coins")
