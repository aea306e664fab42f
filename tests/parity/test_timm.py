"""Our ViT, Swin, PVT and MViT are timm's: the baselines of every claim are no straw men."""

from __future__ import annotations

import dataclasses
import re

import pytest
import timm
import torch

import wavevit
from wavevit.interop.timm import load_timm_weights
from wavevit.layers import ACTIVATIONS
from wavevit.layers.activations import Activation
from wavevit.layers.symmetry import Symmetry
from wavevit.models import make_adaptive, token_counts

PAIRS = {
    "vit_tiny_patch16": "vit_tiny_patch16_224",
    "vit_small_patch16": "vit_small_patch16_224",
    "vit_base_patch16": "vit_base_patch16_224",
    "swin_tiny": "swin_tiny_patch4_window7_224",
    "swin_small": "swin_small_patch4_window7_224",
    "swin_base": "swin_base_patch4_window7_224",
    "pvt_v2_b0": "pvt_v2_b0",
    "pvt_v2_b1": "pvt_v2_b1",
    "pvt_v2_b2": "pvt_v2_b2",
    "mvitv2_tiny": "mvitv2_tiny",
}
COMPUTED = (
    "vit_tiny_patch16",
    "vit_small_patch16",
    "swin_tiny",
    "pvt_v2_b0",
    "pvt_v2_b1",
    "mvitv2_tiny",
)


@pytest.mark.parametrize("name", COMPUTED)
def test_equal_outputs(name: str) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model(PAIRS[name], num_classes=10).eval()
    for parameter in theirs.parameters():  # timm starts biases at 0: random ones test more
        torch.nn.init.normal_(parameter, std=0.05)
    ours = wavevit.create_model(name, num_classes=10).eval()
    load_timm_weights(ours, theirs)
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
        features = theirs.forward_features(x)
        if name.startswith("swin"):
            features = features.permute(0, 3, 1, 2)
        elif name.startswith("mvit"):
            features = features.transpose(1, 2).unflatten(2, (7, 7))
        torch.testing.assert_close(ours.forward_features(x), features, rtol=1e-4, atol=1e-4)


def test_average_pooling() -> None:
    """timm's ViT that averages normalises what it has averaged; so does ours when told so."""
    torch.manual_seed(0)
    theirs = timm.create_model(
        "vit_tiny_patch16_224", num_classes=10, global_pool="avg", class_token=False
    ).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    ours = wavevit.create_model("vit_tiny_patch16", num_classes=10, pool="avg", fc_norm=True).eval()
    load_timm_weights(ours, theirs)
    x = torch.randn(2, 3, 224, 224)
    before = wavevit.create_model("vit_tiny_patch16", num_classes=10, pool="avg").eval()
    weights = {n.removeprefix("fc_"): tensor for n, tensor in ours.state_dict().items()}
    before.load_state_dict(weights)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            ours.forward_features(x), theirs.forward_features(x), rtol=1e-4, atol=1e-4
        )
        assert not torch.allclose(before(x), theirs(x), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("size", [(448, 224), (224, 448)])
def test_swin_equals_timm_at_other_sizes(size: tuple[int, int]) -> None:
    """Sizes that whole windows fill; timm wants to know them beforehand, ours takes any.

    Elsewhere the two differ by design: ours pads before it rolls, as Swin's own detection code
    does, so that the mask separates what the roll brings together; timm pads afterwards.
    """
    torch.manual_seed(0)
    theirs = timm.create_model("swin_tiny_patch4_window7_224", num_classes=10, img_size=size).eval()
    ours = wavevit.create_model("swin_tiny", num_classes=10).eval()
    load_timm_weights(ours, theirs)
    x = torch.randn(1, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


def test_layer_scale_is_timms() -> None:
    """Models of DeiT III and DINOv2 have one; without it in the configuration they are refused."""
    torch.manual_seed(0)
    theirs = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, depth=2, num_classes=10, init_values=0.5
    ).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    plain = wavevit.model_config("vit_tiny_patch16")
    stage = dataclasses.replace(plain.stages[0], depth=2)
    plain = dataclasses.replace(
        plain, img_size=32, num_classes=10, pool="token", fc_norm=False, stages=(stage,)
    )
    ours = wavevit.Backbone(dataclasses.replace(plain, layer_scale=0.5)).eval()
    load_timm_weights(ours, theirs)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"other tensors: stages.0.blocks.0.gain1.weight"):
        load_timm_weights(wavevit.Backbone(plain), theirs)


@pytest.mark.parametrize("class_token", [True, False])
def test_timms_vit_becomes_an_adaptive_one(class_token: bool) -> None:
    """It starts equal where every patch is split; with a budget it has fewer tokens, and training
    reaches what was added for larger patches, which starts at 0."""
    torch.manual_seed(0)
    pooling = {} if class_token else {"global_pool": "avg", "class_token": False}
    theirs = timm.create_model(
        "vit_tiny_patch16_224", img_size=64, depth=2, num_classes=10, **pooling
    ).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    config = dataclasses.replace(wavevit.model_config("vit_tiny_patch16"), img_size=64)
    config = dataclasses.replace(
        config,
        num_classes=10,
        stages=(dataclasses.replace(config.stages[0], depth=2),),
        pool="token" if class_token else "avg",
        fc_norm=not class_token,
    )
    ours = load_timm_weights(wavevit.Backbone(config), theirs).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        same = make_adaptive(ours, threshold=0, budget=None)
        torch.testing.assert_close(same(x), theirs(x), rtol=1e-4, atol=1e-4)
        assert token_counts(same, x).tolist() == [16, 16]
    fewer = make_adaptive(ours, budget=0.5, splitting="hard")
    assert max(token_counts(fewer, x).tolist()) <= 8
    assert not torch.allclose(fewer(x), theirs(x), rtol=1e-4, atol=1e-3)
    fewer(x).square().sum().backward()
    added = [
        p for name, p in fewer.named_parameters() if name.endswith((".details.weight", "octave"))
    ]
    assert len(added) == 2
    for parameter in added:
        assert not parameter.detach().any()
        assert parameter.grad is not None
        assert parameter.grad.any()


