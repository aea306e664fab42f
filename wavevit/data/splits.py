"""Divide labelled examples into splits by a seeded hash of names, each class in equal shares."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from wavevit.checks import check_choice, fail
from wavevit.data.scenes import SPLITS

__all__ = ["divide", "part_of", "take_share"]

_TEST, _VALIDATION = 0.2, 0.25  # shares: of all examples, and of those that are trained on


def divide(
    names: Sequence[str], labels: Sequence[int], share: float, seed: int = 0, salt: str = ""
) -> tuple[list[int], list[int]]:
    """Divides examples in two, each class in the same share.

    Args:
        names: of the examples, all different. A hash of name and seed decides; the order of the
            examples does not matter.
        labels: their classes.
        share: of each class that is in the first part, rounded to the nearest number of examples;
            at least one, and one is left for the second part where a class has two.
        seed: another seed, other parts.
        salt: another word, parts that are independent of those of the other word.

    Returns:
        Indices of the first and of the second part, ascending.
    """
    by_class: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        by_class.setdefault(label, []).append(index)
    first: list[int] = []
    for members in by_class.values():
        ranked = sorted(members, key=lambda index: _digest(names[index], seed, salt))
        most = max(len(members) - 1, 1) if share < 1 else len(members)
        first += ranked[: min(max(round(share * len(members)), 1), most)]
    chosen = set(first)
    return sorted(chosen), [index for index in range(len(names)) if index not in chosen]


def part_of(
    split: str, names: Sequence[str], labels: Sequence[int], seed: int = 0, tested: bool = False
) -> list[int]:
    """Indices of the examples of a split.

    A fifth of each class is in ``"test"``, the others in ``"train"``; of these a quarter is in
    ``"validation"`` and the rest in ``"fit"``.

    Args:
        split: one of `wavevit.data.scenes.SPLITS`.
        names, labels, seed: see `divide`.
        tested: the examples for the test are elsewhere: all of these are trained on.
    """
    check_choice("split", split, SPLITS)
    trained = list(range(len(names)))
    if not tested:
        test, trained = divide(names, labels, _TEST, seed, "test")
        if split == "test":
            return test
    if split == "train":
        return trained
    chosen = [names[index] for index in trained], [labels[index] for index in trained]
    validation, fit = divide(*chosen, _VALIDATION, seed, "validation")
    return [trained[index] for index in (fit if split == "fit" else validation)]


def take_share(
    names: Sequence[str], labels: Sequence[int], share: float, seed: int = 0
) -> list[int]:
    """Indices of a share of the examples, at least one of each class.

    A smaller share is inside a larger one.

    Args:
        names, labels: see `divide`.
        share: above 0, at most 1.
        seed: see `divide`.

    Raises:
        ValueError: another share.
    """
    if not isinstance(share, int | float) or not 0 < share <= 1:  # nor NaN
        fail("share", "a number above 0 and at most 1", repr(share))
    if share == 1:
        return list(range(len(names)))
    return divide(names, labels, share, seed, "share")[0]


def _digest(name: str, seed: int, salt: str) -> bytes:
    text = f"{seed}/{salt}/{name}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()  # names not in UTF-8
