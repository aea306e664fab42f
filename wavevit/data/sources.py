"""Data sources: batches for tasks, by name and by seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_choice, fail
from wavevit.data.photograph_files import PhotographFolder, scan_photographs
from wavevit.data.scenes import photograph_scenes
from wavevit.plugins import fail_taken, origin_of

__all__ = [
    "SceneCrops",
    "Source",
    "create_source",
    "images_of",
    "list_sources",
    "register_source",
    "source_class",
]

_SOURCES: dict[str, type[Source]] = {}

Registered = TypeVar("Registered", bound="type[Source]")


class Source:
    """Base class of data sources: windows of random images, and crops of these windows.

    A source is one class in one file; `register_source` gives it a name.

    Args:
        split: one of `wavevit.data.scenes.SPLITS`; the test split has no pixel of the others.
        crop_size: side of a crop in pixels.
        margin: pixels of a window around its crop on every side, for crop shifts.

    Attributes:
        in_chans: channels of the images.
        num_classes: number of classes; 0 for a source without classes.
        classes: their names, where the labels of a batch are classes with names.
        of_photographs: its pictures are made of photographs, and it takes the options of
            `photograph_scenes`.

    Raises:
        ValueError: a crop without pixels, or a negative margin.
    """

    in_chans: int = 1
    num_classes: int = 0
    classes: tuple[str, ...] = ()
    of_photographs: bool = False

    def __init__(self, split: str, crop_size: int = 64, margin: int = 0) -> None:
        check_at_least("crop_size", crop_size, 1)
        check_at_least("margin", margin, 0)
        self.split, self.crop_size, self.margin = split, crop_size, margin

    @property
    def window(self) -> int:
        """Side of a window in pixels."""
        return self.crop_size + 2 * self.margin

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        """Random windows: a batch for a task whose images are windows.

        Args:
            count: number of windows.
            generator: its state alone decides what is drawn.
        """
        raise NotImplementedError

    def crop(self, batch: dict[str, Any], shift: tuple[int, int] = (0, 0)) -> dict[str, Any]:
        """The batch of crops that start `shift` pixels from the middle of their windows.

        Args:
            batch: windows, as `sample` gives them.
            shift: pixels down and to the right, at most the margin.

        Returns:
            A batch in which labels that have places (masks, boxes) have moved with the pixels.
        """
        images = self.cut(images_of(batch), shift)
        return {**batch, "images": images}

    def report(self) -> dict[str, Any]:
        """What the record of a run should say about the data, ready for JSON; empty if nothing."""
        return {}

    def fingerprint(self) -> str:
        """Digest of the user's files that the source reads; empty if it reads none.

        A source whose digest is not empty has an option ``digest``, and refuses another one.
        """
        return ""

    def cut(self, images: Tensor, shift: tuple[int, int]) -> Tensor:
        """Crops (…, S, S) of windows (…, W, W), `shift` pixels from the middle.

        Raises:
            ValueError: a shift beyond the margin.
        """
        whole = isinstance(shift, tuple | list) and all(type(step) is int for step in shift)
        if not whole or len(shift) != 2:
            fail("shift", "whole pixels (down, right)", repr(shift))
        if max(map(abs, shift)) > self.margin:
            fail("shift", f"at most {self.margin} pixels (the margin)", shift)
        top, left = (self.margin + step for step in shift)
        return images[..., top : top + self.crop_size, left : left + self.crop_size]


def images_of(batch: Any) -> Tensor:
    """The images of a batch.

    Raises:
        ValueError: something else than a batch with images.
    """
    if not isinstance(batch, Mapping) or "images" not in batch:
        got = list(batch) if isinstance(batch, Mapping) else type(batch).__name__
        fail("batch", "a dict with 'images', as sample() gives it", got)
    images: Tensor = batch["images"]
    return images


def register_source(name: str) -> Callable[[Registered], Registered]:
    """Decorator: registers a `Source` under a name for studies.

    Raises:
        ValueError: the name of another class, or of a class of another file.
    """

    if not isinstance(name, str) or not name:
        fail("name", "a name for a source, such as @register_source('mine')", repr(name))

    def add(cls: Registered) -> Registered:
        known = _SOURCES.get(name)
        if known is not None and origin_of(known) != origin_of(cls):
            owner, newcomer = (f"{c.__module__}.{c.__qualname__}" for c in (known, cls))
            fail_taken("name", name, owner, newcomer)
        _SOURCES[name] = cls
        return cls

    return add


def list_sources() -> list[str]:
    """Names of all data sources, sorted."""
    return sorted(_SOURCES)


def source_class(name: str) -> type[Source]:
    """The class of a data source.

    Raises:
        ValueError: an unknown name.
    """
    return _SOURCES[check_choice("source", name, list_sources())]


def create_source(
    name: str, split: str, crop_size: int = 64, margin: int = 0, **options: Any
) -> Source:
    """Builds a data source by name.

    Args:
        name: one of `list_sources`.
        split: see `Source`.
        crop_size: see there.
        margin: see there.
        **options: of that source.

    Raises:
        ValueError: an unknown name, split or option, or crops that do not fit.
    """
    cls = source_class(name)
    try:
        return cls(split, crop_size, margin, **options)
    except TypeError as error:
        # A source may hand its options on to several classes: only Python knows all their names.
        found = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if found is None or found[1] not in options:
            raise
        expected = f"options of the source {name!r} (see {cls.__module__}.{cls.__qualname__})"
        raise ValueError(f"options: expected {expected}, got {found[1]!r}") from error


@register_source("scenes")
class SceneCrops(Source):
    """`Scenes` as a data source: crops with ``"labels"``, the photograph that each is from.

    Args:
        split, crop_size, margin: see `Source`.
        max_short_side: photographs are reduced to at most this shorter side.
        **photographs: the options ``photographs`` (a folder), ``duplicates``, ``least_side`` and
            ``digest`` of `photograph_scenes`.
    """

    of_photographs = True

    def __init__(
        self,
        split: str,
        crop_size: int = 64,
        margin: int = 0,
        max_short_side: int = 256,
        **photographs: Any,
    ) -> None:
        super().__init__(split, crop_size, margin)
        self.scenes = photograph_scenes(
            split, crop_size, margin, max_short_side=max_short_side, **photographs
        )
        self.folder = photographs_of(photographs)
        self.classes = self.scenes.classes
        self.num_classes = len(self.classes)

    def report(self) -> dict[str, Any]:
        return self.folder.report() if self.folder is not None else {}

    def fingerprint(self) -> str:
        return self.folder.digest if self.folder is not None else ""

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        batch = self.scenes.sample(count, generator)
        return {"images": batch.images, "labels": batch.labels}


def photographs_of(options: Mapping[str, Any]) -> PhotographFolder | None:
    """The folder of photographs that options of a source name, if they do.

    Args:
        options: as `photograph_scenes` takes them.
    """
    folder = options.get("photographs")
    if folder is None:
        return None
    own = {key: options[key] for key in ("duplicates", "least_side", "digest") if key in options}
    return scan_photographs(folder, **own)
