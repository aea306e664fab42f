"""Cost of a model: parameters, multiply-accumulates, and time relative to a reference."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from wavevit.checks import check_at_least, check_bool, check_callable, check_choice, fail
from wavevit.measure.evaluation import evaluation_mode, plain_attention
from wavevit.progress import in_steps
from wavevit.wavelets import dwt, dwt2, dwt3, filter_bank, idwt, idwt2, idwt3
from wavevit.wavelets._engine.dtcwt_bank import Level, level_of
from wavevit.wavelets._engine.dtcwt_levels import analyse, approximate, synthesise
from wavevit.wavelets._engine.torch_private import fft_operators
from wavevit.wavelets.swt import backward_levels, forward_levels

__all__ = ["Cost", "cost", "latency_ratios"]


@dataclass(frozen=True)
class Cost:
    """Cost of one forward pass.

    Attributes:
        parameters: number of learned values.
        macs: multiply-accumulates for one image: the sum of `macs_by_kind`.
        macs_by_kind: ``"matmul"`` (linear, convolution, attention products, einsum), ``"wavelet"``
            (filter taps of every transform), ``"fft"``. Pointwise work is not counted.
    """

    parameters: int
    macs: int
    macs_by_kind: dict[str, int]


def _fft_flops(input_shape: Any, dims: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    shape = input_shape if math.prod(input_shape) >= math.prod(out_shape) else out_shape
    points = math.prod(shape[dim] for dim in dims)
    # 5 N log2 N real operations for a complex transform of N points (the usual convention).
    return round(5 * math.log2(max(points, 2)) * math.prod(shape))


_FFTS = dict.fromkeys(fft_operators(), _fft_flops)


def _dual_tree_macs(name: str | Level, samples: int, low_only: bool = False) -> int:
    """A dual-tree level of an image with that many samples, along the rows, then the columns.

    Level 1 keeps every sample (stride 2, two phases); a later level is four decimated trees, one
    for each pair of phases of stride 4. Zeros among the taps cost nothing.
    """
    level = level_of(name)
    bands = level.taps[:1] if low_only else level.taps
    # For each sample of a row, `taps / stride` products; each band is 2 / stride as wide as the
    # image, and so long are the columns of it that follow.
    taps = sum(1 for phases in bands for phase in phases for tap in phase if tap)
    products, wider = samples * taps // level.stride, 2 * len(bands)
    return products + products * wider // level.stride


class _WaveletCounter(TorchFunctionMode):
    """Counts filter taps of transforms, however they are evaluated.

    A separable filter bank of `L` taps costs `L` multiply-accumulates per coefficient and axis.
    The convolutions or products that a transform is made of are taken out of `flops` again:
    what it costs is a property of the wavelet, not of the evaluation that was fastest here.
    """

    def __init__(self, flops: FlopCounterMode) -> None:
        super().__init__()
        self.macs = 0
        self.flops = flops
        self.flops_inside = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        before = self.flops.get_total_flops()
        result = func(*args, **(kwargs or {}))
        inside = self.flops.get_total_flops() - before
        if func in (dwt, dwt2, dwt3, idwt, idwt2, idwt3):
            coefficients = args[0] if func in (idwt, idwt2, idwt3) else result
            axes = coefficients.ndim - 3
            length = filter_bank((kwargs or {})["wavelet"]).length
            self.macs += axes * length * coefficients.numel()
        elif func in (forward_levels, backward_levels):
            coefficients = result if func is forward_levels else args[0]
            axes = coefficients.ndim - 4
            # Undecimated, the last axis makes all of the coefficients and each before half as many.
            made = coefficients.numel() * (2**axes - 1) // 2 ** (axes - 1)
            self.macs += args[1].length * made
        elif func in (analyse, approximate):
            self.macs += _dual_tree_macs(args[1], args[0].numel(), func is approximate)
        elif func is synthesise:
            self.macs += _dual_tree_macs(args[2], result.numel())
        else:
            return result
        self.flops_inside += inside
        return result


@contextmanager
def _frozen(model: Any) -> Iterator[None]:
    """Parameters that require no gradient.

    The counter asks every input of a module that requires a gradient for its gradient function. A
    view of a parameter that was made without gradients, such as ``cls_token.expand(B, -1, -1)``,
    requires one and has none (findings/torch_flop_counter_expanded_parameter.sh).
    """
    own = model.parameters() if isinstance(model, nn.Module) else ()
    learned = [parameter for parameter in own if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


def cost(model: Callable[[Tensor], Any], images: Tensor) -> Cost:
    """Counts parameters and multiply-accumulates of a forward pass.

    Args:
        model: any module, or any callable (without parameters then).
        images: (B, C, H, W); the figures are for one image.

    Returns:
        A `Cost`.

    Guarantees:
        Equal to hand counts for a linear layer, a convolution, attention, einsum, a DWT, a ViT-S
        and a Swin-T (tests/unit/test_measure_cost.py), and for the undecimated transform, the dual
        tree and scattering (tests/unit/test_cost_wavelets.py). One MAC is two of torch's FLOPs.

    Raises:
        ValueError: a model that cannot be called, or no batch of images.
    """
    check_callable("model", model)
    _check_batch(images)
    # Fused attention is invisible to the counter on the CPU; the plain one is two products.
    counter = FlopCounterMode(display=False, custom_mapping=_FFTS)
    wavelets = _WaveletCounter(counter)
    with (
        torch.no_grad(),
        _frozen(model),
        evaluation_mode(model),
        plain_attention(),
        counter,
        wavelets,
    ):
        model(images)
    by_op = counter.get_flop_counts().get("Global", {})
    fft = sum(flops for op, flops in by_op.items() if op in _FFTS)
    batch = images.shape[0]
    kinds = {
        "matmul": (sum(by_op.values()) - fft - wavelets.flops_inside) // 2 // batch,
        "wavelet": wavelets.macs // batch,
        "fft": fft // 2 // batch,
    }
    own = model.parameters() if isinstance(model, nn.Module) else ()
    parameters = sum(p.numel() for p in own)
    return Cost(parameters, sum(kinds.values()), kinds)


def _check_batch(images: Any) -> None:
    if not isinstance(images, Tensor) or not images.ndim or not len(images):
        got = f"shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images)
        fail("images", "a batch with at least one image", got)


def latency_ratios(
    models: Mapping[str, Callable[[Tensor], Any]],
    images: Tensor,
    reference: str,
    *,
    rounds: int = 15,
    progress: bool = False,
) -> dict[str, float]:
    """Times of forward passes as multiples of a reference model's time, measured in turn.

    In every round each model runs once, so that a slow moment of the machine affects all models. A
    model's ratio is the median over rounds of its time divided by the reference's in the same
    round.

    Args:
        models: callables by name.
        images: one batch (B, C, H, W).
        reference: name of the reference model, whose ratio is 1.0.
        rounds: timed rounds, after two warm-up rounds.
        progress: whether to show a bar on a terminal, and a line for each round elsewhere, once
            five seconds have passed.

    Returns:
        Ratio by name, without unit.

    Raises:
        ValueError: no round, a reference that is not among the models, or models that cannot be
            called.
    """
    if not isinstance(models, Mapping):
        fail("models", "a mapping from names to models", type(models).__name__)
    for name, model in models.items():
        check_callable(f"models[{name!r}]", model)
    check_choice("reference", reference, models)
    _check_batch(images)
    check_at_least("rounds", rounds, 1)
    check_bool("progress", progress)
    seconds: dict[str, list[float]] = {name: [] for name in models}
    turns = in_steps(range(rounds + 2), lambda turn: f"timing, round {turn + 1}", shown=progress)
    for turn in turns:
        for name, model in models.items():
            with torch.no_grad(), evaluation_mode(model):
                _synchronize(images)
                start = time.perf_counter()
                model(images)
                _synchronize(images)
            if turn >= 2:
                seconds[name].append(time.perf_counter() - start)
    base = seconds[reference]
    return {
        name: median(own / ref for own, ref in zip(times, base, strict=True))
        for name, times in seconds.items()
    }


def _synchronize(images: Tensor) -> None:
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
