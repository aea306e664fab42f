"""`objects`: pieces of photographs on another photograph, with exact boxes and masks.

An object is a smooth shape (ellipse, rectangle, triangle, flower) that shows a piece of one
photograph. Its class is its shape, so the same classes exist in photographs that a model never saw.
Objects lie on a crop of another photograph with a soft edge; a later object covers an earlier one.
Objects have random places in the plane, as many in a wide window as its area needs: a crop looks
the same with any margin.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wavevit.checks import (
    check_at_least,
    check_generator,
    check_number,
    check_numbers,
    check_tensor,
    fail,
)
from wavevit.data.photographs import NAMES
from wavevit.data.scenes import Scenes, photograph_folder
from wavevit.data.shapes import SHAPES, Placed, levels
from wavevit.data.sources import Source, images_of, register_source

__all__ = ["ObjectPixels", "Objects", "boxes_of_masks"]

_ASPECT = 0.6  # the narrowest object
_LIGHT = (1.0, 2.0)  # least and largest difference of brightness, in contrasts of a crop
_SHARPNESS = 2.0  # of an edge: from 10 to 90 % within about 2 pixels


def boxes_of_masks(masks: Tensor) -> Tensor:
    """Exact extents (n, 4) of masks (n, H, W) that are not empty: left, top, right, bottom.

    The first pixel covers 0 to 1: a box ends behind the last pixel of its mask.

    Args:
        masks: booleans.

    Raises:
        ValueError: an empty mask, or no masks (n, H, W) of booleans.
    """
    check_tensor("masks", masks, "(n, H, W)", 3)
    if masks.dtype != torch.bool:
        fail("masks", "booleans (n, H, W)", f"{masks.dtype} in shape {tuple(masks.shape)}")
    sides = []
    for axis in (1, 2):  # columns, then rows
        seen = masks.any(axis)
        if not seen.any(1).all():
            fail("masks", "at least one pixel in each", "an empty one")
        first = seen.int().argmax(1)
        last = seen.shape[1] - seen.flip(1).int().argmax(1)
        sides.append((first, last))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], dim=1).float()


class _Picture(NamedTuple):
    image: Tensor  # (1, W, W)
    masks: Tensor  # (n, W, W), visible pixels
    classes: Tensor  # (n,)
    whole: Tensor  # (n,) pixels of each object without its neighbours and beyond the window


@register_source("objects")
class Objects(Source):
    """Composites of objects: ``"boxes"``, ``"labels"``, ``"masks"``, lists with one entry an image.

    Boxes (n, 4) are the exact extents, in pixels, of the visible masks (n, S, S); labels (n,) are
    indices into `wavevit.data.shapes.SHAPES`. An object of which less than `visible` is seen, or
    whose box is narrower than `least_side`, stays in the picture and has no entry.

    Args:
        split: ``"test"`` has the right halves of every third photograph, which no other split
            has, for the objects and behind them; see `wavevit.data.scenes.SPLITS` for the others.
        crop_size, margin: see `Source`.
        count: mean number of objects whose middle is in a crop.
        sides: smallest and largest diameter of an object, in pixels.
        visible: share of an object that a crop must show.
        least_side: of a box, in pixels.
        max_short_side: photographs are reduced to at most this shorter side.
        **photographs: options of a folder of photographs; see `SceneCrops`.

    Raises:
        ValueError: sizes or shares out of range, or crops that do not fit.

    Guarantees:
        Boxes and masks of moved crops are those of the window moved by the shift, clipped. Equal
        seeds give equal batches (tests/properties/test_objects_laws.py).
    """

    num_classes = len(SHAPES)
    of_photographs = True

    def __init__(
        self,
        split: str,
        crop_size: int = 64,
        margin: int = 0,
        count: float = 1.5,
        sides: tuple[float, float] = (16.0, 40.0),
        visible: float = 0.4,
        least_side: int = 8,
        max_short_side: int = 256,
        **photographs: Any,
    ) -> None:
        super().__init__(split, crop_size, margin)
        check_number("count", count, above=0)
        check_numbers("sides", sides, "two diameters of at least 2 pixels, ascending", 2)
        if not 2 <= sides[0] <= sides[1]:
            fail("sides", "two diameters of at least 2 pixels, ascending", sides)
        share = "a share above 0 and at most 1"
        check_number("visible", visible, above=0, most=1, expected=share)
        check_at_least("least_side", least_side, 1)
        self.count, self.sides = count, (float(sides[0]), float(sides[1]))
        self.visible, self.least_side = visible, least_side
        held = split == "test"
        self.folder = photograph_folder(**photographs)
        names = self.folder.names if self.folder is not None else NAMES
        chosen = [name for index, name in enumerate(names) if (index % 3 == 2) == held]
        self.scenes = Scenes(
            split,
            crop_size,
            margin,
            tuple(chosen),
            max_short_side,
            folder=self.folder.folder if self.folder is not None else "",
        )

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        pictures = self._pictures(count, generator)
        batch = {
            "images": torch.stack([picture.image for picture in pictures]),
            "masks": [picture.masks for picture in pictures],
            "labels": [picture.classes for picture in pictures],
            "whole": [picture.whole for picture in pictures],
        }
        return self._seen(batch)

    def crop(self, batch: dict[str, Any], shift: tuple[int, int] = (0, 0)) -> dict[str, Any]:
        """See `Source.crop`: masks are cut as the images are, and boxes are those of the masks."""
        cropped = super().crop(batch, shift)
        masks = [self.cut(own, shift) for own in batch["masks"]]
        return self._seen({**cropped, "masks": masks})

    def report(self) -> dict[str, Any]:
        return self.folder.report() if self.folder is not None else {}

    def fingerprint(self) -> str:
        return self.folder.digest if self.folder is not None else ""

    def _pictures(self, count: int, generator: torch.Generator) -> list[_Picture]:
        check_at_least("count", count, 1)
        check_generator("generator", generator)
        placed = [self._place(generator) for _ in range(count)]
        every = [one for own in placed for one in own]
        heights = levels(every, self.window, self.window)
        sizes = [len(own) for own in placed]
        parts = heights.split(sizes), _pixels(every).split(sizes)
        return [
            self._picture(own, height, whole, generator)
            for own, height, whole in zip(placed, *parts, strict=True)
        ]

    def _picture(
        self,
        placed: list[Placed],
        heights: Tensor,
        whole: Tensor,
        generator: torch.Generator,
    ) -> _Picture:
        labels = torch.randperm(len(self.scenes.classes), generator=generator)
        # The first photograph is behind; objects show others, several may show the same.
        shown = torch.randint(1, len(labels), (len(placed),), generator=generator)
        chosen = labels[torch.cat([shown.new_zeros(1), shown])]
        windows = self.scenes.normalized(self.scenes.cut(chosen, generator).images)
        # Lighter or darker than the photograph behind, so that an object can be seen.
        drawn = 2 * torch.rand(len(placed), generator=generator) - 1
        light = drawn.sign() * (_LIGHT[0] + drawn.abs() * (_LIGHT[1] - _LIGHT[0]))
        image, shares, inside = windows[0], torch.sigmoid(_SHARPNESS * heights), heights > 0
        for window, share, offset in zip(windows[1:], shares, light, strict=True):
            image = share * (window + offset) + (1 - share) * image
        # Later objects cover earlier ones.
        later = inside.int().flip(0).cumsum(0).flip(0) - inside.int()
        classes = torch.tensor([one.shape for one in placed], dtype=torch.long)
        return _Picture(image, inside & (later == 0), classes, whole)

    def _place(self, generator: torch.Generator) -> list[Placed]:
        """Shapes of which something may be in the window."""
        low, high = self.sides
        reach = self.window + high  # middles of objects that touch the window are in such a square
        mean = torch.tensor(self.count * (reach / self.crop_size) ** 2)
        number = int(torch.poisson(mean, generator=generator))
        shapes = torch.randint(len(SHAPES), (number,), generator=generator)
        drawn = torch.rand(number, 5, generator=generator).tolist()
        return [
            Placed(
                shape,
                row * reach - high / 2,
                column * reach - high / 2,
                (low + size * (high - low)) / 2,
                _ASPECT + aspect * (1 - _ASPECT),
                angle * 2 * math.pi,
            )
            for shape, (row, column, size, aspect, angle) in zip(
                shapes.tolist(), drawn, strict=True
            )
        ]

    def _seen(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch without objects of which too little is in the picture; with boxes."""
        kept: dict[str, list[Tensor]] = {"masks": [], "labels": [], "whole": [], "boxes": []}
        for masks, labels, whole in zip(
            batch["masks"], batch["labels"], batch["whole"], strict=True
        ):
            pixels = masks.flatten(1).sum(1)
            seen = (pixels > 0) & (pixels >= self.visible * whole)
            boxes = masks.new_zeros((len(masks), 4), dtype=torch.float32)
            if seen.any():
                boxes[seen] = boxes_of_masks(masks[seen])
            seen &= (boxes[:, 2:] - boxes[:, :2]).amin(1) >= self.least_side
            for name, value in (
                *(("masks", masks), ("labels", labels)),
                *(("whole", whole), ("boxes", boxes)),
            ):
                kept[name].append(value[seen])
        return {"images": batch["images"], **kept}


