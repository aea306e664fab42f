"""Leading singular values of the Jacobian of a model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_image, fail
from wavevit.measure.evaluation import Model, evaluation_mode, plain_attention

__all__ = ["JacobianSpectrum", "jacobian_spectrum"]

_TOGETHER = 2  # products at a time: their graphs are what memory goes to


@dataclass(frozen=True)
class JacobianSpectrum:
    """Leading singular values of the Jacobian at one image.

    Attributes:
        values: largest first, output change per unit of input change, Euclidean norms.
        rounds: rounds of the iteration; the values are lower bounds that grow with them.
    """

    values: tuple[float, ...]
    rounds: int


def jacobian_spectrum(
    model: Model, image: Tensor, count: int, *, rounds: int = 3, seed: int = 0
) -> JacobianSpectrum:
    """Leading singular values of the Jacobian at an image, by subspace iteration on ``JᵀJ``.

    Args:
        model: images to (B, …); each row depends on its own image only.
        image: (1, C, H, W).
        count: number of values; fewer if the output is smaller.
        rounds: rounds of the iteration. The values are lower bounds that grow with them. Two more
            directions than `count` are iterated, so that the last values converge too.
        seed: seed of the start.

    Returns:
        A `JacobianSpectrum`.

    Raises:
        ValueError: no image, several images, a count or a number of rounds below 1,
            or a derivative that is not finite.

    Guarantees:
        Those of the matrix for a linear map, as the rounds grow, and never above them
        (tests/unit/test_measure_continuity.py).

    Source:
        Halko, Martinsson & Tropp 2011, algorithm 4.4.
    """
    check_image(image, "image")
    if len(image) != 1:
        fail("image", "one image (1, C, H, W)", f"shape {tuple(image.shape)}")
    check_at_least("count", count, 1)
    check_at_least("rounds", rounds, 1)

    def flat(x: Tensor) -> Tensor:
        return model(x).flatten(1)

    # Without gradients: both products take what they need, and a forward-mode one no graph.
    with torch.no_grad(), plain_attention(), evaluation_mode(model):
        outputs = flat(image)[0].numel()
        width = min(count + 2, outputs, image.numel())
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(width, outputs, generator=generator, dtype=torch.float64)
        rows = start.to(image)
        for _ in range(rounds):
            rows = rows / rows.abs().max().clamp_min(torch.finfo(rows.dtype).tiny)  # may be huge
            pulled = torch.cat([_pulled(flat, image, part) for part in rows.split(_TOGETHER)])
            if not torch.isfinite(pulled).all():
                fail("model", "finite derivatives", "NaN or infinity at the image")
            basis = torch.linalg.qr(pulled.double().T).Q.T.to(image).contiguous()
            rows = torch.cat([_pushed(flat, image, part) for part in basis.split(_TOGETHER)])
    values = torch.linalg.svdvals(rows.double())
    return JacobianSpectrum(tuple(values[: min(count, width)].tolist()), rounds)


def _pulled(model: Model, image: Tensor, rows: Tensor) -> Tensor:
    """``rows J``: (n, outputs) to (n, pixels), each with a copy of the image of its own."""
    pull = torch.func.vjp(model, image.repeat(len(rows), 1, 1, 1))[1]
    return pull(rows)[0].detach().flatten(1)


def _pushed(model: Model, image: Tensor, columns: Tensor) -> Tensor:
    """``columns Jᵀ``: (n, pixels) to (n, outputs)."""
    copies = image.repeat(len(columns), 1, 1, 1)
    return torch.func.jvp(model, (copies,), (columns.reshape(copies.shape),))[1].detach()
