"""What the page of the Shift Explorer loads: complete, small, and the models that it says."""

from __future__ import annotations

import base64
import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.core.config import RunConfig
from experiments.core.folder import RunFolder
from experiments.explorer.assets import (
    make_photograph_asset,
    trained,
    write_photographs,
    write_script,
)
from experiments.explorer.choice import CROP, MODELS, PHOTOGRAPHS, WINDOW, Place
from experiments.explorer.graph import OPERATIONS, Graph, trace
from experiments.explorer.store import STORE, read_models, rounded, write_models
from experiments.studies import get_study
from tests.explorer_reader import built_asset, model_of, read_script, window_of
from wavevit.data import load_photograph
from wavevit.models import Backbone

ASSETS = Path(__file__).parents[2] / "docs" / "_static" / "explorer"
MODEL_NAMES = [choice.name for choice in MODELS]


def run(graph: Graph, x: Tensor) -> list[Tensor]:
    """A graph by torch: what each name of `OPERATIONS` means, said a second time."""
    values = {"x": x, **graph.constants, **graph.weights}
    for operation, name, inputs, attributes, shape in graph.nodes:
        a, *rest = (values[i] for i in inputs)
        match operation:
            case "reshape":
                value = a.reshape(shape)
            case "permute":
                value = a.permute(attributes[0])
            case "take":
                value = a.index_select(attributes[0], torch.tensor(attributes[1], dtype=torch.long))
            case "expand":
                value = a.expand(shape)
            case "cat":
                value = torch.cat([a, *rest], attributes[0])
            case "conv2d":
                stride, padding, groups = attributes
                value = F.conv2d(a, rest[0], None, stride, padding, 1, groups)
            case "mean":
                value = a.mean(attributes[0]).reshape(shape)
            case "var":
                value = a.var(attributes[0], correction=attributes[1]).reshape(shape)
            case "layer_norm":
                value = F.layer_norm(a, a.shape[-1:], rest[0], rest[1], attributes[0])
            case "softmax":
                value = a.softmax(-1)
            case "gelu":
                value = F.gelu(a)
            case "add" | "sub" | "mul" | "div" | "matmul" | "sqrt" | "rsqrt" | "abs" | "square":
                value = getattr(torch, operation)(a, *rest)
            case _:
                raise AssertionError(operation)
        assert list(value.shape) == shape, (operation, name)
        values[name] = value
    return [values[name] for name in graph.outputs]


def graph_of(asset: dict[str, Any]) -> Graph:
    """The graph as the page reads it."""
    graph = asset["graph"]

    def tensors(data: str, kind: str, shapes: list[Any]) -> dict[str, Tensor]:
        flat = np.frombuffer(base64.b64decode(data), kind).astype(np.float32)
        parts = torch.from_numpy(flat).split([int(np.prod(shape)) for _, shape in shapes])
        return {name: p.reshape(shape) for (name, shape), p in zip(shapes, parts, strict=True)}

    return Graph(
        [tuple(node) for node in graph["nodes"]],
        tensors(asset["constants"], "<f4", graph["constants"]),
        tensors(asset["weights"], "<f2", graph["weights"]),
        graph["outputs"],
    )


@torch.no_grad()
def outputs_of(model: Backbone, x: Tensor) -> list[Tensor]:
    tokens, grid = model.tokenize(x)
    features, (last,) = model.forward_intermediates(x, indices=1, norm=True)
    first = tokens.transpose(1, 2).unflatten(2, grid)
    return [first, last, model.forward_head(features, pre_logits=True), model(x)]


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_an_asset_is_its_model(name: str) -> None:
    asset = built_asset(name)
    choice = next(choice for choice in MODELS if choice.name == name)
    wanted = get_study(choice.study).configs()[choice.variant]
    assert RunConfig.from_dict(asset["config"]) == dataclasses.replace(wanted, seed=asset["seed"])
    model = model_of(asset)
    assert asset["parameters"] == sum(p.numel() for p in model.parameters())
    assert (asset["lock"] is None) == (model.alignment is None)
    model.alignment = None
    x = torch.randn(1, 1, CROP, CROP, generator=torch.Generator().manual_seed(0))
    graph = graph_of(asset)
    assert {node[0] for node in graph.nodes} <= set(OPERATIONS)
    for got, want in zip(run(graph, x), outputs_of(model, x), strict=True):
        assert (got - want).norm() < 1e-5 * want.norm()


