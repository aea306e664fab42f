"""Leading singular values of the Jacobian of a model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_callable, check_image, check_seed, fail
from wavevit.measure.evaluation import Model, evaluation_mode, plain_attention
from wavevit.measure.forward_mode import pushforward

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
    model: Model, image: Tensor, count: int, *, rounds: int = 2, seed: int = 0
) -> JacobianSpectrum:
    """Leading singular values of the Jacobian at an image, by block Krylov iteration on ``JᵀJ``.

    Args:
        model: images to (B, …); each row depends on its own image only.
        image: (1, C, H, W).
        count: number of values; fewer if the output is smaller.
        rounds: rounds of the iteration, each with ``count + 2`` products of either kind. The
            values are lower bounds that grow with them: the directions of all rounds are kept.
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
        Musco & Musco 2015, algorithm 2 (block Krylov); Halko, Martinsson & Tropp 2011.
    """
    check_image(image, "image")
    if len(image) != 1:
        fail("image", "one image (1, C, H, W)", f"shape {tuple(image.shape)}")
    check_callable("model", model)
    check_seed("seed", seed)
    check_at_least("count", count, 1)
    check_at_least("rounds", rounds, 1)

    def flat(x: Tensor) -> Tensor:
        return model(x).flatten(1)

    # Without gradients: both products take what they need, and a forward-mode one no graph.
    with torch.no_grad(), plain_attention(), evaluation_mode(model):
        copies = image.repeat(_TOGETHER, 1, 1, 1)
        output, pull = torch.func.vjp(flat, copies)  # type: ignore[misc]

        def pulled(rows: Tensor) -> Tensor:
            """``rows J``: (n, outputs) to (n, pixels), a few rows at a time."""
            parts = [pull(_filled(part))[0].flatten(1)[: len(part)] for part in _parts(rows)]
            return torch.cat(parts).detach()

        def pushed(columns: Tensor) -> Tensor:
            """``columns Jᵀ``: (n, pixels) to (n, outputs)."""
            parts = []
            for part in _parts(columns):
                tangents = part.reshape(-1, *image.shape[1:])
                where = copies[: len(part)]
                parts.append(pushforward(flat, where, tangents).detach())
            return torch.cat(parts)

        outputs = output[0].numel()
        width = min(count + 2, outputs, image.numel())
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(width, outputs, generator=generator, dtype=torch.float64)
        rows = start.to(image)
        basis = image.new_zeros(0, image.numel(), dtype=torch.float64)
        images_of = torch.zeros(0, outputs, dtype=rows.dtype, device=rows.device)
        for _ in range(rounds):
            rows = rows / rows.abs().max().clamp_min(torch.finfo(rows.dtype).tiny)  # may be huge
            found = pulled(rows)
            if not torch.isfinite(found).all():
                fail("model", "finite derivatives", "NaN or infinity at the image")
            new = _beyond(basis, found.double())
            if not len(new):
                break  # nothing is left that the map does not send to 0
            basis = torch.cat([basis, new])
            rows = pushed(new.to(image))
            images_of = torch.cat([images_of, rows])
    values = torch.linalg.svdvals(images_of.double()).tolist()
    values += [0.0] * width
    return JacobianSpectrum(tuple(values[: min(count, width)]), rounds)


def _parts(rows: Tensor) -> tuple[Tensor, ...]:
    return rows.split(_TOGETHER)


def _filled(part: Tensor) -> Tensor:
    """As many rows as the graph has images; the missing ones are 0."""
    missing = part.new_zeros(_TOGETHER - len(part), *part.shape[1:])
    return torch.cat([part, missing])


def _beyond(basis: Tensor, vectors: Tensor) -> Tensor:
    """Orthonormal rows that span what `vectors` add to the orthonormal rows of `basis`."""
    before = vectors.norm(dim=1).max()
    for _ in range(2):  # once loses digits to cancellation, twice is enough
        vectors = vectors - (vectors @ basis.T) @ basis
    orthogonal, triangle = torch.linalg.qr(vectors.T)
    real = triangle.diagonal().abs() > 1e-6 * before
    new = orthogonal.T[real]
    return new - (new @ basis.T) @ basis if len(basis) else new
