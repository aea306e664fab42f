"""Scattering transform on the dual tree: averaged wavelet magnitudes of first and second order.

    S₀ = φ x        S₁ = φ |W x|        S₂ = φ |W |W x||

with the six-orientation magnitudes of `wavevit.wavelets.dtcwt2` as ``|W ·|`` and the low-pass of
the same transform, brought to one sample per ``2**scales`` pixels, as ``φ``. Nothing is learned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import handle_torch_function

from wavevit.checks import check_at_least, check_choice, check_image, fail
from wavevit.wavelets._engine.dtcwt_levels import compute_dtype
from wavevit.wavelets._engine.dtcwt_tree import Steps, decompose, low_pass, mean_of_trees
from wavevit.wavelets._engine.eager import is_eager
from wavevit.wavelets._engine.magnitudes import BandWriter, mean_of_pairs, writes_bands
from wavevit.wavelets._engine.magnitudes import smooth_magnitude as _smooth_magnitude
from wavevit.wavelets._engine.operators import is_symbolic
from wavevit.wavelets._engine.pieces import by_planes
from wavevit.wavelets._engine.symbolic_shapes import fixed
from wavevit.wavelets._engine.torch_private import is_derived
from wavevit.wavelets.dtcwt import (
    ORIENTATIONS,
    check_banks,
    check_dtcwt_level,
    steps_of,
)

__all__ = [
    "BIAS",
    "Scattering2",
    "scattering2",
    "scattering_paths",
    "smooth_magnitude",
    "written_paths",
]

_ORDERS = ("1", "2")
BIAS = 1e-2  # of the smooth magnitude, in the image's units


def smooth_magnitude(details: Tensor, bias: float = BIAS) -> Tensor:
    """``√(re² + im² + bias²) - bias`` of dual-tree details.

    Args:
        details: (B, C, 6, 2, h, w), real and imaginary parts on axis 3.
        bias: smooths the magnitude near zero, so that the gradient exists at zero and small
            coefficients, which are mostly noise, are reduced.

    Returns:
        (B, C, 6, h, w), not negative, and zero where the coefficient is.

    Raises:
        ValueError: details of another shape or dtype, or a bias below 0.

    Guarantees:
        Changes by at most as much as the coefficient
        (tests/properties/test_scattering_laws.py).
    """
    if not isinstance(details, Tensor) or details.ndim != 6 or fixed(details.shape[3]) != 2:
        shape = tuple(details.shape) if isinstance(details, Tensor) else type(details).__name__
        fail("details", "a tensor of shape (B, C, 6, 2, h, w)", shape)
    if not details.is_floating_point():
        fail("details", "a floating dtype", details.dtype)
    if not _is_number(bias) or not 0 <= bias < math.inf:
        fail("bias", "a number of at least 0", repr(bias))
    return _smooth_magnitude(details, bias)


def scattering_paths(scales: int = 2, order: int = 2) -> tuple[str, ...]:
    """Names of the output channels of `scattering2` for each channel of the image, in order.

    ``"low"``; then ``"1:15°"`` … ``"2:165°"`` (scale, orientation of the first magnitude); then
    ``"1:15°>2:45°"`` (a magnitude at scale 2, 45° of the magnitude at scale 1, 15°).

    Args:
        scales: see `scattering2`.
        order: see `scattering2`.

    Raises:
        ValueError: fewer than one scale, or an order other than 1 and 2.

    Example:
        >>> paths = scattering_paths(2, 2)
        >>> len(paths), paths[0], paths[1], paths[13]
        (49, 'low', '1:15°', '1:15°>2:15°')
    """
    _check_scales_and_order(scales, order)
    first = [f"{scale}:{angle}°" for scale in range(1, scales + 1) for angle in ORIENTATIONS]
    second = [
        f"{scale}:{angle}°>{later}:{other}°"
        for scale in range(1, scales)
        for later in range(scale + 1, scales + 1)
        for angle in ORIENTATIONS
        for other in ORIENTATIONS
    ]
    return ("low", *first, *(second if order == 2 else []))


def _check_scales_and_order(scales: int, order: int) -> None:
    check_at_least("scales", scales, 1)
    check_choice("order", str(order), _ORDERS)


def _check_bias(bias: float) -> None:
    if not _is_number(bias) or not 0 < bias < math.inf:
        expected = "a number above 0 (the magnitude has no gradient at 0 without it)"
        fail("bias", expected, repr(bias))


def _is_number(bias: Any) -> bool:
    # A tuple: older compilers of torch do not take the union of two types.
    return isinstance(bias, (float, int)) and not isinstance(bias, bool)


def scattering2(
    x: Tensor,
    scales: int = 2,
    order: int = 2,
    biort: str = "near_sym_a",
    qshift: str = "qshift_a",
    mode: str = "symmetric",
    bias: float = BIAS,
) -> Tensor:
    """Scattering coefficients of first or second order.

    Args:
        x: images (B, C, H, W), any floating dtype, any size that has `scales` levels.
        scales: number of dyadic scales; an output sample covers ``2**scales`` pixels on each axis.
        order: 1 or 2, the largest number of magnitudes on a path. A second magnitude is computed
            only at coarser scales than the first, because finer scales have almost no energy.
        biort: filters of level 1, see `dtcwt2`. Every low-passed magnitude is decomposed by a
            separate transform, which starts with these filters again.
        qshift: filters of the later levels, see `dtcwt2`.
        mode: border mode, see `dtcwt2`.
        bias: bias of the smooth magnitude, in the image's units.

    Returns:
        (B, C * paths, ⌈H / 2**scales⌉, ⌈W / 2**scales⌉); the channels of one image channel are
        next to each other, in the order of `scattering_paths`. The filters keep energy, not means:
        a constant c is ``2**(scales - 1) * c`` in ``"low"``.

    Raises:
        ValueError: as `dtcwt2`, an order other than 1 and 2, a bias that is not positive.

    Guarantees:
        First-order channels are low-passed smooth magnitudes of `dtcwt2`. Paths other than
        ``"low"`` do not change when a constant is added to the image and are zero for constants.
        Every path except ``"low"`` whose last magnitude is at the last scale is not negative.
        ``‖S x - S y‖ <= B**((order + 1) / 2) ‖x - y‖`` with the upper frame bound B of
        `level_one_frame_bounds` (1.10 for ``"near_sym_a"``) for sides that ``2**scales`` divides.
        Under a 1-pixel circular shift the relative change of all magnitudes together is at most
        0.62 times that of the raw coefficients of the last scale, on every bundled photograph
        (tests/properties/test_scattering_laws.py). In eager mode on the CPU without gradients, a
        batch needs memory for its output and less than the six images of its second magnitudes
        (tests/unit/test_wavelet_memory.py). With gradients eager mode holds the images alone, and
        computes a few planes again at a time in the backward pass. *Not* guaranteed:
        invariance to more than small shifts (it is a local average over about ``2**scales``
        pixels), or that second-order paths alone change less than raw coefficients.

    Source:
        Cotter & Kingsbury, "Visualizing and improving scattering networks", MLSP 2017. With one
        scale and order 1 the values are those of pytorch-wavelets' ``ScatLayer``.
    """
    if is_symbolic(x):
        arguments = scales, order, biort, qshift, mode, bias
        return handle_torch_function(scattering2, (x,), x, *arguments)
    check_image(x)
    check_banks(biort, qshift, mode)
    _check_scales_and_order(scales, order)
    _check_bias(bias)
    check_dtcwt_level(scales, x.shape[-2], x.shape[-1], "scales")

    steps = steps_of(biort, qshift, mode)

    def scattered(x: Tensor) -> list[Tensor]:
        wide = x.to(compute_dtype(x.dtype))
        return [_paths(wide, scales, order, steps, bias).to(x.dtype)]

    if is_eager(x) and is_derived(x):
        result: Tensor = _Recomputed.apply(x, scattered)
        return result
    return by_planes(scattered, x)[0].flatten(1, 2)


class _Recomputed(torch.autograd.Function):
    """Holds the images alone, and computes a few planes again at a time for their gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, compute: Callable[[Tensor], list[Tensor]]) -> Tensor:
        ctx.save_for_backward(x)
        ctx.compute = compute
        paths = by_planes(compute, x)[0]
        ctx.channels_and_paths = paths.shape[1:3]
        # A copy: autograd lets nobody change a view that a Function returns.
        return paths.flatten(1, 2).clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        gradient = gradient.unflatten(1, ctx.channels_and_paths)
        if torch.is_grad_enabled():  # a second derivative is asked for
            result = ctx.compute(x)[0]
            return torch.autograd.grad(result, x, gradient, create_graph=True)[0], None

        def derived(x: Tensor, gradient: Tensor) -> list[Tensor]:
            leaf = x.detach().requires_grad_()
            with torch.enable_grad():
                result = ctx.compute(leaf)[0]
            return list(torch.autograd.grad(result, leaf, gradient))

        return by_planes(derived, x, gradient)[0], None


