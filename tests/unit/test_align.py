"""`align`: what it finds out, what it says, what it refuses, and that it leaves a model alone."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import timm
import timm.optim
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import wavevit
from wavevit.alignment import LowPass, blur_strides, kept_period
from wavevit.testing import assert_close_relative, assert_shift_invariant


class Net(nn.Module):
    """A convolution of this stride on a circle, then the mean: it keeps shifts by the stride."""

    def __init__(self, stride: int, dense: bool = False, padding_mode: str = "circular") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(2, 4, 3, stride, padding=1, padding_mode=padding_mode)
        self.dense = dense
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        features = F.gelu(self.conv(x))
        return features if self.dense else features.mean(dim=(2, 3))


def noise(batch: int = 2, size: tuple[int, int] = (16, 24)) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 2, *size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_shift_period_is_measured(stride: int, dense: bool) -> None:
    model = wavevit.align(Net(stride, dense), input_size=(2, 16, 24))
    assert model.period == stride
    assert model.period_source == "probed at 2x16x24"
    assert f"period={stride} (probed at 2x16x24)" in repr(model)


def test_zero_padding_has_no_shift_period() -> None:
    model = wavevit.align(Net(4, padding_mode="zeros"), input_size=(2, 16, 16))
    assert model.period is None
    assert "period=whole image (probed at 2x16x16)" in repr(model)
    assert_shift_invariant(model, noise(size=(16, 16)), [(0, 1), (5, 7)])


def test_declared_given_and_assumed_periods() -> None:
    ours = wavevit.create_model("test_haar_pyramid", img_size=32)
    found = [
        wavevit.align(ours),
        wavevit.align(ours, period=32),
        wavevit.align(Net(2)),
        wavevit.align(wavevit.create_model("test_haar_pyramid", img_size=32, features_only=True)),
    ]
    assert [model.period for model in found] == [16, 32, None, 16]
    sources = [model.period_source for model in found]
    assert sources == ["declared", "given", "assumed", "declared"]


def test_measuring_the_period_does_not_change_the_model() -> None:
    model = nn.Sequential(nn.BatchNorm2d(2), Net(2)).double().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert kept_period(model, (2, 16, 16)) == 2
    assert model.training
    assert model[0].training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


class Structured(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Any]:
        maps = F.avg_pool2d(x, 4)
        return {"maps": [maps, (x, maps.permute(0, 2, 3, 1))][:1], "mean": x.mean(dim=(2, 3))}


@pytest.mark.parametrize("method", ["phase_lock", "weighted_frame"])
def test_lists_tuples_and_dicts_of_outputs_are_kept(method: str) -> None:
    x, model = noise(), wavevit.align(Structured(), method, 4)
    still, moved = model(x), model(torch.roll(x, (8, -4), (2, 3)))
    assert_close_relative(moved["mean"], still["mean"])
    assert_close_relative(moved["maps"][0], torch.roll(still["maps"][0], (2, -1), (2, 3)))


def test_maps_with_channels_last() -> None:
    class Last(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).permute(0, 2, 3, 1)

    x = noise()
    last = wavevit.align(Last(4, dense=True), period=4, layout="NHWC")
    first = wavevit.align(Net(4, dense=True), period=4)
    assert_close_relative(last(x).permute(0, 3, 1, 2), first(x))
    still = wavevit.align(Net(4, dense=True), layout="none")  # the whole image
    assert_close_relative(still(torch.roll(x, (1, 6), (2, 3))), still(x), bound=1e-9)


def test_blur_is_the_dense_layer_low_passed_and_decimated() -> None:
    """It is put before the stride, at the strided layer's cost, and weights keep their names."""
    model, x = Net(4, dense=True), noise()
    blurred = wavevit.align(model, "blur")
    dense = Net(1, dense=True)
    expected = F.gelu(LowPass((4, 4))(dense.conv(x))[..., ::4, ::4])
    assert_close_relative(blurred(x), expected)
    assert blurred.blurred == ("conv",)
    assert blurred.model.state_dict().keys() == model.state_dict().keys()
    assert blurred.model.conv.weight is model.conv.weight
    assert model.conv._forward_pre_hooks == {}


