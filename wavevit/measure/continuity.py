"""Local Lipschitz constant: how much small changes of the pixels change the output."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_image, fail
from wavevit.measure.evaluation import Model, evaluation_mode, plain_attention
from wavevit.measure.intervals import Interval, median_interval

__all__ = ["LocalLipschitz", "local_lipschitz"]


@dataclass(frozen=True)
class LocalLipschitz:
    """Largest singular value of the Jacobian at each image.

    Attributes:
        absolute: (N,) ``‖J(x)‖``: output change per unit of input change, Euclidean norms.
        relative: (N,) condition number ``‖J(x)‖ ‖x‖ / ‖f(x)‖``, without unit.
        iterations: steps of power iteration; the values are lower bounds that grow with them.
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
        """Median of `absolute` over images."""
        return float(torch.tensor(self.absolute).median())

    @property
    def median_relative(self) -> float:
        """Median of `relative` over images."""
        return float(torch.tensor(self.relative).median())


def local_lipschitz(
    model: Model, images: Tensor, *, iterations: int = 10, seed: int = 0, batch_size: int = 64
) -> LocalLipschitz:
    """Largest singular value of the Jacobian at each image, by power iteration.

    Args:
        model: images to (B, …); each row depends on its own image only.
        images: (N, C, H, W).
        iterations: steps of power iteration; ten are within a few percent for networks.
        seed: seed of the start directions.
        batch_size: images at a time.

    Returns:
        A `LocalLipschitz`.

    Raises:
        ValueError: images of another shape, no iteration, or a derivative that is not finite.

    Guarantees:
        The exact spectral norm for a linear map, as the iterations grow
        (tests/unit/test_measure_continuity.py). *Not* a bound on any ball around the image.
    """
    check_image(images, "images")
    check_at_least("iterations", iterations, 1)
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randn(images.shape, generator=generator, dtype=torch.float64).to(images)
    absolute, relative = [], []
    for batch, directions in zip(images.split(batch_size), starts.split(batch_size), strict=True):
        slopes, conditions = _steepest(model, batch, directions, iterations)
        absolute += slopes.tolist()
        relative += conditions.tolist()
    return LocalLipschitz(tuple(absolute), tuple(relative), iterations)


def _steepest(
    model: Model, images: Tensor, direction: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    """Norm of the Jacobian and condition number of each image of a batch."""
    images = images.contiguous()  # forward mode writes beside every number: none may be shared

    def norms(x: Tensor) -> Tensor:
        """In float64: squares of large numbers leave the range of float32."""
        norm = x.flatten(1).double().norm(dim=1)
        return norm.clamp_min(torch.finfo(torch.float64).tiny)

    def unit(x: Tensor) -> Tensor:
        return (x / norms(x).reshape(-1, *[1] * (x.ndim - 1))).to(x.dtype)

    # Without gradients: else each product keeps the graph of those before it, gigabytes for a Swin.
    with torch.no_grad(), plain_attention(), evaluation_mode(model):
        output, pull = torch.func.vjp(model, images)  # type: ignore[misc]
        for _ in range(iterations):
            direction = unit(direction)
            pushed = torch.func.jvp(model, (images,), (direction,))[1]
            direction = pull(unit(pushed))[0]  # its length is lost anyway, and may be huge
        pushed = torch.func.jvp(model, (images,), (unit(direction),))[1]
    wrong = int((~torch.isfinite(pushed)).flatten(1).any(dim=1).sum())
    if wrong:
        fail("model", "finite derivatives", f"NaN or infinity at {wrong} of {len(images)} images")
    absolute = norms(pushed.detach())
    return absolute, absolute * norms(images) / norms(output.detach())