def test_page_lists_the_stored_models_and_photographs(tmp_path: Path) -> None:
    paths = write_photographs(tmp_path)
    (chosen,) = read_script(tmp_path / "choice.js")
    assert chosen["models"] == [[c.name, c.title] for c in MODELS]
    assert sorted(read_models()) == sorted(c.name for c in MODELS)
    assert {f"{name}.js" for name in chosen["photographs"]} == {path.name for path in paths[1:]}


def test_stored_weights_come_back_as_rounded(tmp_path: Path) -> None:
    """Six bits a weight: within half a step of the row's scale; stored again they stay equal."""
    generator = torch.Generator().manual_seed(0)
    weights = {
        "matrix": torch.randn(5, 7, generator=generator),
        "kernel": torch.randn(3, 2, 5, 5, generator=generator),
        "zeros": torch.zeros(2, 3),
        "bias": torch.randn(5, generator=generator),
        "scalar": torch.tensor(2.5),
    }
    write_models(tmp_path / "m.safetensors", {"one": (weights, {"seed": 3})})
    found, facts = read_models(tmp_path / "m.safetensors")["one"]
    assert facts == {"seed": 3}
    assert list(found) == list(weights)
    for name, tensor in rounded(weights).items():
        assert torch.equal(found[name], tensor), name
        assert torch.equal(tensor.half().float(), tensor), "the page has half precision"
    step = weights["matrix"].abs().amax(dim=1, keepdim=True) / 31
    assert ((found["matrix"] - weights["matrix"]).abs() <= 0.505 * step).all()
    write_models(tmp_path / "again.safetensors", {"one": (found, facts)})
    again, _ = read_models(tmp_path / "again.safetensors")["one"]
    assert all(torch.equal(again[name], tensor) for name, tensor in found.items())


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="path: expected a file of models"):
        read_models(tmp_path / "none.safetensors")


def test_the_stored_models_are_small() -> None:
    assert STORE.stat().st_size < 1.25e6


def test_the_runner_has_every_operation() -> None:
    source = (ASSETS / "runner.js").read_text()
    missing = [name for name in OPERATIONS if not re.search(rf'case "{name}"|\b{name}: \(', source)]
    assert not missing


@pytest.mark.parametrize("place", PHOTOGRAPHS, ids=lambda place: place.photograph)
def test_a_photograph_is_the_bundled_one(place: Place) -> None:
    made = make_photograph_asset(place)
    rows, columns = (slice(start, start + WINDOW) for start in (place.row, place.column))
    grey = load_photograph(place.photograph)[rows, columns]
    assert (window_of(made)[0, 0] - grey).abs().max() <= 0.5 / 255 + 1e-6
    assert made["picture"].startswith("data:image/jpeg;base64,")


def test_a_window_of_the_training_half_is_refused() -> None:
    with pytest.raises(ValueError, match="place: expected a window in the right half of 'cat'"):
        make_photograph_asset(dataclasses.replace(PHOTOGRAPHS[0], photograph="cat", column=0))


def test_unknown_operation_is_refused_by_name() -> None:
    config = get_study("patch_vs_wavelet").configs()["vit"].model
    model = Backbone(config)
    model.stages[0].blocks[0].mlp.act = nn.Hardswish()
    model.stages[0].blocks[0].mlp.act.forward = lambda x, grid: torch.erfinv(x)
    with pytest.raises(ValueError, match=r"model: expected operations among .*erfinv"):
        trace(model, CROP)


def test_a_model_with_an_alignment_is_refused() -> None:
    model = Backbone(get_study("crop_shift").configs()["vit + phase_lock"].model)
    with pytest.raises(ValueError, match="model: expected one without an alignment"):
        trace(model, CROP)


def test_a_run_that_is_not_trained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="runs: expected a trained run of 'vit'"):
        trained(MODELS[0], RunFolder(tmp_path / "seed0"))


def test_scripts_are_read_as_they_were_written(tmp_path: Path) -> None:
    data = {"a": [1, 2.5, "x(y);"], "b": {"c": None}}
    write_script(tmp_path / "one.js", "shiftExplorer.addModel", data)
    assert read_script(tmp_path / "one.js") == [data]
