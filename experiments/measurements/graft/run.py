"""One run of the measurement `graft`: a method on the model of one seed, distilled and measured."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.core.checkpoint import load_weights, save_weights
from experiments.core.config import RunConfig
from experiments.core.evaluation import held_out_windows
from experiments.core.folder import slug
from experiments.core.kept_figures import kept_figures
from experiments.core.records import read_json, write_json
from experiments.measurements.graft.methods import (
    BRANCH_FACTOR,
    METHODS,
    Method,
    Setting,
    student,
    views_of,
)
from experiments.measurements.graft.originals import (
    Plan,
    configuration,
    configuration_of,
    original,
    unlabelled,
)
from wavevit.grafting import distil, shift_averaged
from wavevit.grafting.windows import Photographs
from wavevit.measure import (
    jump_scan,
    local_lipschitz,
    shift_consistency,
    shift_sensitivity,
)
from wavevit.measure.evaluation import Model, in_batches
from wavevit.progress import in_steps

SHIFTS = (1, 2, 4, 8)
_CPU = torch.device("cpu")
# Different batches, and shifts that their targets average over. Few shifts: what the target of one
# window lacks, the others of its batch have, and more windows are worth more than better targets.
_BATCHES, _AVERAGED = 96, 4
_JUDGED = 128  # windows of the reports' held-out loss, which decides nothing
_EVERY = 100  # steps between evaluations
_STEEP = 18  # crops whose condition number and jumps are measured, one of each photograph


def run_method(plan: Plan, name: str, seed: int, setting: Setting) -> dict[str, Any]:
    """Distils and measures; a complete run is read, a killed one resumes.

    Args:
        plan: what all runs share.
        name: of the method.
        seed: of the model and of the distillation.
        setting: of the distillation; unused without training.
    """
    torch.set_num_threads(1)

    def figures() -> dict[str, Any]:
        model, teacher, found = changed(plan, name, seed, setting)
        found.pop("held_out_loss", None)  # the windows of "validation" are inside "train"
        return found | measured(METHODS[name], model, teacher, configuration(plan, seed))

    result = _folder(plan, name, seed, setting) / "measured.json"
    return kept_figures(result, _settings(plan, name, setting), figures)


def _folder(plan: Plan, name: str, seed: int, setting: Setting) -> Path:
    path = plan.folder / slug(name) / f"seed{seed}"
    return path / slug(f"{plan.split} {setting.title}") if METHODS[name].train else path


def _settings(plan: Plan, name: str, setting: Setting) -> dict[str, Any]:
    if not METHODS[name].train:
        return {"method": name}
    method = dataclasses.asdict(METHODS[name])
    method["options"] = [list(pair) for pair in method["options"]]  # as JSON gives it back
    return {
        "method": method,
        "steps": plan.steps,
        "batch": plan.batch,
        "rate": setting.rate,
        "still": setting.still,
        "split": plan.split,
        "batches": _BATCHES,
        "shifts": _AVERAGED,
    }


def changed(
    plan: Plan, name: str, seed: int, setting: Setting
) -> tuple[nn.Module, nn.Module, dict[str, Any]]:
    """The changed model, the original, and what the distillation's report says."""
    method, config, teacher = METHODS[name], configuration_of(plan, seed), original(plan, seed)
    model = student(method, teacher)
    if not method.train:
        return model, teacher, {}
    size, patch = config.data.crop_size, config.model.patch_size
    report = distilled(
        method,
        model,
        teacher,
        _folder(plan, name, seed, setting),
        _settings(plan, name, setting),
        unlabelled(config.data, plan.split, patch),
        setting.rate,
        held_out=unlabelled(config.data, "validation", patch),
        crop_size=size,
        steps=plan.steps,
        patience=None,
        batch_size=plan.batch,
        batches=_BATCHES,
        shifts=_AVERAGED,
        still=setting.still,
        judged=_JUDGED,
        evaluate_every=_EVERY,
        seed=seed,
    )
    return model, teacher, report


