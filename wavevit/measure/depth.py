"""Receptive field (by gradient) and attention distance of a network."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from wavevit.checks import check_at_least, check_callable, check_image, check_seed, fail
from wavevit.measure.evaluation import Model, evaluation_mode, plain_attention
from wavevit.measure.intervals import Interval, mean_interval, standard_error

__all__ = [
    "MOST_PREFIX",
    "AttentionDistance",
    "ReceptiveField",
    "WatchAttention",
    "attention_distance",
    "receptive_field",
]

MOST_PREFIX = 16  # class and register tokens
_SOFTMAX = (torch.softmax, torch.Tensor.softmax, F.softmax)


@dataclass(frozen=True)
class ReceptiveField:
    """Receptive field: the area of the image that the middle position of a feature map depends on.

    Attributes:
        extent: rows and columns in pixels between the outermost non-zero gradients: the
            theoretical receptive field.
        radius: root mean square distance of the gradient from its centre in pixels: the effective
            receptive field.
        half_energy: side in pixels of the smallest square around that centre with half of
            the squared gradient.
        stderr: standard error of `radius` over images.
        images: number of images.
    """

    extent: tuple[int, int]
    radius: float
    half_energy: int
    stderr: float
    images: int

    @property
    def interval(self) -> Interval:
        """95 % interval of `radius` (Student)."""
        return mean_interval(self.radius, self.stderr, self.images)


def receptive_field(
    features: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    probes: int = 4,
    seed: int = 0,
    batch_size: int = 64,
) -> ReceptiveField:
    """Receptive field of a feature map, by backpropagation from its middle position.

    Args:
        features: images to a map (B, D, h, w); each row depends on its own image only.
        images: (N, C, H, W). A field wider than the image is cut off at the border.
        probes: number of random sums of the channels (with random signs) to backpropagate, the
            same for all images.
        seed: seed of the signs.
        batch_size: images at a time.

    Returns:
        A `ReceptiveField`, in pixels.

    Raises:
        ValueError: an output that is no map, or one that does not depend on the image.

    Guarantees:
        For a box filter of `k` pixels the extent is `k` and the radius that of a uniform square
        (tests/unit/test_measure_depth.py).

    Source:
        Luo et al. 2016; with random signs instead of ones, so that channels cannot cancel.
    """
    check_image(images, "images")
    _check_count(images, batch_size)
    check_callable("features", features)
    check_at_least("probes", probes, 1)
    check_seed("seed", seed)
    parts = [_gradient_energy(features, x, probes, seed) for x in images.split(batch_size)]
    energy = torch.cat(parts)
    total = energy.sum(dim=(1, 2))
    if (total == 0).any():
        fail("features", "an output that depends on the image", "a gradient of 0")
    share = energy / total[:, None, None]
    rows = torch.arange(share.shape[1], dtype=torch.float64)[:, None]
    columns = torch.arange(share.shape[2], dtype=torch.float64)
    centre = [(share * axis).sum(dim=(1, 2), keepdim=True) for axis in (rows, columns)]
    offsets = [axis - middle for axis, middle in zip((rows, columns), centre, strict=True)]
    squares = offsets[0].square() + offsets[1].square()
    radii = (share * squares).sum(dim=(1, 2)).sqrt()
    reach = torch.maximum(offsets[0].abs(), offsets[1].abs())
    seen = (share > 0).any(dim=0).nonzero()
    low, high = seen.min(dim=0).values, seen.max(dim=0).values
    rows_seen, columns_seen = (high - low + 1).tolist()
    count = len(images)
    half, stderr = _half(share, reach), standard_error(radii)
    return ReceptiveField((rows_seen, columns_seen), float(radii.mean()), half, stderr, count)


def _check_count(images: Tensor, batch_size: int) -> None:
    check_at_least("batch_size", batch_size, 1)
    if not len(images):
        fail("images", "at least one image", f"shape {tuple(images.shape)}")


def _gradient_energy(
    features: Callable[[Tensor], Tensor], images: Tensor, probes: int, seed: int
) -> Tensor:
    """Squared gradient of the middle cell at each pixel, (B, H, W), summed over probes."""
    generator = torch.Generator().manual_seed(seed)
    x = images.detach().requires_grad_()
    energy = torch.zeros(len(images), *images.shape[-2:], dtype=torch.float64)
    with torch.enable_grad(), evaluation_mode(features):
        maps = features(x)
        if not isinstance(maps, Tensor) or maps.ndim != 4:
            got = f"shape {tuple(maps.shape)}" if isinstance(maps, Tensor) else type(maps).__name__
            fail("features", "a map of shape (B, D, h, w)", got)
        cell = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]
        if not cell.requires_grad:
            fail("features", "an output that depends on the image", "one without a gradient")
        for _ in range(probes):
            signs = torch.randint(0, 2, cell.shape[1:], generator=generator).to(cell) * 2 - 1
            (gradient,) = torch.autograd.grad(cell, x, signs.expand_as(cell), retain_graph=True)
            energy += gradient.double().square().sum(dim=1).cpu()
    return energy


def _half(share: Tensor, reach: Tensor) -> int:
    """Side of the smallest centred square that holds half of the mean energy."""
    for side in range(1, 2 * max(share.shape[1:]) + 1):
        if float((share * (reach <= side / 2)).sum() / len(share)) >= 0.5:
            return side
    raise AssertionError("a square of twice the side holds everything")


@dataclass(frozen=True)
class AttentionDistance:
    """Mean distance between a query and the tokens that it attends to, for each layer.

    Attributes:
        pixels: for each attention layer, in the order of execution, one mean for each head.
        stderr: standard error of each layer's mean over images, in pixels.
        images: number of images.
    """

    pixels: tuple[tuple[float, ...], ...]
    stderr: tuple[float, ...]
    images: int

    @property
    def interval(self) -> tuple[Interval, ...]:
        """95 % interval of each layer's mean, in pixels (Student)."""
        layers = zip(self.by_layer, self.stderr, strict=True)
        return tuple(mean_interval(mean, stderr, self.images) for mean, stderr in layers)

    @property
    def by_layer(self) -> tuple[float, ...]:
        """Mean over heads."""
        return tuple(sum(heads) / len(heads) for heads in self.pixels)


