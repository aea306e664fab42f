"""Recall among a gallery, from images to texts and back."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_numbers, check_tensor, fail

__all__ = ["recalls"]

_ROWS = 1024  # queries at a time: a gallery of 50,000 takes 200 MB


def recalls(
    images: Tensor,
    texts: Tensor,
    captions: Sequence[str],
    ks: Sequence[int] = (1, 5),
    pictures: Sequence[Hashable] | None = None,
) -> dict[str, float]:
    """R@k both ways between images and their texts, in percent.

    Texts that are equal are one entry of the gallery of texts, and one query. From a text to
    images, any image with this text is right. A wrong entry as close as the right one counts as
    closer, so equal embeddings have a recall of 0.

    Args:
        images: embeddings (N, E) of length 1.
        texts: embeddings (N, E) of length 1 of the texts of these images.
        captions: the N texts.
        ks: numbers of nearest entries of the gallery that count.
        pictures: names of the pictures that the N images show, where a picture has several
            captions: each of them is right for each of its images, and each of its images for each
            of them. None if each image shows another picture.

    Returns:
        ``image_to_text_rK`` and ``text_to_image_rK``, with ``_chance`` what a random order gives on
        average; ``gallery_images`` and ``gallery_texts``, the numbers of entries.

    Raises:
        ValueError: other numbers of embeddings or pictures than captions, none, embeddings that are
            not finite, or a `k` below 1.

    Example:
        >>> eye = torch.eye(4)
        >>> recalls(eye, eye, ["a", "b", "c", "d"], ks=[1])["image_to_text_r1"]
        100.0
    """
    for name, value in (("images", images), ("texts", texts)):
        check_tensor(name, value, "(N, E)", 2)
        if not torch.isfinite(value).all():  # nothing is closer than NaN: every answer would count
            fail(name, "finite embeddings", "NaN or infinity")
    if not isinstance(captions, Sequence) or isinstance(captions, str):
        fail("captions", "a sequence of N texts", repr(captions))
    check_numbers("ks", ks, "a sequence of numbers of entries")
    count = len(captions)
    if not count or len(images) != count or len(texts) != count:
        fail("images and texts", f"{count or 'some'} embeddings", (len(images), len(texts)))
    shown: Sequence[Hashable] = range(count) if pictures is None else pictures
    if not isinstance(shown, Sequence) or isinstance(shown, str) or len(shown) != count:
        fail("pictures", f"{count} names, or None", repr(pictures)[:60])
    own, first = _numbered(captions, images.device)
    picture, _ = _numbered(shown, images.device)
    gallery, size = texts[first], len(first)
    entries = torch.arange(size, device=images.device)

    def texts_of(asked: Tensor) -> Tensor:
        """Whether each text is one of each picture: (pictures, texts)."""
        same = asked[:, None] == picture
        found = torch.zeros(len(asked), size, dtype=torch.bool, device=same.device)
        return found.index_put_(_places(same, own), same.new_ones(()))

    def images_of(asked: Tensor) -> Tensor:
        """Whether each image shows a picture that has each text: (texts, images)."""
        same = asked[:, None] == own
        found = torch.zeros_like(same)
        return found.index_put_(_places(same, picture), same.new_ones(()))[:, picture]

    to_text, of_image = _ranks(images, picture, gallery, texts_of)
    to_image, of_text = _ranks(gallery, entries, images, images_of)
    found: dict[str, float] = {}
    for k in ks:
        check_at_least("ks", k, 1)
        found[f"image_to_text_r{k}"] = 100.0 * float((to_text < k).double().mean())
        found[f"image_to_text_r{k}_chance"] = _chance(size, of_image, k)
        found[f"text_to_image_r{k}"] = 100.0 * float((to_image < k).double().mean())
        found[f"text_to_image_r{k}_chance"] = _chance(count, of_text, k)
    found["gallery_images"], found["gallery_texts"] = float(count), float(size)
    return found


def _numbered(values: Sequence[Hashable], device: torch.device) -> tuple[Tensor, list[int]]:
    """A number for each value, equal ones the same, and where each number comes first."""
    first: dict[Hashable, int] = {}
    for index, value in enumerate(values):
        first.setdefault(value, index)
    numbers = {value: number for number, value in enumerate(first)}
    return torch.tensor([numbers[value] for value in values], device=device), list(first.values())


def _places(same: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the true entries, and the numbers of their columns."""
    rows, columns = same.nonzero(as_tuple=True)
    return rows, numbers[columns]


def _ranks(
    queries: Tensor, asked: Tensor, gallery: Tensor, right_of: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """For each query, wrong entries of the gallery that are as close as the best right one, and the
    number of right ones."""
    found, counts = [], []
    for rows, some in zip(queries.split(_ROWS), asked.split(_ROWS), strict=True):
        close, right = rows @ gallery.T, right_of(some)
        best = close.masked_fill(~right, -math.inf).amax(dim=1, keepdim=True)
        found.append(((close >= best) & ~right).sum(dim=1))
        counts.append(right.sum(dim=1))
    return torch.cat(found), torch.cat(counts)


def _chance(count: int, right: Tensor, k: int) -> float:
    """Chance in percent that `k` random ones of `count` entries have one of the right ones, whose
    number is given for each query; the mean over queries."""
    if k >= count:
        return 100.0
    missed = sum(
        times * math.comb(count - number, k) / math.comb(count, k)
        for number, times in Counter(right.tolist()).items()
    )
    return 100.0 * (1 - missed / len(right))