@pytest.mark.parametrize("name", PAIRS)
def test_every_size_has_timms_parameters(name: str) -> None:
    with torch.device("meta"):
        ours = wavevit.create_model(name)
        theirs = timm.create_model(PAIRS[name])
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


def test_another_architecture_is_refused() -> None:
    theirs = timm.create_model("vit_tiny_patch16_224", num_classes=10)
    with pytest.raises(ValueError, match="timm_model: expected the architecture of `model`"):
        load_timm_weights(wavevit.create_model("test_vit"), theirs)
    with pytest.raises(ValueError, match="timm_model: expected one of 'VisionTransformer'"):
        load_timm_weights(wavevit.create_model("test_vit"), timm.create_model("resnet18"))


@pytest.mark.parametrize("family", ["vit", "pvt"])
def test_other_numbers_of_heads_are_refused(family: str) -> None:
    """Queries, keys and values have the same shapes whatever the number of heads."""
    if family == "vit":
        theirs = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1, num_heads=6)
        config = dataclasses.replace(wavevit.model_config("vit_tiny_patch16"), img_size=32)
    else:
        heads = (1, 1, 5, 8)
        theirs = timm.create_model("pvt_v2_b0", depths=(1, 1, 1, 1), num_heads=heads)
        config = wavevit.model_config("pvt_v2_b0")
    stages = tuple(dataclasses.replace(stage, depth=1) for stage in config.stages)
    ours = wavevit.Backbone(dataclasses.replace(config, stages=stages, num_classes=1000))
    with pytest.raises(ValueError, match=r"timm_model: expected attention with \d heads at .* got"):
        load_timm_weights(ours, theirs)


def small_pair(**changes: object) -> tuple[wavevit.Backbone, torch.nn.Module]:
    torch.manual_seed(0)
    theirs = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, depth=1, num_classes=5, **changes
    ).eval()
    config = dataclasses.replace(wavevit.model_config("vit_tiny_patch16"), img_size=32)
    stages = (dataclasses.replace(config.stages[0], depth=1),)
    ours = wavevit.Backbone(dataclasses.replace(config, stages=stages, num_classes=5)).eval()
    return ours, theirs


@pytest.mark.parametrize(
    ("changes", "got", "way"),
    [
        ({"global_pool": "avg"}, "'avg'", "reset_classifier(5, global_pool='avg') changes it"),
        ({"global_pool": "max"}, "'max'", "with 5 classes it cannot have"),
        ({"global_pool": ""}, "''", "with 5 classes it cannot have"),
        (
            {"global_pool": "avg", "pool_include_prefix": True},
            "'avg with prefix tokens'",
            "with 5 classes it cannot have",
        ),
    ],
)
def test_another_pooling_is_refused(changes: dict[str, object], got: str, way: str) -> None:
    """Poolings have no tensors: the weights would fit, and the logits would be others."""
    ours, theirs = small_pair(**{"fc_norm": False, **changes})
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    expected = rf"timm_model: expected global_pool='token', .*{re.escape(way)}.*, got {got}"
    with pytest.raises(ValueError, match=expected):
        load_timm_weights(ours, theirs)
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.state_dict().items())


def test_pooling_set_by_reset_classifier() -> None:
    """As the message says."""
    x = torch.randn(2, 3, 32, 32)
    ours, theirs = small_pair(global_pool="avg", fc_norm=False)
    ours.reset_classifier(5, global_pool="avg")
    load_timm_weights(ours, theirs)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
    swin = timm.create_model("swin_tiny_patch4_window7_224", depths=(1, 1, 1, 1), num_classes=5)
    swin.reset_classifier(0, global_pool="")
    config = wavevit.model_config("swin_tiny")
    stages = tuple(dataclasses.replace(stage, depth=1) for stage in config.stages)
    model = wavevit.Backbone(dataclasses.replace(config, stages=stages, num_classes=0))
    with pytest.raises(ValueError, match=r"timm_model: expected global_pool='avg', .* got ''"):
        load_timm_weights(model, swin)
    model.reset_classifier(0, global_pool="")
    load_timm_weights(model, swin)


@pytest.mark.parametrize(
    ("act", "got"), [("gelu_tanh", "GELUTanh"), ("quick_gelu", "QuickGELU"), ("relu", "ReLU")]
)
def test_another_activation_is_refused(act: str, got: str) -> None:
    ours, theirs = small_pair(act_layer=act)
    with pytest.raises(ValueError, match=rf"timm_model: expected GELU at .*\.act, .* got {got}"):
        load_timm_weights(ours, theirs)


@pytest.mark.parametrize("act", ["gelu_tanh", "gelu"])
def test_activation_of_the_user_is_not_compared(act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that the user has registered may be timm's, and ``gelu_2x`` differs on purpose."""

    class GeluTanh(Activation):
        symmetry = Symmetry(1)

        def forward(self, x: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
            return torch.nn.functional.gelu(x, approximate="tanh")

    monkeypatch.setitem(ACTIVATIONS._classes, "gelu_tanh", GeluTanh)
    ours, theirs = small_pair(act_layer=act)
    ours = wavevit.Backbone(dataclasses.replace(ours.config, activation="gelu_tanh")).eval()
    load_timm_weights(ours, theirs)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        found, expected = ours(x), theirs(x)
    close = torch.allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert close == (act == "gelu_tanh")
