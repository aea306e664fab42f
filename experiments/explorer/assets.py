"""What the page loads: one script a model, one for all photographs.

Scripts and not JSON, because a page that is opened as a file may load scripts and nothing else.
Weights are rounded to half precision, two bytes each; filters stay in single precision.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
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
from experiments.core.records import write_bytes
from experiments.explorer.choice import CROP, WINDOW, ModelChoice, Place
from experiments.explorer.graph import trace
from wavevit.alignment import PhaseLock
from wavevit.checks import fail
from wavevit.data import load_photograph
from wavevit.data.photographs import NAMES
from wavevit.measure import cost
from wavevit.measure.evaluation import in_batches
from wavevit.models import Backbone, BackboneConfig

__all__ = [
    "make_model_asset",
    "make_photograph_asset",
    "model_of",
    "read_script",
    "window_of",
    "write_script",
]

_NO_ALIGNMENT = {"alignment": "none", "alignment_boundary": "circular"}


def _base64(array: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()


def write_script(path: Path, call: str, asset: dict[str, Any]) -> None:
    """``call(asset);`` as a file, a line for each field."""
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in asset.items()]
    text = f"{call}({{\n" + ",\n".join(lines) + "\n});\n"
    write_bytes(path, text.encode())


def read_script(path: Path) -> list[dict[str, Any]]:
    """The assets of a file that `write_script` wrote, or of several such files in one."""
    text = path.read_text()
    parts = text.split("shiftExplorer.")[1:]
    return [json.loads(part[part.index("(") + 1 : part.rindex(")")]) for part in parts]


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


def _halved(model: Backbone) -> None:
    """Rounds all weights to half precision, in place."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(tensor.half())


@torch.no_grad()
def make_model_asset(choice: ModelChoice, run: RunFolder) -> dict[str, Any]:
    """A trained run as the page loads it.

    Args:
        choice: which one it is.
        run: its folder, trained.

    Returns:
        Plain data. ``unit`` is the mean distance between the embeddings of the study's measured
        held-out crops, as in `wavevit.measure.shift_sensitivity`. It, ``top1`` and ``macs`` are
        those of the weights as they are written here.
    """
    if not run.weights.exists():
        fail("runs", f"a trained run of {choice.variant!r}", f"{run.path}")
    config = run.load_config()
    model = Backbone(config.model)
    load_weights(run.weights, model)
    _halved(model.eval())
    plain = Backbone(_without_alignment(config.model)).eval()
    plain.load_state_dict(model.state_dict())
    graph = trace(plain, CROP)
    scenes, batch = held_out(config.data, torch.device("cpu"))
    crops = scenes.center(batch.images)
    logits = in_batches(model, crops, 128)
    few = crops[: config.data.measured_crops]
    embeddings = in_batches(lambda x: embed(model, x), few, 128).double()
    weights = list(graph.weights.items())
    if {name for name, _ in weights} != set(model.state_dict()):
        fail("model", "a graph that reads every weight", f"{len(weights)} of them")
    return {
        "name": choice.name,
        "title": choice.title,
        "about": choice.about,
        "study": choice.study,
        "variant": choice.variant,
        "seed": config.seed,
        "weights_sha256": hashlib.sha256(run.weights.read_bytes()).hexdigest(),
        "code": json.loads(run.environment.read_text())["code"],
        "parameters": sum(tensor.numel() for _, tensor in weights),
        "macs": cost(model, crops[:1]).macs,
        "top1": 100 * float((logits.argmax(1) == batch.labels).double().mean()),
        "test_crops": len(crops),
        "unit": float(torch.pdist(embeddings).mean()),
        "unit_crops": len(few),
        "lock": _lock(model),
        "classes": list(scenes.classes),
        "config": config.to_dict(),
        "graph": {
            "input": [1, config.model.in_chans, CROP, CROP],
            "weights": [[name, list(tensor.shape)] for name, tensor in weights],
            "constants": [[name, list(t.shape)] for name, t in graph.constants.items()],
            "nodes": graph.nodes,
            "outputs": graph.outputs,
        },
        "constants": _base64(_joined(list(graph.constants.values())).numpy().astype("<f4")),
        "weights": _base64(_joined([t for _, t in weights]).numpy().astype("<f2")),
    }


def _joined(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten().float() for tensor in tensors])


def model_of(asset: dict[str, Any]) -> Backbone:
    """The model of an asset, with its alignment: what the page computes, in PyTorch."""
    model = Backbone(RunConfig.from_dict(asset["config"]).model).eval()
    data = np.frombuffer(base64.b64decode(asset["weights"]), "<f2").astype(np.float32)
    sizes = [int(np.prod(shape)) for _, shape in asset["graph"]["weights"]]
    parts = torch.from_numpy(data).split(sizes)
    named = zip(asset["graph"]["weights"], parts, strict=True)
    model.load_state_dict({name: part.reshape(shape) for (name, shape), part in named})
    return model


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


def window_of(asset: dict[str, Any]) -> Tensor:
    """The luminance of a photograph's asset, (1, 1, side, side) float32 in [0, 1]."""
    data = np.frombuffer(base64.b64decode(asset["grey"]), np.uint8)
    side = asset["side"]
    return torch.from_numpy(data.astype(np.float32) / 255).reshape(1, 1, side, side)