class WatchAttention(TorchFunctionMode):
    """Looks at every attention matrix (B, heads, N, M) that goes by.

    Args:
        look: is given each of them.
    """

    def __init__(self, look: Callable[[Tensor], None]) -> None:
        super().__init__()
        self.look = look

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is F.multi_head_attention_forward:
            return self._multi_head(*args, **kwargs)
        result = func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            self.look(_weights(*args, **kwargs))
        elif func in _SOFTMAX and isinstance(result, Tensor) and result.ndim == 4:
            dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
            if dim in (-1, 3):
                self.look(result)
        return result

    def _multi_head(self, *args: Any, **kwargs: Any) -> Any:
        """`nn.MultiheadAttention`, asked for the weights of each head whatever the caller wants.

        The function is one to this mode, which is switched off inside: nothing else would show
        them.
        """
        call = inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs)
        call.apply_defaults()
        wanted, averaged = (call.arguments[n] for n in ("need_weights", "average_attn_weights"))
        call.arguments.update(need_weights=True, average_attn_weights=False)
        output, weights = F.multi_head_attention_forward(*call.args, **call.kwargs)
        assert weights is not None
        self.look(weights if weights.ndim == 4 else weights[None])
        if not wanted:
            return output, None
        return output, weights.mean(dim=-3) if averaged else weights


def _weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    if enable_gqa:
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = query @ key.transpose(-2, -1) * scale
    if is_causal:
        lower = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~lower, -torch.inf)
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -torch.inf)
        else:
            scores = scores + attn_mask
    return scores.softmax(dim=-1)


def _places(tokens: int, extent: tuple[float, float]) -> tuple[Tensor, int]:
    """Centres in pixels of the grid that covers `extent`, and the number of tokens before it.

    A grid of some stride has its two sides rounded up; of those, the one that leaves the fewest
    tokens over (class and register tokens).
    """
    height, width = extent
    for prefix in range(min(tokens, MOST_PREFIX + 1)):
        count = tokens - prefix
        for rows in range(1, count + 1):
            columns = count // rows
            if rows * columns != count:
                continue
            smallest = max(height / rows, width / columns)
            below = min(height / max(rows - 1, 1e-9), width / max(columns - 1, 1e-9))
            if smallest < below:
                y = (torch.arange(rows, dtype=torch.float64) + 0.5) * (height / rows)
                x = (torch.arange(columns, dtype=torch.float64) + 0.5) * (width / columns)
                return torch.cartesian_prod(y, x).reshape(-1, 2), prefix
    fail("model", f"attention over a grid that covers {extent} pixels", f"{tokens} tokens")


