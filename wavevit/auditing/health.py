"""Checks before the sections: outputs are finite, differ between pictures, and repeat."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wavevit.auditing.scene import BATCH, Scene
from wavevit.auditing.targets import Target
from wavevit.auditing.tracing import eager
from wavevit.measure import shifted
from wavevit.measure.evaluation import evaluation_mode

__all__ = ["Health", "examined_health"]

_LOGITS = ("consistency", "worst_shift")
_EMBED = ("sensitivity", "continuity", "jumps", "scale", "rank")
_MAPS = ("tokens", "map", "attention")
_NOISE = 1e-4  # of the output: what rounding explains


class Health:
    """What stands in the way of sections.

    Attributes:
        failed: section name to why it has nothing to measure: outputs that are not finite.
        idle: the same for outputs that are alike for all pictures.
        notes: what else a reader has to know.
    """

    def __init__(self) -> None:
        self.failed: dict[str, str] = {}
        self.idle: dict[str, str] = {}
        self.notes: list[str] = []


def examined_health(scene: Scene) -> Health:
    """Runs a model on its pictures, twice, and on three moved sets of them.

    A model that throws something is left to the sections, which report it.
    """
    health, target = Health(), scene.target
    try:
        with eager():
            words = _broken(target.logits, scene)
            if words:
                health.failed |= dict.fromkeys(_LOGITS + _MAPS, words)
                # Features may be finite where a classifier overflows.
                features = _broken(target.embed, scene)
                health.failed |= dict.fromkeys(_EMBED, features) if features else {}
                return health
            logits, again, embed = (
                _outputs(view, scene.crops) for view in (target.logits, target.logits, target.embed)
            )
    except Exception:  # of somebody's model
        return health
    count = len(scene.crops)
    if _alike(logits):
        reason = f"the model gives the same output for all {count} pictures{_why(target)}"
        health.idle |= dict.fromkeys(_LOGITS, reason)
    if _alike(embed):
        what = "output" if target.embed is target.logits else "features"
        reason = f"the model gives the same {what} for all {count} pictures{_why(target)}"
        health.idle |= dict.fromkeys(_EMBED, reason)
    change = float((again - logits).double().norm())
    if change > _NOISE * float(logits.double().norm()):
        spread = float((logits - logits.roll(1, 0)).double().norm())
        share = f"{100 * change / spread:.2g} % of" if spread else "more than"
        reason = (
            "gives another output for the same pictures each time (dropout or other randomness "
            f"that eval() does not switch off): the change is {share} that between two pictures"
        )
        health.notes.append(f"{reason}, and all figures include this noise")
        health.idle |= dict.fromkeys(("continuity", "jumps"), f"the model {reason}")
    return health


def _outputs(view: Callable[[Tensor], Tensor], pictures: Tensor) -> Tensor:
    with torch.no_grad(), evaluation_mode(view):
        return torch.cat([view(part) for part in pictures.split(BATCH)])


def _broken(view: Callable[[Tensor], Tensor], scene: Scene) -> str:
    """How many pictures get NaN or infinity, as they are or moved as sections move them."""
    size = (scene.target.size, scene.target.size)
    sets = {"": scene.crops}
    for kind, shift in (("circular", 1.0), ("crop", 1.0), ("subpixel", 0.5)):
        moved = shifted(scene.pictures(kind), (shift, shift), kind, size)
        sets[f" after a shift by {shift:g} px ({kind})"] = moved
    for words, pictures in sets.items():
        outputs = _outputs(view, pictures)
        wrong = int((~torch.isfinite(outputs)).flatten(1).any(dim=1).sum())
        if wrong:
            return f"the model gives NaN or infinity for {wrong} of {len(outputs)} pictures{words}"
    return ""


def _alike(outputs: Tensor) -> bool:
    return len(outputs) > 1 and bool((outputs == outputs[:1]).all())


def _why(target: Target) -> str:
    """A classifier that was never trained starts from zero."""
    if target.last is None or bool(target.last.layer.weight.any()):
        return ""
    return f" (the weights of its last layer, {target.last.name}, are all zero)"
