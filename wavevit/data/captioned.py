"""`captioned`: pictures put together from photographs, with captions that say what is where.

One or two objects, round pieces of photographs, lie on a piece of another photograph:

    a small coin at the left
    a large cat right of a small coin

The noun says which photograph a piece is from. Of two objects, the one that is first in the
alphabet is named first: no two captions say the same. Some combinations of words are held out: they
are in no training caption, although each of their words is, and the test split has no others.
Pieces and backgrounds of the test split are from the right halves of the photographs (`Scenes`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_at_least, check_bool, check_choice, check_number, fail
from wavevit.data.scenes import Scenes
from wavevit.data.sources import Source, register_source

__all__ = ["NOUNS", "PLACES", "RELATIONS", "SIZES", "Captioned"]

# Noun -> photograph.
NOUNS = {
    **{"astronaut": "astronaut", "brick": "brick", "cat": "cat", "clock": "clock"},
    **{"coin": "coins", "cup": "coffee", "lawn": "grass", "moon": "moon"},
    **{"motorcycle": "motorcycle", "page": "page", "rocket": "rocket", "stone": "gravel"},
}
_BACKGROUNDS = ("camera", "cell", "hubble", "immunohistochemistry", "retina")
# Word -> range of the diameter; place -> centre (row, column): as shares of a crop's side.
SIZES = {"small": (0.22, 0.28), "large": (0.40, 0.46)}
PLACES = {
    **{"left": (0.5, 0.27), "right": (0.5, 0.73), "top": (0.27, 0.5), "bottom": (0.73, 0.5)},
    "middle": (0.5, 0.5),
}
# Relation -> its opposite; of the first half the first object has the smaller coordinate.
RELATIONS = {"left of": "right of", "above": "below", "right of": "left of", "below": "above"}
_JITTER = 0.04  # of a centre, as a share of the side
_FLAT = 0.5  # of a background's contrast is kept, so that objects stand out
_NAMES = tuple(NOUNS)


def _held_out_place(noun: int, place: int) -> bool:
    """One place of each noun."""
    return (noun + place) % len(PLACES) == 0


def _held_out_pair(one: int, other: int) -> bool:
    """A quarter of the pairs of nouns."""
    return (one + other) % 4 == 0


@register_source("captioned")
class Captioned(Source):
    """Pictures with ``"texts"``, ``"negatives"`` and ``"labels"`` (the noun of the first object).

    The three negatives of a text are wrong about its picture, and differ from it in one word: a
    noun, a size, and a place or relation.

    Args:
        split, crop_size, margin: see `Source`. Captions are about crops that are not shifted.
        combinations: ``"seen"`` or ``"held_out"`` combinations of words; None for what the split
            is for: held out in ``"test"``, seen in the others.
        two: share of captions with two objects.
        shuffled: in the splits that are trained on, each picture gets the caption of the next one
            of its batch. A control: a model that learns from these pairs can only guess.
        max_short_side: photographs are reduced to at most this shorter side.

    Raises:
        ValueError: held-out combinations for a split that is trained on, a share outside [0, 1],
            or windows that do not fit the photographs.

    Guarantees:
        Held-out combinations are in no training caption while all their words are; the generator
        alone decides what is drawn; negatives differ in one word; shuffling moves captions and
        changes no picture (tests/properties/test_captioned_laws.py).
    """

    def __init__(
        self,
        split: str,
        crop_size: int = 64,
        margin: int = 0,
        combinations: str | None = None,
        two: float = 0.5,
        max_short_side: int = 256,
        shuffled: bool = False,
    ) -> None:
        super().__init__(split, crop_size, margin)
        short = max_short_side
        self.backgrounds = Scenes(split, crop_size, margin, _BACKGROUNDS, short)
        self.pieces = Scenes(split, 1, 0, tuple(NOUNS.values()), short)
        if combinations is None:
            combinations = "held_out" if split == "test" else "seen"
        self.combinations = check_choice("combinations", combinations, ("seen", "held_out"))
        if combinations == "held_out" and split in ("train", "fit"):
            fail(
                "combinations", f"'seen' in the split {split!r}, which is trained on", "'held_out'"
            )
        check_number("two", two, least=0, most=1, expected="a share from 0 to 1")
        self.two = two
        self.shuffled = check_bool("shuffled", shuffled) and split in ("train", "fit")
        held_out = combinations == "held_out"
        count = len(NOUNS)
        self._singles = [
            pair
            for pair in itertools.product(range(count), range(len(PLACES)))
            if _held_out_place(*pair) == held_out
        ]
        self._pairs = [
            pair
            for pair in itertools.combinations(range(count), 2)
            if _held_out_pair(*pair) == held_out
        ]
        self.num_classes = count

    @property
    def nouns(self) -> tuple[str, ...]:
        """The noun of each label."""
        return _NAMES

    def captions(self) -> list[str]:
        """Every caption that `sample` can draw."""
        singles = [
            f"a {size} {_NAMES[noun]} at the {list(PLACES)[place]}"
            for (noun, place), size in itertools.product(self._singles, SIZES)
        ]
        pairs = [
            _sentence([(first, _NAMES[one]), (second, _NAMES[other])], relation)
            for (one, other), first, second, relation in itertools.product(
                self._pairs, SIZES, SIZES, RELATIONS
            )
        ]
        return (singles if self.two < 1 else []) + (pairs if self.two > 0 else [])

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        if self.shuffled:
            check_at_least("count", count, 2)  # one picture would keep its own caption
        windows = self.backgrounds.draw(count, generator).images
        middle = windows.mean(dim=(-2, -1), keepdim=True)
        windows = middle + _FLAT * (windows - middle)

        def share() -> float:
            return float(torch.rand((), generator=generator))

        texts, negatives, labels = [], [], []
        for window in windows:
            draw = self._draw_two if share() < self.two else self._draw_one
            text, wrong, label = draw(window[0], share)
            texts.append(text)
            negatives.append(wrong)
            labels.append(label)
        if self.shuffled:
            texts, negatives = texts[1:] + texts[:1], negatives[1:] + negatives[:1]
        images = self.backgrounds.normalized(windows)
        batch = {"images": images, "texts": texts, "negatives": negatives}
        return {**batch, "labels": torch.tensor(labels)}

    def _draw_one(self, window: Tensor, share: _Share) -> tuple[str, list[str], int]:
        noun, place = _choice(self._singles, share)
        where, size = list(PLACES)[place], _choice(list(SIZES), share)
        center = [_near(middle, _JITTER, share) for middle in PLACES[where]]
        self._paste(window, noun, _within(SIZES[size], share), center, share)
        other = _choice([name for name in _NAMES if name != _NAMES[noun]], share)
        elsewhere = _choice([name for name in PLACES if name != where], share)
        return (
            f"a {size} {_NAMES[noun]} at the {where}",
            [
                f"a {size} {other} at the {where}",
                f"a {_other_size(size)} {_NAMES[noun]} at the {where}",
                f"a {size} {_NAMES[noun]} at the {elsewhere}",
            ],
            noun,
        )

    def _draw_two(self, window: Tensor, share: _Share) -> tuple[str, list[str], int]:
        nouns = _choice(self._pairs, share)
        sizes = [_choice(list(SIZES), share) for _ in nouns]
        relation = _choice(list(RELATIONS), share)
        diameters = [_within(SIZES[size], share) for size in sizes]
        # Along the axis of the relation: free space before, between and behind both.
        free = 1 - sum(diameters)
        before = free * share() / 2
        between = (free - before) * share()
        backward = relation in ("right of", "below")
        nearer, farther = (1, 0) if backward else (0, 1)
        along = {
            nearer: before + diameters[nearer] / 2,
            farther: before + diameters[nearer] + between + diameters[farther] / 2,
        }
        vertical = relation in ("above", "below")
        for index, noun in enumerate(nouns):
            across = _near(0.5, 3 * _JITTER, share)
            center = [along[index], across] if vertical else [across, along[index]]
            self._paste(window, noun, diameters[index], center, share)
        names = [_NAMES[noun] for noun in nouns]
        # The object with the wrong noun; the other has the wrong size. Nouns keep their order, so
        # that the text alone does not tell which one is wrong.
        changed = int(2 * share())
        others = _between(nouns, changed)
        if not others:
            changed = 1 - changed
            others = _between(nouns, changed)
        wrong = _NAMES[_choice(others, share)]

        right = list(zip(sizes, names, strict=True))
        with_noun = list(right)
        with_noun[changed] = (sizes[changed], wrong)
        with_size = list(right)
        with_size[1 - changed] = (_other_size(sizes[1 - changed]), names[1 - changed])
        negatives = [
            _sentence(with_noun, relation),
            _sentence(with_size, relation),
            _sentence(right, RELATIONS[relation]),
        ]
        return _sentence(right, relation), negatives, nouns[0]

    def _paste(
        self, window: Tensor, noun: int, diameter: float, center: list[float], share: _Share
    ) -> None:
        """Pastes an ellipse with an edge one pixel soft, in place; `center` is (row, column)."""
        sides = [diameter * self.crop_size] * 2
        sides[int(2 * share())] *= 0.85 + 0.15 * share()
        tops = [
            self.margin + c * self.crop_size - s / 2 for c, s in zip(center, sides, strict=True)
        ]
        rows, columns = (
            (max(int(top), 0), min(int(top + side) + 1, self.window))
            for top, side in zip(tops, sides, strict=True)
        )
        shape = (rows[1] - rows[0], columns[1] - columns[0])
        radial = [
            (torch.arange(*span) + 0.5 - top - side / 2) / (side / 2)
            for span, top, side in zip((rows, columns), tops, sides, strict=True)
        ]
        distance = (radial[0][:, None] ** 2 + radial[1] ** 2).sqrt()
        alpha = ((1 - distance) * min(sides) / 2 + 0.5).clamp(0, 1)
        under = window[rows[0] : rows[1], columns[0] : columns[1]]
        piece = self._piece(noun, shape, share)
        under.copy_(alpha * piece + (1 - alpha) * under)

    def _piece(self, noun: int, shape: tuple[int, int], share: _Share) -> Tensor:
        """A large part of this split's half of a photograph, reduced to a shape."""
        top, bottom, left, right = self.pieces.region(noun)
        side = min(bottom - top, right - left) * (0.7 + 0.3 * share())
        height, width = (max(round(side * n / max(shape)), 1) for n in shape)
        row = top + int(share() * (bottom - top - height + 1))
        column = left + int(share() * (right - left - width + 1))
        part = self.pieces.photograph(noun)[row : row + height, column : column + width]
        return F.interpolate(part[None, None], shape, mode="bilinear", antialias=True)[0, 0]


_Share = Callable[[], float]


def _choice(options: list[Any], share: _Share) -> Any:
    return options[min(int(len(options) * share()), len(options) - 1)]


def _within(span: tuple[float, float], share: _Share) -> float:
    return span[0] + (span[1] - span[0]) * share()


def _near(middle: float, jitter: float, share: _Share) -> float:
    return middle + jitter * (2 * share() - 1)


def _sentence(objects: list[tuple[str, str]], relation: str) -> str:
    (first, one), (second, other) = objects
    return f"a {first} {one} {relation} a {second} {other}"


def _between(nouns: tuple[int, int], changed: int) -> list[int]:
    """Nouns that one of two can be changed into without changing their order."""
    span = range(nouns[1]) if changed == 0 else range(nouns[0] + 1, len(_NAMES))
    return [noun for noun in span if noun not in nouns]


def _other_size(size: str) -> str:
    (other,) = set(SIZES) - {size}
    return other