def attention_distance(model: Model, images: Tensor, *, batch_size: int = 32) -> AttentionDistance:
    """Attention distance: mean distance in pixels between queries and keys, weighted by attention.

    Every attention over tokens is found, in any implementation:
    `scaled_dot_product_attention`, `nn.MultiheadAttention`, or a softmax over the last axis of a
    (B, heads, N, M) tensor.
    Tokens outside the grid (class and register tokens, before it) are left out, and
    the other weights are normalised again. Keys of a coarser grid than the queries' (PVT, MViT)
    have the position of the middle of the pixels that they cover. Windows (Swin), which are on the
    batch axis, are assumed to be square and to cover the image exactly; distances are measured
    within a window.

    Args:
        model: any model with attention; its output is not used.
        images: (N, C, H, W).
        batch_size: images at a time.

    Returns:
        An `AttentionDistance`, in pixels.

    Raises:
        ValueError: no attention over tokens at all (a convolutional network, attention over
            channels), tokens that fill no grid of the image's shape, or a model that computes
            tokens of several sizes (tokenizer ``"adaptive"``): they have no grid.

    Guarantees:
        Uniform attention gives the mean distance between positions of the grid; attention of every
        token to itself gives 0 (tests/unit/test_measure_depth.py).

    Source:
        Dosovitskiy et al. 2021, appendix D.7.
    """
    check_image(images, "images")
    _check_count(images, batch_size)
    check_callable("model", model)
    _refuse_several_sizes(model)
    parts = [_distances(model, batch) for batch in images.split(batch_size)]
    layers = [torch.cat(layer) for layer in zip(*parts, strict=True)]  # each (images, heads)
    count = len(images)
    means = [layer.mean(dim=1) for layer in layers]
    errors = [standard_error(mean) for mean in means]
    pixels = tuple(tuple(layer.mean(dim=0).tolist()) for layer in layers)
    return AttentionDistance(pixels, tuple(errors), count)


def _refuse_several_sizes(model: Model) -> None:
    modules = model.modules() if isinstance(model, nn.Module) else ()
    if any(getattr(module, "weighs_tokens", False) is True for module in modules):
        got = "a tokenizer with tokens of several sizes ('adaptive')"
        fail("model", "one whose tokens lie on a grid, so that they have places", got)


def _distances(model: Model, images: Tensor) -> list[Tensor]:
    """Of each attention in the order in which it ran, (images, heads)."""
    layers: list[Tensor] = []

    def look(weights: Tensor) -> None:
        layers.append(_mean_distance(weights.detach(), images))

    with torch.no_grad(), evaluation_mode(model), plain_attention(), WatchAttention(look):
        model(images)
    if not layers:
        fail("model", "at least one attention over tokens", "a model without attention")
    return layers


def _mean_distance(weights: Tensor, images: Tensor) -> Tensor:
    """Mean over queries of the attention-weighted distance, (images, heads)."""
    batch, heads, queries, keys = weights.shape
    height, width = images.shape[-2:]
    if batch % len(images):
        expected = f"attention whose first axis is a multiple of the {len(images)} images"
        fail("model", expected, f"shape {tuple(weights.shape)}")
    windows = batch // len(images)
    # Square windows share the image's area among them.
    extent = (height, width) if windows == 1 else (math.sqrt(height * width / windows),) * 2
    at, skip_queries = _places(queries, extent)
    to, skip_keys = _places(keys, extent)
    distance = torch.cdist(at, to).to(weights)
    kept = weights[:, :, skip_queries:, skip_keys:]
    mass = kept.sum(dim=-1).clamp_min(torch.finfo(kept.dtype).tiny)
    mean = ((kept * distance).sum(dim=-1) / mass).mean(dim=-1)
    return mean.reshape(len(images), windows, heads).mean(dim=1).double().cpu()