def written_paths(x: Tensor, scales: int, order: int, steps: Steps, bias: float) -> Tensor:
    """(B, C, H, W), which `writes_bands`, to (B, h, w, C * paths): `_paths` by the kernel.

    A low-pass of any number of levels is one banded matrix for each axis, and is taken of
    magnitudes that are stored nowhere. Only those that are decomposed again are.
    """
    channels = x.shape[1]
    approximations, moduli = decompose(x, scales, steps)
    rows, columns = map(mean_of_pairs, approximations[-1].shape[-2:])
    size = rows.outputs, columns.outputs
    writer = BandWriter(x, len(scattering_paths(scales, order)), size)
    writer.write("linear", approximations[-1], 0, (rows, columns))

    def write(details: Tensor, first: int, levels: int) -> None:
        height, width = (low_pass(levels, steps, side) for side in details.shape[-2:])
        taken = range(details.shape[2])
        writer.write("smooth", details, first, (height, width), taken=taken, bias=bias)

    second = 1 + 6 * scales
    for scale, details in enumerate(moduli, start=1):
        remaining = scales - scale
        write(details, 1 + 6 * (scale - 1), remaining)
        if order == 1 or remaining == 0:
            continue
        maps = smooth_magnitude(details, bias).flatten(1, 2)  # orientations as channels
        for distance, later in enumerate(decompose(maps, remaining, steps)[1], start=1):
            write(later.unflatten(1, (channels, 6)).flatten(2, 3), second, remaining - distance)
            second += 36
    return writer.tokens


