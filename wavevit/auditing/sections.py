"""The sections of an audit. Each measures one thing; one that breaks never hides the others."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wavevit.auditing.samples import Samples
from wavevit.auditing.targets import Target
from wavevit.measure import (
    adversarial_shift_accuracy,
    attention_distance,
    center_crop,
    cost,
    effective_rank,
    jacobian_spectrum,
    jump_scan,
    local_lipschitz,
    peak_activation_bytes,
    scale_sensitivity,
    shift_consistency,
    shift_sensitivity,
    shifted,
    token_change,
    token_turnover,
)
from wavevit.measure.evaluation import in_batches

__all__ = ["HEAT_KINDS", "SECTIONS", "Scene", "curve_shifts", "heat_shifts", "run_section"]

BATCH = 16
CONSISTENCIES = {"c_cons": "circular", "s_cons": "crop", "hp_cons": "subpixel"}
HEAT_KINDS = ("circular", "crop")
ZOOMS = (0.71, 0.84, 1.19, 1.41, 2.0)  # the first is as far out as the windows reach


class NotApplicable(Exception):
    """Why a section has nothing to measure in this model."""


@dataclass(frozen=True)
class Scene:
    """What a section works with.

    Attributes:
        target: the model.
        windows: (N, C, W, W) pictures with a margin around the crop, see `Pictures.windows`.
        samples: how much to look at.
        seed: of everything drawn.
    """

    target: Target
    windows: Tensor
    samples: Samples
    seed: int

    @property
    def crops(self) -> Tensor:
        """The middles of the windows, what the model sees when nothing moves."""
        return center_crop(self.windows, (self.target.size, self.target.size))

    def pictures(self, kind: str) -> Tensor:
        """What `wavevit.measure` wants as images for this shift model."""
        return self.windows if kind == "crop" else self.crops


def curve_shifts(size: int, kind: str) -> tuple[float, ...]:
    """Shifts of a sensitivity curve: powers of two up to 1/7 of the side (32 px at 224).

    A roll moves by whole pixels, a crop by half a pixel too. Sub-pixel shifts end on half a
    pixel: at whole ones the Fourier shift *is* the roll.
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
    found: dict[str, Any] = {"classes_seen": len(classes), "pictures": len(scene.windows)}
    for name, kind in CONSISTENCIES.items():
        result = shift_consistency(
            target.logits,
            scene.pictures(kind),
            kind=kind,
            crop_size=target.size,
            pairs_per_image=scene.samples.pairs_per_picture,
            seed=scene.seed,
            batch_size=BATCH,
        )
        low, high = result.interval
        found[name] = _fields(result) | {"low": low, "high": high}
    return found


def _worst_shift(scene: Scene) -> dict[str, Any]:
    """Photographs have no label that every model knows: right is what the model said unmoved."""
    target, count = scene.target, scene.samples.worst_pictures
    if target.unclassed:
        raise NotApplicable(target.unclassed)
    own = in_batches(target.logits, scene.crops[:count], BATCH).argmax(dim=1)
    return {
        kind: _fields(
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
    target, count = scene.target, scene.samples.sensitivity_pictures
    return {
        kind: _fields(
            shift_sensitivity(
                target.embed,
                scene.pictures(kind)[:count],
                curve_shifts(target.size, kind),
                kind=kind,
                crop_size=target.size,
                batch_size=BATCH,
            )
        )
        for kind in ("circular", "crop", "subpixel")
    }


def _tokens(scene: Scene) -> dict[str, Any]:
    target, size = scene.target, scene.target.size
    if target.tokens is None:
        raise NotApplicable("the model has no forward_intermediates that would give a map")
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
        found[kind] = _fields(turnover) | {
            "map_shifts": list(heat_shifts(size)),
            "maps": [[[round(v, 3) for v in row] for row in m.tolist()] for m in changes],
        }
    return found


def _attention(scene: Scene) -> dict[str, Any]:
    target = scene.target
    images = target.seen(scene.crops[: scene.samples.attention_pictures])
    try:
        result = attention_distance(target.attending, images)
    except ValueError as error:  # no attention, or none over tokens that lie on a grid
        raise NotApplicable(str(error)) from error
    # Of two points drawn from a square (Philip 2007): what attention to everything alike gives.
    uniform = target.size * (2 + math.sqrt(2) + 5 * math.log(1 + math.sqrt(2))) / 15
    return _fields(result) | {"by_layer": list(result.by_layer), "uniform": uniform}


def _continuity(scene: Scene) -> dict[str, Any]:
    target, samples = scene.target, scene.samples
    images = scene.crops[: samples.jacobian_pictures]
    result = local_lipschitz(
        target.embed, images, iterations=samples.jacobian_iterations, seed=scene.seed
    )
    spectrum = jacobian_spectrum(target.embed, images[:1], samples.singular_values, seed=scene.seed)
    return _fields(result) | {
        "median_absolute": result.median_absolute,
        "median_relative": result.median_relative,
        "singular_values": list(spectrum.values),
    }


def _jumps(scene: Scene) -> dict[str, Any]:
    target, samples = scene.target, scene.samples
    result = jump_scan(
        copy.deepcopy(target.embed).double(),
        scene.crops[: samples.jump_pictures].double(),
        steps=samples.jump_steps,
        candidates=1,
        batch_size=BATCH,
    )
    return _fields(result) | {"jumps": list(result.jumps()), "largest_jump": result.largest_jump}


def _scale(scene: Scene) -> dict[str, Any]:
    size = scene.target.size
    return _fields(
        scale_sensitivity(
            scene.target.embed, scene.windows, ZOOMS, crop_size=size, batch_size=BATCH
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
    return _fields(effective_rank(scene.target.embed, crops, batch_size=BATCH, seed=scene.seed))


def _cost(scene: Scene) -> dict[str, Any]:
    one = scene.crops[:1]
    found = cost(scene.target.logits, one)
    return _fields(found) | {"peak_bytes": peak_activation_bytes(scene.target.logits, one)}


SECTIONS: dict[str, Callable[[Scene], dict[str, Any]]] = {
    "consistency": _consistency,
    "worst_shift": _worst_shift,
    "sensitivity": _sensitivity,
    "tokens": _tokens,
    "attention": _attention,
    "continuity": _continuity,
    "jumps": _jumps,
    "scale": _scale,
    "rank": _rank,
    "cost": _cost,
}


def run_section(name: str, scene: Scene) -> tuple[dict[str, Any], float]:
    """One section of one model.

    Args:
        name: of `SECTIONS`.
        scene: see `Scene`.

    Returns:
        ``{"status": "measured", "figures": …}``, ``{"status": "not applicable", "reason": …}`` or
        ``{"status": "failed", "error": …}``; and the seconds that it took.
    """
    started = time.perf_counter()
    entry: dict[str, Any]
    try:
        entry = {"status": "measured", "figures": _plain(SECTIONS[name](scene))}
    except NotApplicable as error:
        entry = {"status": "not applicable", "reason": str(error)}
    except Exception as error:  # of somebody's model: said, and the next section goes on
        message = " ".join(f"{type(error).__name__}: {error}".split())
        entry = {"status": "failed", "error": message[:400]}
    return entry, time.perf_counter() - started


def _fields(result: Any) -> dict[str, Any]:
    return {name: getattr(result, name) for name in result.__dataclass_fields__}


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
