"""Models on wavelet magnitudes, and with a learned wavelet, in the forms that users deploy."""

from __future__ import annotations

import warnings

import onnxruntime as runtime
import pytest
import torch
from torch.export import Dim

from wavevit import Backbone, BackboneConfig, make_stages
from wavevit.testing import assert_close_relative

TOKENIZERS = ("swt", "dtcwt", "scattering")


def build(tokenizer: str, padding: str = "circular") -> Backbone:
    stages = make_stages(depths=(1, 1), embed_dims=(8, 16), downsample="lifting")
    torch.manual_seed(0)
    return Backbone(
        BackboneConfig(
            stages=stages,
            tokenizer=tokenizer,
            patch_size=8,
            padding=padding,
            position="conv",
            num_classes=3,
            img_size=32,
        )
    ).eval()


def image(batch: int = 2, height: int = 32, width: int = 48) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 3, height, width, generator=generator)


@pytest.mark.parametrize(
    ("tokenizer", "padding"),
    [  # 5 s each: every tokenizer and either border in every run, all pairs at night
        pytest.param(name, padding, marks=[pytest.mark.nightly] * (padding != daily))
        for name, daily in zip(TOKENIZERS, ("circular", "zeros", "zeros"), strict=True)
        for padding in ("circular", "zeros")
    ],
)
def test_compiles_without_a_graph_break(tokenizer: str, padding: str) -> None:
    torch.compiler.reset()
    model = build(tokenizer, padding)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert_close_relative(compiled(image()), model(image()), depth=10)


@pytest.mark.nightly  # each of these transforms is exported in tests/unit/test_wavelet_graphs.py
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_exports_and_runs_in_onnxruntime(tokenizer: str, tmp_path) -> None:
    model, batch = build(tokenizer), {"x": {0: Dim("batch", max=64)}}
    program = torch.export.export(model, (image(),), dynamic_shapes=batch)
    assert_close_relative(program.module()(image(5)), model(image(5)), depth=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(program, (), tmp_path / "model.onnx", dynamo=True, verbose=False)
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    (logits,) = session.run(None, {session.get_inputs()[0].name: image(3).numpy()})
    assert_close_relative(torch.from_numpy(logits), model(image(3)), depth=10)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_half_precision_meta_and_layout(tokenizer: str) -> None:
    model, x = build(tokenizer), image()
    assert_close_relative(model(x.contiguous(memory_format=torch.channels_last)), model(x), depth=9)
    half = build(tokenizer).bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert_close_relative(half, model(x), depth=10)
    with torch.device("meta"):
        assert build(tokenizer)(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_the_learned_wavelet_is_not_decayed() -> None:
    assert build("swt").no_weight_decay() == {"stages.1.downsample.lifting.weight"}
