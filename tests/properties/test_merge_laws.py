"""`Backbone.fold`: the wavelet steps go into their neighbours, the outputs stay."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from wavevit import Backbone, create_model, list_models, model_config
from wavevit.layers.downsample import DWTDownsample, LowPassDownsample
from wavevit.layers.merged_downsample import MergedDownsample
from wavevit.measure import NoLipschitzBound
from wavevit.measure.certify import lipschitz_of

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}


def scrambled(model: Backbone, seed: int) -> Backbone:
    """Every parameter moved, so that a norm or a gain that gets lost is seen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.1 * noise.to(parameter.dtype))
    return model.eval()


@pytest.mark.parametrize("name", list_models("test_*"))
@pytest.mark.parametrize("dtype", TOLERANCE)
@examples(daily=4)
@given(seed=st.integers(0, 2**31), size=st.tuples(st.integers(32, 70), st.integers(32, 70)))
def test_outputs_are_equal(name: str, dtype: torch.dtype, seed: int, size: tuple[int, int]) -> None:
    model = scrambled(create_model(name, img_size=64, num_classes=7).to(dtype), seed)
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(seed)).to(dtype)
    with torch.no_grad():
        expected, found = model(x), model.fold()(x)
    scale = float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


def pyramid_with(downsample: str, **changes: Any) -> Backbone:
    """A Haar pyramid with another step between its stages."""
    config = model_config("test_haar_pyramid")
    stages = tuple(
        dataclasses.replace(stage, downsample=downsample if index else "none")
        for index, stage in enumerate(config.stages)
    )
    return Backbone(dataclasses.replace(config, stages=stages, **changes))


@pytest.mark.parametrize("downsample", ["dwt", "dwt_ll"])
@pytest.mark.parametrize("wavelet", ["haar", "db2"])
def test_linear_steps_are_merged(downsample: str, wavelet: str) -> None:
    linear = {"subband_norm": False, "subband_act": False}
    model = scrambled(pyramid_with(downsample, wavelet=wavelet, **linear), 0)
    folded = model.fold()
    left = [m for m in folded.modules() if isinstance(m, DWTDownsample | LowPassDownsample)]
    new = [m for m in folded.modules() if isinstance(m, MergedDownsample)]
    assert len(new) == (2 if wavelet == "haar" else 0)
    assert len(left) == 2 - len(new)
    kind = type(folded.tokenizer).__name__
    assert kind == ("PatchTokenizer" if wavelet == "haar" else "PacketTokenizer")
    x = torch.randn(1, 3, 48, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(folded(x), model(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("downsample", ["dwt", "dwt_ll"])
def test_low_passes_of_a_blurred_model_stay(downsample: str, linear: bool) -> None:
    changes = {"subband_norm": not linear, "subband_act": not linear, "alignment": "blur"}
    model = scrambled(pyramid_with(downsample, **changes).double(), 0)
    folded, x = model.fold(), torch.randn(1, 3, 47, 40, dtype=torch.float64)
    assert sum(isinstance(m, MergedDownsample) for m in folded.modules()) == 2
    with torch.no_grad():
        torch.testing.assert_close(folded(x), model(x), rtol=0, atol=1e-10)
    for blurred in (model, folded):  # a bound of the merged layer without its low-pass is none
        with pytest.raises(NoLipschitzBound, match="LowPass"):
            lipschitz_of(blurred.stages[1].downsample)


def test_a_layer_with_a_hook_is_not_merged() -> None:
    """The hook changes what the layer gives, in the model and in its copy."""
    model = scrambled(create_model("test_haar_pyramid", num_classes=7).double(), 0)
    x = torch.randn(1, 3, 48, 40, dtype=torch.float64)
    with torch.no_grad():
        before = model(x)
        model.stages[1].downsample.proj.register_forward_hook(lambda _, __, output: 2 * output)
        folded, expected = model.fold(), model(x)
        torch.testing.assert_close(folded(x), expected, rtol=0, atol=1e-10)
    assert float((expected - before).abs().max()) > 1e-3
    assert type(folded.stages[1].downsample) is type(model.stages[1].downsample)
    assert isinstance(folded.stages[2].downsample, MergedDownsample)


def test_the_model_itself_stays_as_it_was() -> None:
    model = create_model("test_haar_pyramid").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    folded = model.fold()
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.zero_()
    assert model.training
    assert not folded.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_negative_control_wrong_merged_kernel_is_detected() -> None:
    """Negative control: the same comparison fails when one merged kernel is not the right one."""
    model = scrambled(create_model("test_haar_pyramid", num_classes=7).double(), 0)
    folded = model.fold()
    folded.stages[1].downsample.weight.mul_(1.001)
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        assert float((folded(x) - model(x)).abs().max()) > 1e-8