@pytest.mark.parametrize(
    ("model", "place"),
    [
        (nn.Conv2d(3, 4, 3, stride=2), "the model itself"),
        (nn.Sequential(nn.ReLU(), nn.AvgPool2d(2)), "1"),
        (nn.Sequential(nn.MaxPool2d(2)), "0.2"),  # the pooling, its low-pass and its decimation
        (wavevit.create_model("test_haar_vit", img_size=32), "tokenizer"),
    ],
)
def test_a_second_low_pass_is_refused(model: nn.Module, place: str) -> None:
    """It would blur twice; also one that the configuration asked for, and through a copy."""
    blurred = wavevit.align(model, "blur").model
    expected = rf"model: expected strides without the low-pass .*, got one at {place}"
    for again in (
        blur_strides,
        lambda found: blur_strides(found, "window"),
        lambda found: wavevit.align(copy.deepcopy(found), "blur"),
    ):
        with pytest.raises(ValueError, match=expected):
            again(blurred)
    wavevit.align(model, "blur")  # the original has none
    with pytest.raises(ValueError, match=r"got one at tokenizer\.proj"):
        wavevit.align(wavevit.create_model("test_vit", alignment="blur"), "blur")


def test_blurred_pooling_is_dense_then_low_passed() -> None:
    x = noise()
    pooling = nn.Sequential(nn.MaxPool2d(2), nn.AvgPool2d(2))
    expected = LowPass((2, 2))(F.max_pool2d(x, 2, stride=1))[..., ::2, ::2]
    expected = F.avg_pool2d(LowPass((2, 2))(expected), 2)
    assert_close_relative(wavevit.align(pooling, "blur")(x), expected)


@pytest.mark.parametrize("stride", [2, 4])
def test_low_pass_has_the_known_taps_and_stops_the_sampling_frequency(stride: int) -> None:
    impulse = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    impulse[..., 8, 8] = 1
    response = LowPass((stride, 1))(impulse)[0, 0, :, 8]
    if stride == 2:
        assert response[7:10].tolist() == [0.25, 0.5, 0.25]
    spectrum = torch.fft.fft(response).abs()
    assert spectrum[0] == pytest.approx(1)
    assert spectrum[16 // stride :: 16 // stride].max() < 1e-12


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 2, 0), (3, 2, 1), (2, 3, 1), (5, 3, 0)]
)
@pytest.mark.parametrize("side", range(7, 13))
def test_blurred_pooling_in_ceil_mode_has_the_same_cells(
    kernel: int, stride: int, padding: int, side: int
) -> None:
    """A window that reaches beyond the image is a cell of the pooling, and of the blurred one."""
    pool = nn.MaxPool2d(kernel, stride, padding, ceil_mode=True)
    x = noise(size=(side, 12))
    blurred = wavevit.align(nn.Sequential(pool), "blur", boundary="window")(x)
    assert blurred.shape == pool(x).shape
    assert blurred.isfinite().all()
    constant = torch.full_like(x, 3.0)
    found = wavevit.align(nn.Sequential(pool), "blur", boundary="window")(constant)
    assert_close_relative(found, pool(constant))