def _paths(x: Tensor, scales: int, order: int, steps: Steps, bias: float) -> Tensor:
    """(B, C, H, W) to (B, C, paths, h, w)."""
    if writes_bands(x):
        tokens = written_paths(x, scales, order, steps, bias)
        return tokens.permute(0, 3, 1, 2).unflatten(1, (x.shape[1], -1))

    def split(maps: Tensor, levels: int) -> tuple[Tensor, list[Tensor]]:
        """Low-pass at the output's resolution, and magnitudes (B, C, 6, h, w), fine to coarse."""
        approximations, bands = decompose(maps, levels, steps)
        low = mean_of_trees(approximations[-1])
        return low, [smooth_magnitude(band, bias) for band in bands]

    def low_passed(maps: Tensor, levels: int) -> Tensor:
        if levels == 0:
            return maps
        approximations, _ = decompose(maps, levels, steps, skip=[True] * levels)
        return mean_of_trees(approximations[-1])

    channels = x.shape[1]
    low, moduli = split(x, scales)
    first, second = [low.unsqueeze(2)], []
    for scale, magnitude in enumerate(moduli, start=1):
        maps = magnitude.flatten(1, 2)  # orientations as channels
        remaining = scales - scale
        if order == 1 or remaining == 0:
            low = low_passed(maps, remaining)
        else:
            low, again = split(maps, remaining)
            for distance, later in enumerate(again, start=1):
                passed = low_passed(later.flatten(1, 2), remaining - distance)
                second.append(passed.unflatten(1, (channels, 36)))
        first.append(low.unflatten(1, (channels, 6)))
    return torch.cat([*first, *second], dim=2)


class Scattering2(nn.Module):
    """`scattering2` as a module.

    Args:
        scales: see `scattering2`.
        order: see `scattering2`.
        biort: see `scattering2`.
        qshift: see `scattering2`.
        mode: see `scattering2`.
        bias: see `scattering2`.

    Raises:
        ValueError: as `scattering2`.
    """

    def __init__(
        self,
        scales: int = 2,
        order: int = 2,
        biort: str = "near_sym_a",
        qshift: str = "qshift_a",
        mode: str = "symmetric",
        bias: float = BIAS,
    ) -> None:
        _check_scales_and_order(scales, order)
        _check_bias(bias)
        check_banks(biort, qshift, mode)
        super().__init__()
        self.scales, self.order, self.bias = scales, order, bias
        self.biort, self.qshift, self.mode = biort, qshift, mode

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C * paths, h, w)."""
        return scattering2(
            x, self.scales, self.order, self.biort, self.qshift, self.mode, self.bias
        )

    def extra_repr(self) -> str:
        banks = f"biort={self.biort!r}, qshift={self.qshift!r}"
        sizes = f"scales={self.scales}, order={self.order}"
        return f"{sizes}, {banks}, mode={self.mode!r}, bias={self.bias}"