@register_source("object_pixels")
class ObjectPixels(Objects):
    """The pictures of `Objects` with ``"labels"`` (B, S, S), the class of each pixel.

    0 is the background, 1 is the first shape. All visible pixels of an object count, however little
    of it is seen.

    Args:
        split, crop_size, margin and the others: see `Objects`.
    """

    num_classes = len(SHAPES) + 1

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        pictures = self._pictures(count, generator)
        labels = []
        for picture in pictures:
            # Visible masks have no pixel in common.
            numbers = (picture.classes + 1)[:, None, None] * picture.masks
            labels.append(numbers.sum(0))
        images = torch.stack([picture.image for picture in pictures])
        return {"images": images, "labels": torch.stack(labels)}

    def crop(self, batch: dict[str, Any], shift: tuple[int, int] = (0, 0)) -> dict[str, Any]:
        images = self.cut(images_of(batch), shift)
        return {**batch, "images": images, "labels": self.cut(batch["labels"], shift)}


def _pixels(placed: list[Placed]) -> Tensor:
    """Pixels of shapes that nothing covers or cuts."""
    side = 2 * math.ceil(max((one.radius for one in placed), default=0)) + 2
    moved = [
        one._replace(row=side / 2 + one.row % 1, column=side / 2 + one.column % 1) for one in placed
    ]
    return (levels(moved, side, side) > 0).flatten(1).sum(1)
