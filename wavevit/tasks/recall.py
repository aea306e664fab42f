"""Recall among a gallery, from images to texts and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_numbers, check_tensor, fail

__all__ = ["recalls"]

_ROWS = 1024  # queries at a time: a gallery of 50,000 takes 200 MB


def recalls(
    images: Tensor, texts: Tensor, captions: Sequence[str], ks: Sequence[int] = (1, 5)
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

    Returns:
        ``image_to_text_rK`` and ``text_to_image_rK``, with ``_chance`` what a random order gives on
        average; ``gallery_images`` and ``gallery_texts``, the numbers of entries.

    Raises:
        ValueError: other numbers of embeddings than captions, none, embeddings that are not
            finite, or a `k` below 1.

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
    first: dict[str, int] = {}
    for index, caption in enumerate(captions):
        first.setdefault(caption, index)
    numbers = {caption: number for number, caption in enumerate(first)}
    own = torch.tensor([numbers[caption] for caption in captions], device=images.device)
    gallery, size = texts[list(first.values())], len(first)
    entries = torch.arange(size, device=images.device)
    to_text = _ranks(images, own, gallery, entries)
    to_image = _ranks(gallery, entries, images, own)
    repeats = torch.bincount(own).tolist()
    found: dict[str, float] = {}
    for k in ks:
        check_at_least("ks", k, 1)
        found[f"image_to_text_r{k}"] = 100.0 * float((to_text < k).double().mean())
        found[f"image_to_text_r{k}_chance"] = 100.0 * min(k / size, 1.0)
        found[f"text_to_image_r{k}"] = 100.0 * float((to_image < k).double().mean())
        chances = [_chance(count, right, k) for right in repeats]
        found[f"text_to_image_r{k}_chance"] = 100.0 * sum(chances) / size
    found["gallery_images"], found["gallery_texts"] = float(count), float(size)
    return found


def _ranks(queries: Tensor, own: Tensor, gallery: Tensor, labels: Tensor) -> Tensor:
    """For each query, wrong entries of the gallery that are as close as the best right one."""
    found = []
    for rows, label in zip(queries.split(_ROWS), own.split(_ROWS), strict=True):
        close = rows @ gallery.T
        right = label[:, None] == labels
        best = close.masked_fill(~right, -math.inf).amax(dim=1, keepdim=True)
        found.append(((close >= best) & ~right).sum(dim=1))
    return torch.cat(found)


def _chance(count: int, right: int, k: int) -> float:
    """Probability that `k` random ones of `count` entries have one of the right ones."""
    if k >= count:
        return 1.0
    return 1 - math.comb(count - right, k) / math.comb(count, k)
