"""Sections of an audit. Each measures one thing; an error in one does not stop the others."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch

from wavevit.auditing.scene import BATCH, NotApplicable, Scene, fields_of
from wavevit.auditing.steepness import continuity, jumps
from wavevit.auditing.tracing import eager
from wavevit.measure import (
    adversarial_shift_accuracy,
    attention_distance,
    cost,
    effective_rank,
    equivariance_error,
    peak_activation_bytes,
    scale_sensitivity,
    shift_consistency,
    shift_sensitivity,
    shifted,
    token_change,
    token_turnover,
)
from wavevit.measure.evaluation import in_batches
from wavevit.models import Backbone, token_counts

__all__ = [
    "HEAT_KINDS",
    "QUICK",
    "SECTIONS",
    "WORK",
    "NotApplicable",
    "Scene",
    "curve_shifts",
    "heat_shifts",
    "run_section",
]

CONSISTENCIES = {"c_cons": "circular", "s_cons": "crop", "hp_cons": "subpixel"}
HEAT_KINDS = ("circular", "crop")
_QUANTIZED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")
ZOOMS = (0.71, 0.84, 1.19, 1.41, 2.0)  # the first is as far out as the windows reach


def curve_shifts(size: int, kind: str) -> tuple[float, ...]:
    """Shifts of a sensitivity curve: powers of two up to 1/7 of the side (32 px at 224).

    Circular shifts are by whole pixels, crop shifts also by half a pixel. Sub-pixel shifts end on
    half a pixel: for whole pixels the Fourier shift equals `torch.roll`.
    """
    whole = [float(2**k) for k in range(6) if 2**k <= max(size // 7, 1)]
    if kind == "circular":
        return tuple(whole)
    return (0.5, *whole) if kind == "crop" else (0.5, *(shift + 0.5 for shift in whole))


def heat_shifts(size: int) -> tuple[int, ...]:
    """Shifts of the token maps, in pixels to the right."""
    return tuple(s for s in (1, 2, 4, 8, 16) if s <= max(size // 7, 1))


def _consistency(scene: Scene) -> dict[str, Any]:
    target = scene.target
    if target.unclassed:
        raise NotApplicable(target.unclassed)
    classes = in_batches(target.logits, scene.crops, BATCH).argmax(dim=1).unique()
    pairs = scene.samples.pairs_per_picture
    found: dict[str, Any] = {"classes_seen": len(classes), "pictures": len(scene.windows)}
    for name, kind in CONSISTENCIES.items():
        result = shift_consistency(
            target.logits,
            scene.pictures(kind),
            kind=kind,
            crop_size=target.size,
            pairs_per_image=pairs,
            crossed=math.isqrt(pairs) ** 2 == pairs,
            seed=scene.seed,
            batch_size=BATCH,
        )
        low, high = result.interval
        found[name] = fields_of(result) | {"low": low, "high": high}
    return found


def _worst_shift(scene: Scene) -> dict[str, Any]:
    """Photographs have no label that every model knows: right is what the model said unmoved."""
    target, count = scene.target, scene.samples.worst_pictures
    if target.unclassed:
        raise NotApplicable(target.unclassed)
    own = in_batches(target.logits, scene.crops[:count], BATCH).argmax(dim=1)
    return {
        kind: fields_of(
            adversarial_shift_accuracy(
                target.logits,
                scene.pictures(kind)[:count],
                own,
                scene.samples.worst_radius,
                kind=kind,
                crop_size=target.size,
                batch_size=BATCH,
            )
        )
        for kind in ("circular", "crop")
    }


def _sensitivity(scene: Scene) -> dict[str, Any]:
    target, samples = scene.target, scene.samples
    found: dict[str, Any] = {}
    for kind in ("circular", "crop", "subpixel"):
        pictures = scene.pictures(kind)[: samples.sensitivity_pictures]
        shifts = curve_shifts(target.size, kind)
        # The verdict is about the smallest shifts; the curve's other points come with error bars.
        curve = min(samples.curve_pictures, len(pictures))
        result = shift_sensitivity(
            target.embed,
            pictures,
            shifts,
            kind=kind,
            crop_size=target.size,
            counts=[len(pictures) if shift <= 1 else curve for shift in shifts],
            batch_size=BATCH,
        )
        found[kind] = fields_of(result)
    return found


def _tokens(scene: Scene) -> dict[str, Any]:
    target, size = scene.target, scene.target.size
    if target.tokens is None:
        raise NotApplicable(
            "the model has no map of tokens: no forward_intermediates, no hidden states on a "
            "square grid, and its output is no map"
        )
    found: dict[str, Any] = {}
    for kind in HEAT_KINDS:
        turnover = token_turnover(
            target.tokens,
            scene.pictures(kind)[: scene.samples.sensitivity_pictures],
            (0, 1),
            kind=kind,
            crop_size=size,
            batch_size=BATCH,
        )
        picture = scene.pictures(kind)[:1]
        moved = [shifted(picture, (0, s), kind, (size, size)) for s in (0, *heat_shifts(size))]
        still, *maps = in_batches(target.tokens, torch.cat(moved), BATCH).split(1)
        changes = [token_change(still, after)[0] for after in maps]
        found[kind] = fields_of(turnover) | {
            "map_shifts": list(heat_shifts(size)),
            "maps": [[[round(v, 3) for v in row] for row in m.tolist()] for m in changes],
        }
    return found


def _map(scene: Scene) -> dict[str, Any]:
    """A circular shift, and a crop shift, by 1 px to the right."""
    target = scene.target
    if target.dense is None:
        raise NotApplicable("the model has no map: neither its output nor its tokens are a map")
    found: dict[str, Any] = {"of": "output" if target.outputs_map else "tokens"}
    cells = in_batches(target.dense, scene.crops[:1], BATCH).shape[-2:]
    if min(cells) < 2:
        raise NotApplicable(f"the map has {cells[0]} × {cells[1]} positions: too few for a shift")
    for kind in HEAT_KINDS:
        pictures = scene.pictures(kind)[: scene.samples.sensitivity_pictures]
        try:
            result = equivariance_error(
                target.dense,
                pictures,
                (0, 1),
                kind=kind,
                crop_size=target.size,
                batch_size=BATCH,
            )
        except ValueError as error:  # a map of which no cell has a place of its own
            raise NotApplicable(str(error)) from error
        figures = fields_of(result)
        del figures["decibel"]  # infinite for an exact map
        found[kind] = figures
    return found


def _attention(scene: Scene) -> dict[str, Any]:
    target = scene.target
    if target.opaque:
        raise NotApplicable(target.opaque)
    count = scene.samples.attention_pictures
    if target.batch is not None:
        count = target.batch
        if len(scene.crops) < count:
            raise NotApplicable(
                f"the model takes batches of {count} pictures only, and there are fewer"
            )
    images = target.seen(scene.crops[:count]).to(target.seen.takes)
    try:
        result = attention_distance(target.attending, images)
    except ValueError as error:  # no attention, or none over tokens that lie on a grid
        raise NotApplicable(str(error)) from error
    # Of two points drawn from a square (Philip 2007): what attention to everything alike gives.
    uniform = target.size * (2 + math.sqrt(2) + 5 * math.log(1 + math.sqrt(2))) / 15
    return fields_of(result) | {"by_layer": list(result.by_layer), "uniform": uniform}


def _scale(scene: Scene) -> dict[str, Any]:
    size, count = scene.target.size, scene.samples.sensitivity_pictures
    return fields_of(
        scale_sensitivity(
            scene.target.embed, scene.windows[:count], ZOOMS, crop_size=size, batch_size=BATCH
        )
    )


def _rank(scene: Scene) -> dict[str, Any]:
    """The middle and the four corners of each window: five crops tell more than one."""
    size = scene.target.size
    corners = [
        scene.windows[..., rows, columns]
        for rows in (slice(0, size), slice(-size, None))
        for columns in (slice(0, size), slice(-size, None))
    ]
    crops = torch.cat([scene.crops, *corners])
    return fields_of(effective_rank(scene.target.embed, crops, batch_size=BATCH, seed=scene.seed))


def _cost(scene: Scene) -> dict[str, Any]:
    target = scene.target
    if target.opaque:
        raise NotApplicable(f"{target.opaque}, so its operations cannot be counted")
    images = scene.crops[:1].expand(target.batch or 1, -1, -1, -1)
    found = cost(target.logits, images)
    # Of a function those of the modules that it calls.
    parameters = {p for module in target.modules for p in module.parameters()}
    quantized = sum(type(m).__module__.startswith(_QUANTIZED) for m in target.modules)
    return fields_of(found) | {
        "parameters": sum(p.numel() for p in parameters),
        "quantized": quantized,
        "peak_bytes": peak_activation_bytes(target.logits, images),
        **_adaptive_tokens(scene),
    }


def _adaptive_tokens(scene: Scene) -> dict[str, Any]:
    """Fewest and most tokens of a picture, where their number depends on it; else nothing."""
    for module in scene.target.modules:
        if isinstance(module, Backbone) and module.weighs_tokens:
            counts = token_counts(module, scene.crops)
            return {"fewest_tokens": int(counts.min()), "most_tokens": int(counts.max())}
    return {}


SECTIONS: dict[str, Callable[[Scene], dict[str, Any]]] = {
    "consistency": _consistency,
    "worst_shift": _worst_shift,
    "sensitivity": _sensitivity,
    "tokens": _tokens,
    "map": _map,
    "attention": _attention,
    "continuity": continuity,
    "jumps": jumps,
    "scale": _scale,
    "rank": _rank,
    "cost": _cost,
}

# Typical shares of the time of a ViT, for the estimate of what is left.
WORK: dict[str, float] = {
    "consistency": 17,
    "worst_shift": 25,
    "sensitivity": 20,
    "tokens": 5,
    "map": 3,
    "attention": 0.5,
    "continuity": 30,
    "jumps": 18,
    "scale": 6,
    "rank": 7,
    "cost": 0.5,
}

QUICK = ("consistency", "sensitivity", "tokens", "cost")


def run_section(name: str, scene: Scene) -> tuple[dict[str, Any], float]:
    """Runs one section for one model.

    Args:
        name: a key of `SECTIONS`.
        scene: see `Scene`.

    Returns:
        ``{"status": "measured", "figures": …}``, ``{"status": "not applicable", "reason": …}`` or
        ``{"status": "failed", "error": …}``; and its time in seconds.
    """
    started = time.perf_counter()
    entry: dict[str, Any]
    try:
        with eager():
            entry = {"status": "measured", "figures": _plain(SECTIONS[name](scene))}
    except NotApplicable as error:
        entry = {"status": "not applicable", "reason": str(error)}
    except Exception as error:  # of somebody's model: said, and the next section is measured
        message = " ".join(f"{type(error).__name__}: {error}".split())
        entry = {"status": "failed", "error": message[:400]}
    return entry, time.perf_counter() - started


def _plain(value: Any) -> Any:
    """Figures as JSON has them, six digits: what differs beyond is rounding.

    Raises:
        ValueError: a figure that is not finite.
    """
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"figure: expected a finite number, got {value}")
        return float(f"{value:.6g}")
    return value
