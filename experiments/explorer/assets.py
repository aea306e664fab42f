"""What the page loads: one script a model, one a photograph, and one that names them all.

Scripts and not JSON, because a page that is opened as a file may load scripts and nothing else.
Weights have half precision, two bytes each; filters stay in single precision.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from experiments.core.checkpoint import load_weights
from experiments.core.config import RunConfig
from experiments.core.evaluation import embed, held_out
from experiments.core.folder import RunFolder
from experiments.core.records import read_json
from experiments.explorer.choice import CROP, MODELS, PHOTOGRAPHS, WINDOW, ModelChoice, Place
from experiments.explorer.graph import trace
from experiments.explorer.store import STORE, read_models, rounded
from wavevit.alignment import PhaseLock
from wavevit.checks import fail
from wavevit.data import Scenes, load_photograph
from wavevit.data.photographs import NAMES
from wavevit.files import write_whole
from wavevit.measure import cost
from wavevit.measure.evaluation import in_batches
from wavevit.models import Backbone, BackboneConfig

_NO_ALIGNMENT = {"alignment": "none", "alignment_boundary": "circular"}


def _base64(array: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()


def write_script(path: Path, call: str, asset: dict[str, Any]) -> None:
    """``call(asset);`` as a file, a line for each field."""
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in asset.items()]
    text = f"{call}({{\n" + ",\n".join(lines) + "\n});\n"
    write_whole(path, text.encode())


def _without_alignment(config: BackboneConfig) -> BackboneConfig:
    return BackboneConfig.from_dict({**config.to_dict(), **_NO_ALIGNMENT})


def _lock(model: Backbone) -> dict[str, Any] | None:
    """What `alignment.js` needs to know."""
    config = model.config
    if config.alignment == "none":
        return None
    lock = model.alignment
    if not isinstance(lock, PhaseLock) or lock.shift != "integer":
        got = f"{config.alignment!r}, options {config.options('alignment')}"
        fail("alignment", "'none' or an integer 'phase_lock'", got)
    return {"boundary": config.alignment_boundary, "period": lock.period or CROP}


def measured(config: RunConfig, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Top-1 and the unit of distances of these weights, as they are.

    ``unit`` is the mean distance between the embeddings of the study's measured held-out crops, as
    in `wavevit.measure.shift_sensitivity`.
    """
    model = Backbone(config.model).eval()
    model.load_state_dict(dict(weights))
    scenes, batch = held_out(config.data, torch.device("cpu"))
    crops = scenes.center(batch.images)
    few = crops[: config.data.measured_crops]
    with torch.no_grad():
        right = in_batches(model, crops, 128).argmax(1) == batch.labels
        embeddings = in_batches(lambda x: embed(model, x), few, 128).double()
    return {
        "top1": 100 * float(right.double().mean()),
        "test_crops": len(crops),
        "unit": float(torch.pdist(embeddings).mean()),
        "unit_crops": len(few),
    }


def trained(choice: ModelChoice, run: RunFolder) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights of a trained run, rounded as they are stored, and the facts of the run."""
    if not run.weights.exists():
        fail("runs", f"a trained run of {choice.variant!r}", f"{run.path}")
    config = run.load_config()
    model = Backbone(config.model)
    load_weights(run.weights, model)
    weights = rounded(model.state_dict())
    facts = {
        "study": choice.study,
        "variant": choice.variant,
        "seed": config.seed,
        "weights_sha256": hashlib.sha256(run.weights.read_bytes()).hexdigest(),
        "code": read_json(run.environment)["code"],
        **measured(config, weights),
        "config": config.to_dict(),
    }
    return weights, facts


@torch.no_grad()
def make_model_asset(
    choice: ModelChoice, weights: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """A model as the page loads it: plain data. Its weights are values that half precision has."""
    config = RunConfig.from_dict(facts["config"])
    model = Backbone(config.model).eval()
    model.load_state_dict(dict(weights))
    plain = Backbone(_without_alignment(config.model)).eval()
    plain.load_state_dict(dict(weights))
    graph = trace(plain, CROP)
    data = config.data
    scenes = Scenes(data.held_out, data.crop_size, data.margin, max_short_side=data.max_short_side)
    shapes = [[name, list(tensor.shape)] for name, tensor in graph.weights.items()]
    if set(graph.weights) != set(weights):
        fail("model", "a graph that reads every weight", f"{len(graph.weights)} of them")
    return {
        "name": choice.name,
        "title": choice.title,
        "about": choice.about,
        **facts,
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "macs": cost(model, torch.zeros(1, config.model.in_chans, CROP, CROP)).macs,
        "lock": _lock(model),
        "classes": list(scenes.classes),
        "graph": {
            "input": [1, config.model.in_chans, CROP, CROP],
            "weights": shapes,
            "constants": [[name, list(t.shape)] for name, t in graph.constants.items()],
            "nodes": graph.nodes,
            "outputs": graph.outputs,
        },
        "constants": _base64(_joined(list(graph.constants.values())).numpy().astype("<f4")),
        "weights": _base64(_joined(list(graph.weights.values())).numpy().astype("<f2")),
    }


def _joined(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten().float() for tensor in tensors])


def make_photograph_asset(place: Place) -> dict[str, Any]:
    """A window of a photograph: its luminance in 8 bits, exactly, and its colours as a JPEG."""
    rows = slice(place.row, place.row + WINDOW)
    columns = slice(place.column, place.column + WINDOW)
    grey = load_photograph(place.photograph)
    height, width = grey.shape
    if place.row + WINDOW > height or place.column + WINDOW > width or place.column < width // 2:
        fail("place", f"a window in the right half of {place.photograph!r}", place)
    color = load_photograph(place.photograph, color=True)[:, rows, columns]
    picture = Image.fromarray((color * 255).round().byte().permute(1, 2, 0).numpy())
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88)
    return {
        "name": place.photograph,
        "title": place.title,
        "credit": place.credit,
        "label": NAMES.index(place.photograph),
        "side": WINDOW,
        "row": place.row,
        "column": place.column,
        "grey": _base64((grey[rows, columns] * 255).round().byte().numpy()),
        "picture": "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode(),
    }


def write_model(choice: ModelChoice, folder: Path) -> Path:
    """Writes the script of a stored model; returns its path."""
    weights, facts = read_models(STORE)[choice.name]
    path = folder / "models" / f"{choice.name}.js"
    write_script(path, "shiftExplorer.addModel", make_model_asset(choice, weights, facts))
    return path


def write_photographs(folder: Path) -> list[Path]:
    """Writes the script of each photograph and the one that names all there is."""
    chosen = {
        "models": [[choice.name, choice.title] for choice in MODELS],
        "photographs": [place.photograph for place in PHOTOGRAPHS],
    }
    paths = [folder / "choice.js"]
    write_script(paths[0], "shiftExplorer.choose", chosen)
    for place in PHOTOGRAPHS:
        paths.append(folder / "photographs" / f"{place.photograph}.js")
        write_script(paths[-1], "shiftExplorer.addPhotograph", make_photograph_asset(place))
    return paths
