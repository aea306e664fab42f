"""Assertions of continuity and Lipschitz bounds, by a search for counterexamples."""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.checks import (
    check_at_least,
    check_callable,
    check_image,
    check_number,
    check_real,
    check_seed,
    fail,
)
from wavevit.measure import jump_scan
from wavevit.measure.evaluation import Model, evaluation_mode, plain_attention
from wavevit.measure.forward_mode import pushforward

__all__ = ["assert_continuous", "assert_lipschitz", "steepest_pair"]

_RADII = (1e-3, 1e-1, 1.0)  # of the image's own norm


def steepest_pair(
    model: Model, images: Tensor, *, iterations: int = 10, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Searches, for each image x, an image y with the largest slope ``‖f(y) − f(x)‖ / ‖y − x‖``.

    It tries random directions, and those turned towards the largest singular vector of the
    Jacobian by power iteration, with steps of several lengths along both.

    Args:
        model: images to (B, …); each row depends on its own image only.
        images: (B, C, H, W).
        iterations: steps of the power iteration.
        seed: seed of the directions.

    Returns:
        Images y (B, C, H, W), their slopes (B,) in float64, and their distances ``‖y − x‖`` (B,).

    Raises:
        ValueError: no callable, no images, complex outputs, or a negative number of iterations.
    """
    check_callable("model", model)
    check_image(images, "images")
    if not len(images):
        fail("images", "at least one image", f"shape {tuple(images.shape)}")
    check_at_least("iterations", iterations, 0)
    check_seed("seed", seed)
    images = images.contiguous()  # forward mode writes beside every number: none may be shared
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(images.shape, generator=generator, dtype=torch.float64).to(images)

    def unit(x: Tensor) -> Tensor:
        norms = x.flatten(1).norm(dim=1).clamp_min(torch.finfo(x.dtype).tiny)
        return x / norms.reshape(-1, 1, 1, 1)

    with plain_attention(), evaluation_mode(model):
        _, pull = torch.func.vjp(model, images)  # type: ignore[misc]
        turned = unit(drawn)
        for _ in range(iterations):
            turned = unit(pull(pushforward(model, images, turned))[0])
    length = images.flatten(1).norm(dim=1).clamp_min(1.0)
    best, partners, distances = torch.full((len(images),), -1.0).double(), images, length
    with torch.no_grad(), evaluation_mode(model):
        start = check_real("model", model(images)).double().flatten(1)
        for direction in (unit(drawn), turned):
            for radius in _RADII:
                other = images + direction * (radius * length).reshape(-1, 1, 1, 1)
                distance = (other - images).double().flatten(1).norm(dim=1)
                slope = (model(other).double().flatten(1) - start).norm(dim=1) / distance
                better = (slope > best.to(slope)) | slope.isnan()
                best = torch.where(better, slope, best.to(slope))
                distances = torch.where(better, distance.to(distances), distances)
                partners = torch.where(better.reshape(-1, 1, 1, 1), other, partners)
    return partners, best, distances


def assert_lipschitz(
    model: Model,
    images: Tensor,
    constant: float,
    *,
    iterations: int = 10,
    seed: int = 0,
    tolerance: float = 1e-6,
) -> None:
    """Asserts a Lipschitz bound: no pair of images found may exceed `constant`.

    This is a search, not a proof. It tries random directions and the steepest direction, at
    distances of a thousandth, a tenth and one norm of the image.

    Args:
        model: images to (B, …); each row depends on its own image only. Differentiable forward
            and backward.
        images: (B, C, H, W).
        constant: ``‖f(y) − f(x)‖ ≤ constant · ‖y − x‖``, Euclidean norms.
        iterations: steps of the power iteration that finds the steepest direction.
        seed: seed of the directions.
        tolerance: relative tolerance for rounding.

    Raises:
        AssertionError: the message has the image, the slope, the constant and the distance.
        ValueError: no callable, no images, or a constant that is not a positive finite number.

    Example:
        >>> import torch
        >>> images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
        >>> assert_lipschitz(lambda x: 2 * x, images, constant=2.0)
    """
    check_number("constant", constant, above=0)
    check_number("tolerance", tolerance, least=0)
    _, slopes, distances = steepest_pair(model, images, iterations=iterations, seed=seed)
    worst = int(slopes.nan_to_num(torch.inf).argmax())
    if not slopes[worst] <= constant * (1 + tolerance):
        raise AssertionError(
            f"not Lipschitz with constant {constant:g}: image {worst} of {len(images)} and "
            f"an image at distance {float(distances[worst]):.3g} have outputs "
            f"{float(slopes[worst]):.6g} times as far apart. To reproduce: "
            f"wavevit.testing.steepest_pair(model, images, iterations={iterations}, seed={seed})"
            f"[0][{worst}]"
        )


def assert_continuous(
    model: Model, images: Tensor, *, path: str = "subpixel", slope: float = 1e4, steps: int = 32
) -> None:
    """Asserts that the output does not jump while the image moves.

    This is a search, not a proof. It scans one path for each image and halves the steepest steps
    down to a billionth of the path (`wavevit.measure.jump_scan`).

    Args:
        model: images to (B, …) in float64.
        images: (B, C, H, W), converted to float64, because a narrower dtype cannot resolve jumps.
        path: ``"subpixel"`` shifts by one pixel, ``"line"`` is the straight line to the next image.
        slope: slope from which a change counts as a jump, in units of the whole variation over
            the whole path.
        steps: steps of the first pass; jumps smaller than the steepest smooth step may be missed.

    Raises:
        AssertionError: the message has the image, the jump, its place on the path and code to
            reproduce it.
        ValueError: no callable, no images, or a slope that is not a positive number.

    Example:
        >>> import torch
        >>> images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
        >>> assert_continuous(lambda x: x.square().mean((2, 3)), images)
    """
    check_image(images, "images")
    check_number("slope", slope, above=0)
    scan = jump_scan(model, images.double(), path=path, steps=steps)
    for index, jumped in enumerate(scan.jumps(slope)):
        if jumped:
            raise AssertionError(
                f"not continuous: at {scan.place[index]:.9f} of the {path} path of image {index} "
                f"of {len(images)} the output changes by {scan.jump[index]:.3e} of its norm within "
                f"{scan.dt:.1e} of the path. To reproduce: "
                f"wavevit.measure.jump_scan(model, images.double(), path={path!r}, steps={steps})"
            )