def distilled(
    method: Method,
    model: nn.Module,
    teacher: nn.Module,
    folder: Path,
    settings: Mapping[str, Any],
    photographs: Photographs,
    rate: float,
    **arguments: Any,
) -> dict[str, Any]:
    """Trains the model, or loads what was trained; what its report says.

    Minutes only plan the steps: all of them are taken, also if the machine becomes slower.

    Args:
        method: what is trained.
        model: from `student`; changed in place.
        teacher: the original.
        folder: of the run, where weights, report and checkpoint are.
        settings: what the result follows from; weights of other settings are not taken.
        photographs: see `distil`.
        rate: peak learning rate of the model's own parameters.
        **arguments: more of `distil`'s.
    """
    weights, report = folder / "weights.safetensors", folder / "distillation.json"
    if weights.exists() and report.exists():
        held = read_json(report)
        if held.pop("settings") == settings:
            load_weights(weights, model)
            return dict(held)
    train = partial(
        distil,
        model,
        teacher,
        photographs,
        train=method.train,
        lr=BRANCH_FACTOR * rate,
        own_lr=rate,
        checkpoint=folder / "checkpoint.safetensors",
        **arguments,
    )
    while not (found := train()).complete:  # its minutes are over: the same call continues
        pass
    save_weights(weights, model)
    noted = {
        "steps": found.steps,
        "best_step": found.best_step,
        "minutes": round(found.seconds / 60, 2),
        "trained": found.parameters,
        "held_out_loss": list(found.loss),
    }
    write_json(report, {"settings": settings, **noted})
    return noted


def ideal(
    teacher: nn.Module,
    windows: Tensor,
    size: int,
    patch: int,
    batch: int = 64,
    progress: bool = False,
) -> Tensor:
    """The teacher's features averaged over shifts by less than a patch, (B, D).

    Every second pixel, of patches of 32 pixels every fourth: neighbouring pixels are alike, and the
    mean over all of them takes four times as long.
    """
    places = range(-(patch // 2), patch - patch // 2, max(2, patch // 8))
    offsets = [(row, column) for row in places for column in places]
    parts = in_steps(
        windows.split(batch), lambda part: "targets, averaged over shifts", shown=progress
    )
    with torch.no_grad():
        return torch.cat([shift_averaged(teacher, part, offsets, size) for part in parts])


def cosines(features: Tensor, targets: Tensor) -> dict[str, float]:
    """Mean cosine of features to their targets; as they are, and without the mean image."""
    middle = targets.mean(0)
    plain = F.cosine_similarity(features, targets).mean()
    centred = F.cosine_similarity(features - middle, targets - middle).mean()
    return {"cosine": float(plain), "centred_cosine": float(centred)}


def measured(
    method: Method, model: nn.Module, teacher: nn.Module, config: RunConfig
) -> dict[str, Any]:
    """The figures of a method on the held-out crops of the study."""
    data, patch = config.data, config.model.patch_size
    source, batch = held_out_windows(data, _CPU)
    logits, embed = views_of(method, model, patch)
    crops, size = source.cut(batch.images, (0, 0)), data.crop_size
    right = in_batches(logits, crops, 128).argmax(dim=1) == batch.labels
    few = batch.images[: data.measured_crops]
    consistency = shift_consistency(
        logits,
        batch.images[: len(batch.images) // 3],
        kind="crop",
        crop_size=size,
        pairs_per_image=2,
    )
    sensitivity = shift_sensitivity(embed, few, SHIFTS, kind="crop", crop_size=size)
    compared = few[: len(few) // 2]
    features = in_batches(embed, source.cut(compared, (0, 0)), 128)
    return {
        "top1": 100 * float(right.double().mean()),
        "s_cons": consistency.percent,
        "sensitivity": list(sensitivity.values),
        **cosines(features, ideal(teacher, compared, size, patch)),
        **({} if method.phases > 1 else continuity(method, model, crops[:_STEEP], patch)),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def continuity(method: Method, model: nn.Module, crops: Tensor, patch: int) -> dict[str, float]:
    """Condition number and largest jump on sub-pixel paths, in float64."""
    embed: Model = views_of(method, copy.deepcopy(model).double(), patch)[1]
    images = crops.double()
    steep = local_lipschitz(embed, images, iterations=8)
    scan = jump_scan(embed, images, steps=16, candidates=1)
    return {"condition": steep.median_relative, "jumps": float(sum(scan.jumps()))}


def timed(plan: Plan, names: Sequence[str], seed: int) -> dict[str, Model]:
    """What is timed: images to logits, by method; weights do not matter to the time."""
    teacher, patch = original(plan, seed), plan.config.model.patch_size
    return {
        name: views_of(METHODS[name], student(METHODS[name], teacher), patch)[0] for name in names
    }
