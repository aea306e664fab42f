"""Effective rank of features, and n-term approximation error of transforms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wavevit.checks import (
    check_at_least,
    check_callable,
    check_image,
    check_numbers,
    check_seed,
    fail,
)
from wavevit.measure.evaluation import Model, in_batches
from wavevit.measure.intervals import Interval, mean_interval, standard_error

__all__ = ["EffectiveRank", "NTermError", "effective_rank", "n_term_error"]


@dataclass(frozen=True)
class EffectiveRank:
    """Effective rank: number of equally strong dimensions with the same entropy as the features.

    Attributes:
        rank: exponential of the entropy of the normalised singular values.
        low: lower end of a 95 % interval of `rank`, from random halves of the images.
        high: its upper end.
        dim: dimension of the features, the largest possible `rank`.
        samples: number of images; with fewer than a few times `dim`, the rank is too low.
    """

    rank: float
    low: float
    high: float
    dim: int
    samples: int

    @property
    def interval(self) -> Interval:
        """`low` and `high`."""
        return self.low, self.high


def effective_rank(
    embed: Model, images: Tensor, *, batch_size: int = 128, resamples: int = 50, seed: int = 0
) -> EffectiveRank:
    """Effective rank of centred features.

    Args:
        embed: images to embeddings (B, …), flattened.
        images: (N, C, H, W) with N at least 4: half of them has a rank of its own.
        batch_size: images at a time.
        resamples: random halves of the images that the interval comes from; a half's deviation
            from the whole has the standard error of the whole.
        seed: of the halves.

    Returns:
        An `EffectiveRank`, in dimensions.

    Raises:
        ValueError: fewer than 4 images, or features that do not tell any images apart.

    Guarantees:
        k for features that are white in k dimensions, 1 on a line, unchanged by rotation and
        scaling (tests/unit/test_measure_vocabulary.py).

    Source:
        Roy & Vetterli 2007; the interval by random halves (delete-half jackknife, Shao & Wu 1989).
    """
    check_image(images, "images")
    if len(images) < 4:
        fail("images", "at least 4 images", f"shape {tuple(images.shape)}")
    check_callable("embed", embed)
    check_at_least("resamples", resamples, 2)
    check_seed("seed", seed)
    features = in_batches(embed, images, batch_size).flatten(1).double().cpu()
    rank = _rank(features)
    generator = torch.Generator().manual_seed(seed)
    half = len(features) // 2
    halves = torch.tensor(
        [
            _rank(features[torch.randperm(len(features), generator=generator)[:half]])
            for _ in range(resamples)
        ],
        dtype=torch.float64,
    )
    # The spread of the halves around their own mean; a half has less rank than the whole.
    low, high = mean_interval(rank, float(halves.std()), resamples)
    return EffectiveRank(rank, low, high, features.shape[1], len(features))


def _rank(features: Tensor) -> float:
    values = torch.linalg.svdvals(features - features.mean(dim=0))
    total = values.sum()
    if not total > 0:
        fail("embed", "embeddings that differ between images", "equal ones for all images")
    shares = values / total
    return math.exp(float(-(shares * shares.clamp_min(1e-300).log()).sum()))


@dataclass(frozen=True)
class NTermError:
    """Error of the best approximation by few coefficients.

    Attributes:
        shares: of the coefficients that are kept, in (0, 1].
        errors: ``‖x − x_n‖ / ‖x‖`` for each, mean over images.
        stderr: standard error of each over images.
        images: number of images.
    """

    shares: tuple[float, ...]
    errors: tuple[float, ...]
    stderr: tuple[float, ...]
    images: int

    @property
    def interval(self) -> tuple[Interval, ...]:
        """95 % interval of each error (Student)."""
        pairs = zip(self.errors, self.stderr, strict=True)
        return tuple(mean_interval(error, stderr, self.images) for error, stderr in pairs)


def n_term_error(
    analyse: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    synthesise: Callable[[Tensor], Tensor] | None = None,
    shares: Sequence[float] = (0.01, 0.02, 0.05, 0.1, 0.2),
) -> NTermError:
    """How well the largest coefficients of a transform describe each image.

    Args:
        analyse: images (N, C, H, W) to coefficients (N, …), of any precision.
        images: (N, C, H, W).
        synthesise: coefficients to images. Without it the transform must be orthonormal, and the
            error is the energy of what is dropped; that it is orthonormal is checked.
        shares: of the image's pixel values, each in (0, 1]: counted in numbers of the image, so
            that a redundant transform gets no more of them; a complex coefficient is two numbers.

    Returns:
        An `NTermError`, without unit.

    Raises:
        ValueError: a share outside (0, 1], an image of zeros, whose relative error is no number,
            integer coefficients, a transform that keeps no energy
            without `synthesise`, or a synthesis that does not bring the images back.

    Guarantees:
        0 where as many coefficients are kept as differ from 0, monotone in the share, equal for
        both ways of an orthonormal transform (tests/unit/test_measure_vocabulary.py).

    Source:
        DeVore 1998 (non-linear approximation); Mallat 2009, chapter 9.
    """
    check_image(images, "images")
    if not len(images):
        fail("images", "at least one image", f"shape {tuple(images.shape)}")
    check_callable("analyse", analyse)
    if synthesise is not None:
        check_callable("synthesise", synthesise)
    check_numbers("shares", shares, "numbers in (0, 1]")
    for share in shares:
        if not 0 < share <= 1:
            fail("shares", "numbers in (0, 1]", share)
    with torch.no_grad():
        coefficients = analyse(images)
        if not (coefficients.is_floating_point() or coefficients.is_complex()):
            fail("analyse", "floating-point or complex coefficients", coefficients.dtype)
        shape = coefficients.shape
        flat = coefficients.flatten(1)
        norm = images.flatten(1).norm(dim=1)
        if not bool((norm > 0).all()):
            fail("images", "images with other values than 0", "an image of zeros")
        whole = flat.norm(dim=1) if synthesise is None else None
        if whole is not None and not torch.allclose(whole, norm.to(whole.dtype), rtol=1e-4):
            worst = float((whole / norm - 1).abs().max())
            fail("analyse", "an orthonormal transform, or a `synthesise`", f"energy off by {worst}")
        if synthesise is not None:
            error = float((synthesise(coefficients) - images).norm() / images.norm())
            if error > 1e-4:
                fail("synthesise", "the inverse of `analyse`", f"a relative error of {error:.2g}")
        order = flat.abs().argsort(dim=1, descending=True)
        results = []
        for share in shares:
            # A complex coefficient is two numbers.
            numbers = share * images[0].numel() / (2 if flat.is_complex() else 1)
            count = max(round(numbers), 1)
            kept = torch.zeros_like(flat).scatter(
                1, order[:, :count], flat.gather(1, order[:, :count])
            )
            missing = (
                (flat - kept)
                if synthesise is None
                else (images - synthesise(kept.reshape(shape))).flatten(1)
            )
            results.append((missing.norm(dim=1) / norm).double())
    count = len(images)
    errors = tuple(float(result.mean()) for result in results)
    stderr = tuple(standard_error(result) for result in results)
    return NTermError(tuple(shares), errors, stderr, count)
