"""Local Lipschitz constant: how much small changes of the pixels change the output."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wavevit.checks import (
    check_at_least,
    check_callable,
    check_image,
    check_number,
    check_seed,
    fail,
)
from wavevit.measure.evaluation import Model, evaluation_mode, plain_attention
from wavevit.measure.forward_mode import pushforward
from wavevit.measure.intervals import Interval, median_interval

__all__ = ["LocalLipschitz", "local_lipschitz"]


@dataclass(frozen=True)
class LocalLipschitz:
    """Largest singular value of the Jacobian at each image.

    Attributes:
        absolute: (N,) ``‖J(x)‖``: output change per unit of input change, Euclidean norms.
        relative: (N,) condition number ``‖J(x)‖ ‖x‖ / ‖f(x)‖``, without unit.
        iterations: steps that were taken; the values are lower bounds that grow with them.
    """

    absolute: tuple[float, ...]
    relative: tuple[float, ...]
    iterations: int

    @property
    def interval(self) -> Interval:
        """95 % interval of `median_absolute` over images (order statistics)."""
        return median_interval(self.absolute)

    @property
    def median_absolute(self) -> float:
        """Median of `absolute` over images; of an even number, the lower middle value."""
        return float(torch.tensor(self.absolute).median())

    @property
    def median_relative(self) -> float:
        """Median of `relative` over images; of an even number, the lower middle value."""
        return float(torch.tensor(self.relative).median())


def local_lipschitz(
    model: Model,
    images: Tensor,
    *,
    iterations: int = 10,
    tolerance: float = 0.0,
    seed: int = 0,
    batch_size: int = 64,
) -> LocalLipschitz:
    """Largest singular value of the Jacobian at each image, by Krylov (Lanczos) iteration.

    Args:
        model: images to (B, …); each row depends on its own image only.
        images: (N, C, H, W).
        iterations: largest number of steps; ten are within a percent for networks.
        tolerance: stop earlier if the last two steps raised no value of a batch by more than this
            share; 0 takes all steps.
        seed: seed of the start directions.
        batch_size: images at a time.

    Returns:
        A `LocalLipschitz`.

    Raises:
        ValueError: images of another shape, no iteration, or a derivative that is not finite.

    Guarantees:
        The exact spectral norm for a linear map, and never above it; as many steps of power
        iteration give no more (tests/unit/test_measure_continuity.py). *Not* a bound on any ball
        around the image.

    Source:
        Golub & Van Loan 2013, section 10.4 (Lanczos bidiagonalization), directions kept.
    """
    check_image(images, "images")
    check_callable("model", model)
    check_at_least("iterations", iterations, 1)
    check_number("tolerance", tolerance, least=0)
    check_seed("seed", seed)
    check_at_least("batch_size", batch_size, 1)
    if not len(images):
        fail("images", "at least one image", f"shape {tuple(images.shape)}")
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randn(images.shape, generator=generator, dtype=torch.float64).to(images)
    absolute, relative = [], []
    taken = 0
    for batch, directions in zip(images.split(batch_size), starts.split(batch_size), strict=True):
        slopes, conditions, steps = _steepest(model, batch, directions, iterations, tolerance)
        absolute += slopes.tolist()
        relative += conditions.tolist()
        taken = max(taken, steps)
    return LocalLipschitz(tuple(absolute), tuple(relative), taken)


def _steepest(
    model: Model, images: Tensor, start: Tensor, iterations: int, tolerance: float
) -> tuple[Tensor, Tensor, int]:
    """Norm of the Jacobian and condition number of each image of a batch, and the steps taken."""
    images = images.contiguous()  # forward mode writes beside every number: none may be shared
    wide = torch.promote_types(images.dtype, torch.float32)
    directions: list[Tensor] = []  # orthonormal for each image, (N, pixels)
    pushed: list[Tensor] = []  # what the Jacobian makes of them, (N, outputs)
    history: list[Tensor] = []
    rounding = 100 * torch.finfo(wide).eps
    direction, steps = start.flatten(1).to(wide), 0
    # Without gradients: else each product keeps the graph of those before it, gigabytes for a Swin.
    with torch.no_grad(), plain_attention(), evaluation_mode(model):
        output, pull = torch.func.vjp(model, images)  # type: ignore[misc]
        for steps in range(iterations + 1):
            directions.append(_unit(direction))
            tangent = directions[-1].to(images).reshape(images.shape)
            product = pushforward(model, images, tangent).detach()
            wrong = int((~torch.isfinite(product)).flatten(1).any(dim=1).sum())
            if wrong:
                got = f"NaN or infinity at {wrong} of {len(images)} images"
                fail("model", "finite derivatives", got)
            pushed.append(product.flatten(1))
            slopes, steepest = _largest(pushed)
            history.append(slopes)
            grown = steps >= 2 and bool((slopes > (1 + tolerance) * history[-3]).any())
            if steps == iterations or (tolerance and steps >= 2 and not grown):
                break
            pulled = pull(_unit(steepest).to(product).reshape(product.shape))[0]
            # What the best direction lacks to be a singular vector.
            direction = _apart(pulled.flatten(1).to(wide), directions)
            lacking = _norms(direction) > rounding * slopes
            if not lacking.any():
                break
            # A direction of nothing but rounding would not be orthogonal to the others.
            direction = torch.where(lacking[:, None], direction, 0)
    return slopes, slopes * _norms(images) / _norms(output.detach()), steps


def _norms(x: Tensor) -> Tensor:
    """Of each row, in float64: squares of large numbers leave the range of float32."""
    return x.flatten(1).double().norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)


def _unit(rows: Tensor) -> Tensor:
    return (rows / _norms(rows)[:, None]).to(rows.dtype)


def _apart(rows: Tensor, orthonormal: list[Tensor]) -> Tensor:
    """`rows` without what lies in the span of the others; once loses digits, twice is enough."""
    for _ in range(2):
        for other in orthonormal:
            rows = rows - (rows * other).sum(dim=1, keepdim=True) * other
    return rows


def _largest(pushed: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Largest norm that a unit combination of outputs has for each image, and the combination."""
    products = torch.stack(pushed, dim=1).double()
    scale = products.abs().amax(dim=(1, 2), keepdim=True)
    products = products / scale.clamp_min(torch.finfo(torch.float64).tiny)
    values, vectors = torch.linalg.eigh(products @ products.mT)
    best = (vectors[:, None, :, -1] @ products).squeeze(1)
    return values[:, -1].clamp_min(0).sqrt() * scale.flatten(), best
