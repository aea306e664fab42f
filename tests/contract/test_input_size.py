"""`set_input_size`: another training size, patch or window for a model that is there already."""

from __future__ import annotations

import dataclasses
import pickle
import warnings

import pytest
import timm
import torch
from torch import Tensor, nn

import wavevit
from wavevit.interop.timm import load_timm_weights, register
from wavevit.models.zoo.swin import swin
from wavevit.testing import assert_close_relative

SMALL = wavevit.list_models("test_*")
WIDE = (64, 128)


def build(name: str, **changes: object) -> nn.Module:
    torch.manual_seed(0)
    model = wavevit.create_model(name, **({"img_size": 64, "num_classes": 5} | changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def images(size: tuple[int, int] = WIDE) -> Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))


def windows(model: nn.Module) -> list[object]:
    return [getattr(s.options("mixer"), "window_size", 7) for s in model.config.stages]


@pytest.mark.parametrize("name", SMALL)
def test_outputs_stay_and_positions_learn_at_the_new_size(name: str) -> None:
    model = build(name)
    expected = model(images())
    model.set_input_size(WIDE, window_size=windows(model))
    assert torch.equal(model(images()), expected)
    assert model.config == dataclasses.replace(model.config, img_size=WIDE)
    with torch.device("meta"):
        built = wavevit.Backbone(model.config)
    assert {n: p.shape for n, p in built.named_parameters()} == {
        n: p.shape for n, p in model.named_parameters()
    }
    twin = pickle.loads(pickle.dumps(model))
    assert torch.equal(twin(images()), expected)


def test_windows_keep_their_share_of_the_grid_as_in_timm() -> None:
    small = {"embed_dim": 16, "depths": (2, 1, 1, 1), "num_heads": (1, 2, 4, 8)}
    theirs = timm.create_model("swin_tiny_patch4_window7_224", num_classes=3, **small)
    ours = wavevit.create_model("swin_tiny", stages=swin(**small).stages, num_classes=3)
    theirs, ours = theirs.eval(), load_timm_weights(ours, theirs).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's interpolation reads a transposed tensor
        for model in (theirs, ours):
            model.set_input_size((224, 448))
    assert windows(ours) == [(7, 14)] * 4
    tables = [p for n, p in theirs.named_parameters() if n.endswith("bias_table")]
    mine = [p for n, p in ours.named_parameters() if n.endswith("bias_table")]
    with torch.no_grad():
        for one, two in zip(mine, tables, strict=True):
            one.copy_(two)  # timm spaces a resampled table's offsets by powers, as BEiT does
        assert_close_relative(ours(images((224, 448))), theirs(images((224, 448))), bound=1e-4)
    ours.set_input_size(224)
    assert windows(ours) == [7] * 4


def test_windows_that_are_given() -> None:
    model = build("test_swin")
    model.set_input_size(window_ratio=(2, 4, 8))
    assert windows(model) == [8, 4, 2]
    assert model.symmetry.period == 32
    model.set_input_size(window_size=(4, 8))  # two numbers are one window, as in timm
    assert windows(model) == [(4, 8)] * 3
    model.set_input_size(128)
    assert windows(model) == [(8, 16)] * 3
    model.set_input_size(96, window_size=[2, (3, 4), 4])
    assert windows(model) == [2, (3, 4), 4]
    assert model(images()).shape == (2, 5)
    read = wavevit.BackboneConfig.from_dict(model.config.to_dict())
    assert read == model.config
    with pytest.raises(ValueError, match=r"window_size: expected one, .*, or 3, one per stage"):
        model.set_input_size(window_size=[2, 2, 2, 2])
    with pytest.raises(ValueError, match="window_ratio: expected one, or 3"):
        model.set_input_size(window_ratio=[2, 2])


def test_patch_size_can_be_changed() -> None:
    model, x = build("test_vit", alignment="group_average", position="none"), images()
    kernel = model.tokenizer.proj.weight.detach().clone()
    model.set_input_size(patch_size=32)
    enlarged = nn.functional.interpolate(x, scale_factor=2, mode="bicubic", antialias=True)
    assert (model.config.strides, model.symmetry.period, model.alignment.period) == ((32,), 32, 32)
    assert [entry["reduction"] for entry in model.feature_info] == [32, 32]
    assert model.tokenizer(enlarged).shape == (2, 4, 8, 64)
    # Resampling a patch and then reading it is reading the patch that there was.
    patch = torch.randn(1, 3, 16, 16)
    larger = nn.functional.interpolate(patch, (32, 32), mode="bicubic", antialias=True)
    expected = torch.einsum("dcij,bcij->bd", kernel, patch) + model.tokenizer.proj.bias
    assert_close_relative(model.tokenizer(larger).flatten(1), expected, depth=10)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("test_haar_vit", {"patch_size": 8}, "patch_size: expected 16, that of tokenizer 'dwt'"),
        ("test_vit", {"img_size": 8}, "img_size: expected sides of at least 16 pixels"),
        ("test_vit", {"img_size": (64, 64, 3)}, "img_size: expected one integer or"),
        ("test_vit", {"patch_size": 0}, "patch_size: expected an integer of at least 1"),
    ],
)
def test_refuses(name: str, arguments: dict[str, object], message: str) -> None:
    model = build(name)
    before = model.config
    with pytest.raises(ValueError, match=message):
        model.set_input_size(**arguments)
    assert model.config is before


def test_a_blurred_patch_stays() -> None:
    with pytest.raises(ValueError, match="patch_size: expected 16, for which the model is blurred"):
        build("test_vit", alignment="blur").set_input_size(patch_size=8)


def test_timms_notes_follow() -> None:
    names = register()
    model = timm.create_model(names["test_vit"], img_size=64)
    model.set_input_size(WIDE)
    args = timm.models.get_model_args(model)
    assert args["img_size"] == WIDE
    again = timm.create_model(names["test_vit"], **args)
    again.load_state_dict(model.state_dict())