def test_blur_reaches_every_stride_of_ours() -> None:
    found = {}
    for name in ("test_vit", "test_haar_vit", "test_haar_pyramid", "test_swin", "test_pvt_v2"):
        model = wavevit.create_model(name, img_size=32)
        found[name] = [n.split(".")[0] for n in wavevit.align(model, "blur").blurred]
    stages = {name: names.count("stages") for name, names in found.items()}
    assert all(names[0] == "tokenizer" for names in found.values())
    assert stages["test_vit"] == stages["test_haar_vit"] == 0
    for name in ("test_haar_pyramid", "test_swin", "test_pvt_v2"):
        assert stages[name] >= len(wavevit.model_config(name).stages) - 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "none"}, "method: expected one of"),
        ({"method": "phase_look"}, "nearest: phase_lock"),
        ({"period": 0}, "period: expected an integer of at least 1"),
        ({"layout": "CHWN"}, "layout: expected one of"),
        (
            {"input_size": (3, 32)},
            r"input_size: expected \(channels, height, width\), got",
        ),
        ({"threshold": 0.1}, "threshold: expected options of 'phase_lock' only"),
        (
            {"method": "weighted_frame", "threshold": 0.0},
            "threshold: expected a share",
        ),
        ({"method": "weighted_frame", "max_phases": 0}, "max_phases: expected an integer"),
        ({"shift": "half"}, "shift: expected one of 'integer', 'fractional'"),
        ({"method": "blur", "shift": "integer"}, "shift: expected options of 'blur' only"),
    ],
)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wavevit.align(Net(2), **arguments)


def test_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match=r"model: expected a torch\.nn\.Module, got NoneType"):
        wavevit.align(None)
    with pytest.raises(ValueError, match="model: expected a strided"):
        wavevit.align(nn.Linear(2, 2), "blur")
    tokens = wavevit.align(nn.Flatten(2), period=1)
    with pytest.raises(ValueError, match="layout='none' if outputs have no place"):
        tokens(noise())
    with pytest.raises(ValueError, match="model: expected an output of tensors"):
        wavevit.align(Strange())(noise())


class Strange(nn.Module):
    def forward(self, x: Tensor) -> str:
        return "cat"


def test_labels_per_pixel_follow_too() -> None:
    """Integer maps cannot be interpolated, and need not be where a cell is a pixel."""
    model = wavevit.align(Labels(), period=2)
    x = noise()
    moved = model(torch.roll(x, (3, 1), (2, 3)))
    assert torch.equal(moved, torch.roll(model(x), (3, 1), (2, 3)))


class Labels(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x > x.mean(dim=(1, 2, 3), keepdim=True)).long()


def families(name: str) -> nn.Module:
    if name == "timm":
        return timm.create_model("test_vit", num_classes=5).eval()
    return wavevit.create_model(name, img_size=32, num_classes=5).eval()


@pytest.mark.parametrize("method", ["phase_lock", "weighted_frame", "blur"])
@pytest.mark.parametrize("name", ["test_haar_pyramid", "test_vit", "timm"])
def test_timms_functions_read_what_describes_the_model(name: str, method: str) -> None:
    model = families(name)
    aligned = wavevit.align(model, method, period=16)
    data = timm.data.resolve_model_data_config(model)
    assert timm.data.resolve_model_data_config(aligned) == data
    assert aligned.default_cfg == model.default_cfg
    for attribute in ("num_classes", "num_features", "head_hidden_size", "in_chans", "global_pool"):
        assert getattr(aligned, attribute) == getattr(model, attribute)
    entry = aligned.feature_info[-1]
    assert aligned.get_submodule(entry["module"]) is aligned.model.get_submodule(entry["module"])
    assert aligned.get_submodule("model.head") is aligned.get_classifier()

    def groups(model: nn.Module) -> list[tuple[float, float, int]]:
        optimizer = timm.optim.create_optimizer_v2(
            model, "adamw", lr=1e-3, weight_decay=0.05, layer_decay=0.7
        )
        return [
            (group["weight_decay"], group["lr_scale"], sum(p.numel() for p in group["params"]))
            for group in optimizer.param_groups
        ]

    assert groups(aligned) == groups(model)
    aligned.set_grad_checkpointing()
    aligned.reset_classifier(3)
    side = 160 if name == "timm" else 32
    assert aligned(torch.zeros(1, 3, side, side)).shape == (1, 3)


