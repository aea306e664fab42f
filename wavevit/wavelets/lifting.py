"""Lifting: learnable wavelets that are invertible for all weights.

A signal is split into its even and its odd samples. Each step adds a filtered copy of one half to
the other: ``odd ← odd − P(even)`` predicts, ``even ← even + U(odd)`` updates. The inverse subtracts
the same copy, for any `P` and `U`, so the transform is invertible for all weights. A scale at the
end makes the initial transform orthonormal.

Source: Sweldens 1996; Daubechies & Sweldens 1998 (every FIR wavelet is such a chain of steps).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_at_least, check_choice, check_image, fail
from wavevit.wavelets._engine.coefficients import check_bands, crop
from wavevit.wavelets._engine.filtering import in_compute_dtype
from wavevit.wavelets._engine.modes import extend
from wavevit.wavelets._engine.symbolic_shapes import exporting

__all__ = ["Lifting"]

_ROOT = 2.0**0.5

# For each start: (predict taps, update taps) on neighbours at given offsets, and the scales of
# the low and the high band. Predict reads even samples at 0 and +1; update reads details at
# −1 and 0.
_STARTS = {
    "haar": (((1.0, 0.0), (0.0, 0.5)), (_ROOT, -1 / _ROOT)),
    "cdf5/3": (((0.5, 0.5), (0.25, 0.25)), (_ROOT, -1 / _ROOT)),
}


class Lifting(nn.Module):
    """One level of a learnable separable wavelet transform, invertible for all weights.

    Args:
        channels: image channels; each learns its own filters.
        start: initial weights: ``"haar"`` or ``"cdf5/3"`` (the biorthogonal spline ``bior2.2``).
        steps: pairs of predict and update; the first has the weights of `start`, all others start
            at zero and change nothing until they are trained.
        kernel_size: even number of taps of each step, around the sample that it changes.
        device: of the weights.
        dtype: of the weights.

    Raises:
        ValueError: an unknown start, an odd or too small kernel, a count below 1.

    Guarantees:
        ``inverse(forward(x), output_size=x.shape[-2:])`` is `x` for random and for very large
        weights, every size and dtype. Before training it equals `dwt2` with ``"haar"`` or
        ``"bior2.2"`` and ``"periodization"`` on even sizes (tests/properties/test_lifting_laws.py).
        *Not* guaranteed after training: orthogonality, or any vanishing moment.

    Example:
        >>> import torch
        >>> lifting = Lifting(3, "cdf5/3")
        >>> bands = lifting(torch.ones(1, 3, 5, 8))
        >>> bands.shape, lifting.inverse(bands, output_size=(5, 8)).shape
        (torch.Size([1, 3, 4, 3, 4]), torch.Size([1, 3, 5, 8]))
    """

    def __init__(
        self,
        channels: int,
        start: str = "cdf5/3",
        steps: int = 1,
        kernel_size: int = 2,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.channels = check_at_least("channels", channels, 1)
        self.start = check_choice("start", start, _STARTS)
        self.steps = check_at_least("steps", steps, 1)
        if check_at_least("kernel_size", kernel_size, 2) % 2:
            fail("kernel_size", "an even number", kernel_size)
        # Axis 0: rows of pixels, then columns. Axis 2: predict, update.
        shape = (2, steps, 2, channels, kernel_size)
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets the weights to those of `start`."""
        like = self.weight  # explicit: the default device may be another
        taps = torch.tensor(_STARTS[self.start][0], dtype=like.dtype, device=like.device)
        middle = self.weight.shape[-1] // 2
        with torch.no_grad():
            self.weight.zero_()
            self.weight[:, 0, :, :, middle - 1 : middle + 1] = taps[:, None]

    def extra_repr(self) -> str:
        """The arguments."""
        size = self.weight.shape[-1]
        return f"{self.channels}, {self.start!r}, steps={self.steps}, kernel_size={size}"

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to bands (B, C, 4, ⌈H/2⌉, ⌈W/2⌉), ``cA, cH, cV, cD``.

        Raises:
            ValueError: what `dwt2` refuses, or another number of channels.
        """
        check_image(x, channels=self.channels)

        def compute(x: Tensor) -> Tensor:
            low, high = self._split(x, -1)
            return torch.stack([*self._split(low, -2), *self._split(high, -2)], dim=2)

        return in_compute_dtype(x, compute, whole_images=True)

    def inverse(self, bands: Tensor, output_size: tuple[int, int] | None = None) -> Tensor:
        """Bands (B, C, 4, h, w) to images (B, C, H, W), by default (2h, 2w).

        Raises:
            ValueError: not four bands, or an `output_size` that does not lead to them.
        """
        check_bands(bands, "bands", 4)

        def compute(bands: Tensor) -> Tensor:
            approx, horizontal, vertical, diagonal = bands.unbind(2)
            low = self._join(approx, horizontal, -2)
            return self._join(low, self._join(vertical, diagonal, -2), -1)

        return crop(in_compute_dtype(bands, compute, whole_images=True), output_size)

    def _steps(self, dim: int) -> list[tuple[Tensor, ...]]:
        return [step.unbind() for step in self.weight[0 if dim == -1 else 1].unbind()]

    def _filtered(self, half: Tensor, weight: Tensor, dim: int, lead: int) -> Tensor:
        """Correlates on a circle; `lead` moves the middle pair of taps, 0 to (0, +1)."""
        reach = weight.shape[-1] // 2
        half = extend(half, dim, reach - 1 + lead, reach - lead, "periodic")
        kernel = weight[:, None, None] if dim == -1 else weight[:, None, :, None]
        return F.conv2d(half, kernel.to(half.dtype), groups=self.channels)

    def _split(self, x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        side = x.shape[dim]
        if exporting():  # nothing may ask whether a free side is odd
            left = 2 * torch.arange((side + 1) // 2, device=x.device)
            even, odd = (
                x.index_select(dim, left),
                x.index_select(dim, (left + 1).clamp(max=side - 1)),
            )
        else:
            if side % 2:
                x = torch.cat([x, x.narrow(dim, side - 1, 1)], dim=dim)
            even, odd = x.unflatten(dim, (-1, 2)).unbind(dim)
        for predict, update in self._steps(dim):
            odd = odd - self._filtered(even, predict, dim, 0)
            even = even + self._filtered(odd, update, dim, 1)
        low, high = _STARTS[self.start][1]
        return low * even, high * odd

    def _join(self, low: Tensor, high: Tensor, dim: int) -> Tensor:
        scale_low, scale_high = _STARTS[self.start][1]
        even, odd = low / scale_low, high / scale_high
        for predict, update in reversed(self._steps(dim)):
            even = even - self._filtered(odd, update, dim, 1)
            odd = odd + self._filtered(even, predict, dim, 0)
        if exporting():  # joining the new axis to a free side would divide by it
            half = even.shape[dim]
            place = torch.arange(2 * half, device=even.device)
            return torch.cat([even, odd], dim=dim).index_select(dim, place // 2 + place % 2 * half)
        return torch.stack([even, odd], dim=dim).flatten(dim - 1, dim)
