"""How far a part can drive two inputs apart: what it declares, and linear maps that are kept short.

Declared like the shifts that it keeps (`Symmetry`), once, where the part is defined. A constant is
*declared* only if it is proved: for all inputs, not at an image, and from above. A power iteration
approaches a norm from below and proves nothing; norms of matrices are singular values here.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.wavelets import filter_bank
from wavevit.wavelets._engine.torch_private import has_forward_hooks

__all__ = [
    "DOT_PRODUCTS",
    "GELU_CONSTANT",
    "BoundedLinear",
    "BranchGain",
    "LipschitzConstant",
    "LipschitzStep",
    "NoLipschitzBound",
    "bound_linear_maps",
    "convolution_norm",
    "lipschitz_at",
    "lipschitz_of",
    "matrix_of",
    "spectral_norm",
    "wavelet_norm",
]

# GELU' = Φ(x) + x φ(x) has the derivative φ(x) (2 − x²): it is largest at √2.
GELU_CONSTANT = (1 + math.erf(1)) / 2 + math.exp(-1) / math.sqrt(math.pi)  # 1.12890…

DOT_PRODUCTS = (
    "multiplies queries with keys: the slope of dot-product attention grows with the size of its "
    "tokens without end (Kim et al. 2021)"
)


class NoLipschitzBound(ValueError):
    """A part has no global Lipschitz constant, or none that anybody has declared.

    Attributes:
        module: the part.
        reason: what is in the way, to be read after the part's name.

    Args:
        module: the part.
        reason: see there.
        name: of the part inside the model, where it is known.
    """

    def __init__(self, module: object, reason: str, name: str = "") -> None:
        kind = type(module).__name__
        part = f"{name} ({kind})" if name else kind
        super().__init__(f"no global Lipschitz bound, because {part} {reason}")
        self.module, self.reason = module, reason


@dataclass(frozen=True)
class LipschitzConstant:
    """What no difference of outputs divided by that of inputs exceeds, for images of one size.

    Attributes:
        value: of Euclidean norms.
        exact: True if no smaller number would do: the operator norm of what is linear. False for
            an upper bound.
    """

    value: float
    exact: bool


@dataclass(frozen=True)
class LipschitzStep:
    """One step from the pixels on: ``bound`` after it is ``factor · (bound before) + plus``.

    Attributes:
        name: the part, as `torch.nn.Module.named_modules` calls it.
        factor: what the step multiplies a difference of two images with, at most.
        plus: what a second way from the pixels adds (injected details), else 0.
        bound: of everything up to here, change of the output over change of the pixels.
        exact: no smaller factor would do for this step. What two exact steps make of each other
            is an upper bound all the same.
    """

    name: str
    factor: float
    plus: float
    bound: float
    exact: bool = False


def spectral_norm(weight: Tensor) -> float:
    """Largest singular value of a matrix, or the largest of a stack of them, in float64."""
    return float(torch.linalg.matrix_norm(weight.detach().double(), ord=2).max())


def wavelet_norm(
    wavelet: str, sides: tuple[int, int], level: int = 1, way: str = "analysis"
) -> float:
    """What no decimated transform of a map with these sides exceeds, periodization at the borders.

    The way back, ``"synthesis"``, to an odd side drops the last row and lengthens nothing by it.

    Axis by axis, level by level: exact for orthogonal filters on even sides, which keep every
    length. An odd side repeats its last row, which counts twice then.
    """
    norm, along = 1.0, _bank_norm(wavelet, way)
    for _ in range(level):
        for side in sides:
            norm *= along * (math.sqrt(1 + side % 2) if way == "analysis" else 1.0)
        sides = (-(-sides[0] // 2), -(-sides[1] // 2))
    return norm


@functools.cache
def _bank_norm(wavelet: str, way: str) -> float:
    """Operator norm of one decimated step along one axis, on a circle of any even length.

    The squared length of what the step makes of a wave is a trigonometric polynomial in its
    frequency, of degree below the number of taps; between samples it is no larger than the
    largest sample over ``cos(π degree / samples)`` (Ehlich & Zeller 1964).
    """
    bank = filter_bank(wavelet)
    if bank.orthogonal:
        return 1.0
    pair = (bank.dec_lo, bank.dec_hi) if way == "analysis" else (bank.rec_lo, bank.rec_hi)
    taps = torch.tensor(pair, dtype=torch.float64)
    phases = taps.unflatten(1, (-1, 2)).mT  # (2 bands, 2 phases, L / 2)
    waves = torch.fft.fft(phases, n=512 * bank.length).permute(2, 0, 1)
    largest = float(torch.linalg.matrix_norm(waves, ord=2).max())
    return largest / math.sqrt(math.cos(math.pi / 512))


def _refuse_hooks(module: nn.Module) -> None:
    if has_forward_hooks(module):
        raise NoLipschitzBound(module, "has hooks that may change what goes in or comes out")


def lipschitz_of(module: nn.Module, tokens: int | None = None) -> float:
    """What no difference of a module's outputs divided by that of its inputs exceeds.

    Args:
        module: a part that declares it (``lipschitz_bound(tokens)``), one of torch's own layers
            whose constant is known, or a chain of those. In evaluation: dropping is no part of it.
        tokens: length of the sequence, for what depends on it; None for any length.

    Raises:
        NoLipschitzBound: it has none, or declares none.

    Guarantees:
        Not exceeded on any pair that a search has found, reached by linear layers and by GELU
        (tests/properties/test_certified_laws.py).
    """
    _refuse_hooks(module)
    declared = getattr(module, "lipschitz_bound", None)
    if declared is not None:
        return declared(tokens)
    if not type(module).__module__.startswith("torch.nn."):  # a subclass may do anything
        raise NoLipschitzBound(module, "declares no Lipschitz constant")
    match module:
        case nn.Sequential():
            return math.prod(lipschitz_of(part, tokens) for part in module)
        case nn.Identity() | nn.Dropout() | nn.Flatten() | nn.Unflatten() | nn.ReLU() | nn.Tanh():
            return 1.0
        case nn.GELU(approximate="none"):
            return GELU_CONSTANT
        case nn.Linear():
            return spectral_norm(module.weight)
        case nn.Conv2d():
            return convolution_norm(module)
        case nn.LayerNorm():
            if module.eps <= 0:
                raise NoLipschitzBound(module, "divides by the size of a token, which may be 0")
            gain = 1.0 if module.weight is None else float(module.weight.detach().abs().max())
            return gain / math.sqrt(module.eps)
    raise NoLipschitzBound(module, "declares no Lipschitz constant")


def lipschitz_at(module: nn.Module, size: tuple[int, int]) -> LipschitzConstant:
    """The constant of a module that images go into, for images of `size`.

    Args:
        module: one that declares it (``constant_at(size)``, as tokenizers do), else as for
            `lipschitz_of`.
        size: rows and columns in pixels.

    Raises:
        NoLipschitzBound: it has none, or declares none.

    Guarantees:
        As `lipschitz_of`; where exact, the largest singular value of the whole matrix
        (tests/properties/test_tokenizer_constants.py).
    """
    declared = getattr(module, "constant_at", None)
    if declared is None:
        return LipschitzConstant(lipschitz_of(module), exact=False)
    _refuse_hooks(module)
    found: LipschitzConstant = declared(size)
    return found


def convolution_norm(conv: nn.Conv2d) -> float:
    """What no convolution by this kernel exceeds, for any size of image, zeros or a circle around.

    The smaller of two bounds, the first of which is exact for patches side by side.

    A pixel lies in at most ``Π ⌈k / s⌉`` patches, each mapped by the whole kernel as one matrix;
    and the convolution is the sum of one matrix for each place of the kernel.
    """
    if conv.padding_mode not in ("zeros", "circular"):
        raise NoLipschitzBound(conv, f"repeats pixels (padding_mode={conv.padding_mode!r})")
    kernel = conv.weight.detach().double().unflatten(0, (conv.groups, -1))  # (G, D', C', k, k)
    places = torch.linalg.matrix_norm(kernel.permute(3, 4, 0, 1, 2), ord=2).amax(dim=2)
    by_place = float(places.sum())
    if tuple(conv.dilation) != (1, 1):
        return by_place
    pairs = zip(conv.kernel_size, conv.stride, strict=True)
    covering = math.prod(-(-side // step) for side, step in pairs)
    return min(by_place, math.sqrt(covering) * spectral_norm(kernel.flatten(2)))


class BoundedLinear(nn.Linear):
    """A linear map that never lengthens: its matrix divided by a bound of its spectral norm.

    The bound is that of Gram matrices, squared three times: ``‖W‖ ≤ ‖(W Wᵀ)⁸‖_F^{1/16}``, at most
    the 16th root of the smaller side too large (1.4 for 192 channels) and 1.1 for random weights.
    So the size of the learned matrix does not matter, its direction does. It costs
    ``m² M + 2 m³`` products a forward pass for a matrix of sides m ≤ M, whatever the batch;
    `Backbone.fold` leaves a plain `nn.Linear` for inference, and for adapters: what peft's LoRA
    adds stands beside the bounded map, and merged into its weight it would be bounded with it.

    Guarantees:
        Norm between ``m^{-1/16}`` and 1 (tests/properties/test_certified_laws.py). In half
        precision, to the rounding of the quotient.

    Source:
        Delattre et al. 2023 (Gram iteration). Miyato et al. 2018 divide by a power iteration's
        value, which is below the norm.
    """

    def bounded_weight(self) -> Tensor:
        """The matrix that is applied."""
        wide = self.weight.to(torch.promote_types(self.weight.dtype, torch.float32))
        gram = wide @ wide.mT if wide.shape[0] <= wide.shape[1] else wide.mT @ wide
        bound, root = torch.ones((), dtype=wide.dtype, device=wide.device), 0.5
        for squaring in range(4):
            size = gram.norm().clamp_min(1e-12)
            bound, root = bound * size**root, root / 2
            if squaring < 3:
                gram = gram / size
                gram = gram @ gram
        return (wide / bound).to(self.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.bounded_weight(), self.bias)

    def simplified(self) -> nn.Module:
        """The plain linear map that it is."""
        plain = nn.Linear(self.in_features, self.out_features, device="meta")
        plain.weight, plain.bias = nn.Parameter(self.bounded_weight()), self.bias
        return plain

    def lipschitz_bound(self, tokens: int | None = None) -> float:
        """The norm that it has, at most 1."""
        return spectral_norm(self.bounded_weight())


def matrix_of(linear: nn.Linear) -> Tensor:
    """The matrix that a linear map applies, whether its own or the bounded one."""
    return linear.bounded_weight() if isinstance(linear, BoundedLinear) else linear.weight


def bound_linear_maps(module: nn.Module) -> None:
    """Makes every `nn.Linear` inside a module a `BoundedLinear`, in place, parameters shared."""
    for parent in list(module.modules()):
        for name, part in list(parent.named_children()):
            if type(part) is nn.Linear:
                bounded = BoundedLinear(part.in_features, part.out_features, device="meta")
                bounded.weight, bounded.bias = part.weight, part.bias
                setattr(parent, name, bounded)


class BranchGain(nn.Module):
    """A learned factor per channel of a residual branch, small at the start.

    With ``1 / branches`` the product of all ``1 + gain · L`` stays below ``e^L``, however deep the
    network is.

    Source:
        Touvron et al. 2021 (LayerScale); Qi et al. 2023 (LipsFormer) start at one over the depth.
    """

    def __init__(self, dim: int, start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((dim,), start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight

    def lipschitz_bound(self, tokens: int | None = None) -> float:
        """The largest factor."""
        return float(self.weight.detach().abs().max())