def test_transformers_attributes_pass() -> None:
    class Described(nn.Module):
        main_input_name = "pixel_values"

        def __init__(self) -> None:
            super().__init__()
            self.head, self.config = nn.Linear(2, 2).double(), {"num_labels": 2}

        @property
        def dtype(self) -> torch.dtype:
            return self.head.weight.dtype

    aligned = wavevit.align(Described(), period=1)
    assert (aligned.main_input_name, aligned.dtype) == ("pixel_values", torch.float64)
    assert aligned.config == {"num_labels": 2}
    with pytest.raises(AttributeError, match="'AlignedModel' object has no attribute 'group_mat"):
        _ = aligned.group_matcher  # so that timm groups the layers in its own way


def test_methods_without_the_alignment_raise_an_error() -> None:
    model = families("test_haar_pyramid")
    aligned = wavevit.align(model)
    for name in ("forward_features", "forward_intermediates", "forward_head", "tokenizer", "fold"):
        with pytest.raises(AttributeError, match=f"no '{name}': it would not be aligned.*features"):
            getattr(aligned, name)
        assert not hasattr(aligned, name)
    for name in ("symmetry", "_stages", "no_such"):
        with pytest.raises(AttributeError, match=f"object has no attribute '{name}'"):
            getattr(aligned, name)
    blurred = wavevit.align(families("test_swin"), "blur")
    x = torch.randn(1, 3, 32, 32)
    logits = blurred.forward_head(blurred.forward_features(x))
    assert torch.equal(logits, blurred(x))


@pytest.mark.parametrize("method", ["phase_lock", "polyphase", "weighted_frame", "blur"])
def test_copies_and_pickles(method: str) -> None:
    aligned = wavevit.align(families("test_haar_pyramid"), method)
    x = torch.randn(2, 3, 32, 32)
    expected = aligned(x)
    for twin in (copy.deepcopy(aligned), pickle.loads(pickle.dumps(aligned))):
        assert torch.equal(twin(x), expected)
        assert twin.num_classes == 5


def test_matchers_that_are_functions_or_have_several_starts() -> None:
    class Grouped(nn.Module):
        def __init__(self, matcher: Any) -> None:
            super().__init__()
            self.stem, self.blocks, self.head = (nn.Linear(1, 1) for _ in range(3))
            self.group_matcher = lambda coarse=False: matcher

    for matcher in (
        {"stem": r"^stem|^nothing", "blocks": [(r"^blocks", None), (r"^none[^a]", (0,))]},
        lambda name: {"stem": 0, "blocks": 1}.get(name.split(".")[0], 2),
    ):
        bare, aligned = Grouped(matcher), wavevit.align(Grouped(matcher), period=1)
        found, expected = (
            timm.models.group_parameters(m, m.group_matcher(coarse=False), reverse=True)
            for m in (aligned, bare)
        )
        assert {name.removeprefix("model."): group for name, group in found.items()} == expected
        assert expected["stem.weight"] == 0
        assert expected["blocks.weight"] == 1


@pytest.mark.parametrize(
    ("method", "options"),
    [("group_average", {}), ("weighted_frame", {"threshold": 1.0}), ("phase_lock", {"gate": 1.0})],
)
def test_classes_are_not_averaged(method: str, options: dict[str, float]) -> None:
    """The mean of classes 2 and 4 is no answer; a single view gives its class."""

    class Answers(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            scores = x[..., ::4, ::4].flatten(2).mean(1)
            return {"scores": scores, "classes": scores.argmax(1)}

    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    aligned = wavevit.align(Answers(), method, period=4, **options)
    with pytest.raises(ValueError, match=r"model: expected floating outputs, .* got torch\.int64"):
        aligned(images)
    found = wavevit.align(Answers(), "phase_lock", period=4)(images)
    assert torch.equal(found["classes"], found["scores"].argmax(1))
