"""Wrappers that other libraries put around a model to get its features."""

from __future__ import annotations

import dataclasses
import inspect
import tempfile
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from torchvision.models.feature_extraction import create_feature_extractor

import wavevit
from wavevit.alignment import METHODS
from wavevit.interop.timm import load_timm_weights, register
from wavevit.models import FeatureBackbone
from wavevit.testing import assert_close_relative
from wavevit.testing.graphs import traces
from wavevit.testing.subject import Subject

NAMES = register()
SMALL = wavevit.list_models("test_*")
CLASSES = ("list", "dict", "hook", "getter", "fx")
ALIGNED = [method for method in METHODS if method not in ("none", "group_average")]


def images(batch: int = 2, size: tuple[int, int] = (64, 96)) -> torch.Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(0))


def build(name: str, **arguments: Any) -> Any:
    torch.manual_seed(0)
    return wavevit.create_model(name, img_size=64, **arguments).eval()


@pytest.mark.parametrize("wrapper", CLASSES)
@pytest.mark.parametrize("name", SMALL)
def test_every_feature_class_of_timm(name: str, wrapper: str) -> None:
    """The maps of the model itself; modules by the names that `feature_info` has."""
    torch.manual_seed(0)
    model, x = timm.create_model(NAMES[name], img_size=64).eval(), images()
    maps = model.forward_intermediates(x, intermediates_only=True)
    torch.manual_seed(0)
    options = {"features_only": True, "feature_cls": wrapper, "img_size": 64}
    if wrapper == "fx" and model.weighs_tokens:  # a graph has no numbers of tokens by image
        with pytest.raises(ValueError, match="is not present in model"):
            timm.create_model(NAMES[name], **options)
        return
    wrapped = timm.create_model(NAMES[name], **options).eval()
    found = wrapped(x)
    if wrapper == "dict":
        assert list(found) == [str(index) for index in range(len(maps))]
        found = list(found.values())
    for feature, expected in zip(found, maps, strict=True):
        if feature.ndim == 3:  # tokens, the class token first, as timm's ViT gives them
            feature = feature[:, model.num_prefix_tokens :].transpose(1, 2)
            feature = feature.unflatten(2, expected.shape[-2:])
        assert_close_relative(feature, expected)
    if wrapper != "fx":  # a graph has nodes in place of modules
        modules = dict(wrapped.named_modules())
        assert all(entry["module"] in modules for entry in wrapped.feature_info.info)


@pytest.mark.parametrize("indices", [(2, 0), (0, 0), (-1,), (-1, 1), 2, (1, -3, 1)])
@pytest.mark.parametrize("theirs", ["swin_tiny_patch4_window7_224", "pvt_v2_b0"])
def test_out_indices_beside_timm(theirs: str, indices: Any) -> None:
    """timm gives maps from fine to coarse, each once; `feature_info` keeps the order given."""
    name = "swin_tiny" if theirs.startswith("swin") else theirs
    arguments = {"features_only": True, "out_indices": indices}
    with torch.device("meta"):
        expected = timm.create_model(theirs, feature_cls="getter", **arguments)
        ours = wavevit.create_model(name, **arguments)
        x = torch.empty(1, 3, 224, 224)
        shapes = [tuple(feature.shape) for feature in expected(x)]
        assert [tuple(feature.shape) for feature in ours(x)] == shapes
    assert tuple(ours.out_indices) == tuple(expected.out_indices)
    for verb in ("channels", "reduction"):
        assert getattr(ours.feature_info, verb)() == getattr(expected.feature_info, verb)()
        for which in (0, [0, 0]):
            expected_value = getattr(expected.feature_info, verb)(which)
            assert getattr(ours.feature_info, verb)(which) == expected_value
    keys = ["num_chs", "reduction", "index"]
    assert ours.feature_info.get_dicts(keys) == expected.feature_info.get_dicts(keys)


@pytest.mark.parametrize("indices", [(4,), (-5,), 0, 5, ()])
def test_indices_that_timm_refuses_are_refused(indices: Any) -> None:
    arguments = {"features_only": True, "out_indices": indices}
    with torch.device("meta"):
        with pytest.raises((AssertionError, ValueError)):
            timm.create_model("pvt_v2_b0", feature_cls="getter", **arguments)
        with pytest.raises(ValueError, match="indices: expected"):
            wavevit.create_model("pvt_v2_b0", **arguments)


def test_feature_wrapper_options() -> None:
    maps = build("test_swin").forward_intermediates(images(), norm=True, intermediates_only=True)
    wrapper = FeatureBackbone(build("test_swin"), (0, -1), norm=True, output_fmt="NLC")
    for found, index in zip(wrapper(images()), (0, -1), strict=True):
        assert_close_relative(found, maps[index].flatten(2).transpose(1, 2))
    assert wrapper.feature_info.from_other(1).channels() == [maps[-1].shape[1]]
    with pytest.raises(ValueError, match="output_fmt: expected one of 'NCHW', 'NLC'"):
        FeatureBackbone(build("test_swin"), output_fmt="NHWC")


VERBS = (
    *("forward", "forward_features", "forward_head", "forward_intermediates"),
    *("get_intermediate_layers", "prune_intermediate_layers", "set_grad_checkpointing"),
    *("reset_classifier", "get_classifier", "no_weight_decay", "group_matcher"),
)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("test_vit", "test_vit"),
        ("swin_tiny_patch4_window7_224", "swin_tiny"),
        ("pvt_v2_b0", "pvt_v2_b0"),
        ("mvitv2_tiny", "mvitv2_tiny"),
    ],
)
def test_signatures_take_what_timms_take(theirs: str, ours: str) -> None:
    with torch.device("meta"):
        expected, model = timm.create_model(theirs), wavevit.create_model(ours)
    for verb in VERBS:
        if not hasattr(expected, verb):
            continue
        own = inspect.signature(getattr(model, verb)).parameters
        for name, parameter in inspect.signature(getattr(expected, verb)).parameters.items():
            assert name in own, f"{verb} lacks {name}"
            if parameter.default is not inspect.Parameter.empty:
                assert own[name].default == parameter.default, f"{verb}({name}=)"
    for attribute in ("num_classes", "num_features", "head_hidden_size", "global_pool"):
        assert hasattr(model, attribute)


def test_intermediates_equal_timms() -> None:
    """Prefix tokens, masks and dicts, with timm's weights in our ViT."""
    theirs = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=3).eval()
    config = wavevit.model_config("vit_tiny_patch16")
    stages = (dataclasses.replace(config.stages[0], depth=2),)
    config = dataclasses.replace(config, stages=stages, img_size=64, num_classes=3)
    ours = load_timm_weights(wavevit.Backbone(config), theirs).eval()
    x = images(size=(64, 64))
    mask = torch.rand(1, 1, 17, 17, generator=torch.Generator().manual_seed(1)) > 0.3
    mask |= torch.eye(17, dtype=torch.bool)
    for options in (
        {},
        {"return_prefix_tokens": True, "norm": True},
        {"output_dict": True, "return_prefix_tokens": True},
        {"output_dict": True, "intermediates_only": True, "output_fmt": "NLC"},
        {"indices": [0], "stop_early": True},
        {"attn_mask": mask},
        {"attn_mask": torch.zeros(17, 17).masked_fill(~mask[0, 0], -3.0), "norm": True},
        {"is_causal": True},
    ):
        expected = theirs.forward_intermediates(x, **options)
        _assert_same(ours.forward_intermediates(x, **options), expected)
    for options in ({"attn_mask": mask}, {"is_causal": True}):
        _assert_same(ours(x, **options), theirs(x, **options))
        _assert_same(ours.forward_features(x, **options), theirs.forward_features(x, **options))
    for options in ({"n": 2}, {"n": [0], "reshape": True, "return_prefix_tokens": True}):
        expected = theirs.get_intermediate_layers(x, **options)
        _assert_same(ours.get_intermediate_layers(x, **options), expected)


def _assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, torch.Tensor):
        assert_close_relative(found, expected, bound=1e-4)
    else:
        for one, two in zip(found, expected, strict=True):
            _assert_same(one, two)


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("test_swin", {}, "hierarchical"),
        ("test_haar_vit", {"alignment": "phase_lock"}, "alignment='phase_lock' moves"),
    ],
)
def test_masks_for_unsupported_models_are_refused(
    name: str, changes: dict[str, Any], reason: str
) -> None:
    model = build(name, **changes)
    for options in ({"is_causal": True}, {"attn_mask": torch.ones(1, 1)}):
        with pytest.raises(ValueError, match=rf"attn_mask and is_causal: expected .*{reason}"):
            model(images(), **options)
        with pytest.raises(ValueError, match=rf"attn_mask and is_causal: expected .*{reason}"):
            model.forward_intermediates(images(), **options)


@pytest.mark.parametrize(
    "mask",
    [torch.ones(3, 17), torch.ones(17), torch.ones(3, 1, 17, 17), torch.ones(17, 17).long()],
)
def test_masks_that_do_not_fit_are_refused(mask: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="attn_mask: expected"):
        build("test_vit")(images(size=(64, 64)), attn_mask=mask)


@pytest.mark.parametrize("name", ["test_vit", "test_swin", "test_haar_pyramid"])
def test_torchvision_extracts_features_by_name(name: str) -> None:
    model = build(name)
    nodes = {entry["module"]: str(i) for i, entry in enumerate(model.feature_info)}
    found = create_feature_extractor(model, nodes)(images())
    maps = model.forward_intermediates(images(), output_fmt="NLC", intermediates_only=True)
    for index, expected in enumerate(maps):
        feature = found[str(index)]
        feature = feature if feature.ndim == 3 else feature.flatten(2).transpose(1, 2)
        assert_close_relative(feature[:, feature.shape[1] - expected.shape[1] :], expected)


def test_a_graph_of_fx_refuses_masks_and_aligned_models() -> None:
    graph = torch.fx.symbolic_trace(build("test_vit"))
    with pytest.raises(ValueError, match=r"None and False in a graph of torch\.fx"):
        graph(images(size=(64, 64)), attn_mask=torch.ones(17, 17))
    with pytest.raises(ValueError, match=r"x: expected images .*got a Proxy"):
        torch.fx.symbolic_trace(build("test_vit", alignment="phase_lock"))


# A map is a view of tokens, which nothing changes in place.
@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module .* returned a view tensor:UserWarning")
@pytest.mark.parametrize("name", ["test_vit", "test_haar_pyramid", "test_lipschitz_pyramid"])
def test_stages_are_sharded_one_by_one(name: str) -> None:
    """`fully_shard` gathers what a module owns while it is called, and only then."""
    expected, model, x = build(name), build(name), images()
    expected(x).square().sum().backward()
    with tempfile.TemporaryDirectory() as folder:
        store = dist.FileStore(str(Path(folder) / "store"), 1)
        dist.init_process_group("gloo", store=store, rank=0, world_size=1)
        try:
            mesh = dist.init_device_mesh("cpu", (1,))
            for stage in model.stages:
                fully_shard(stage, mesh=mesh)
            fully_shard(model, mesh=mesh)
            logits = model(x)
            logits.square().sum().backward()
            assert_close_relative(logits, expected(x))
            for own, other in zip(model.parameters(), expected.parameters(), strict=True):
                assert_close_relative(own.grad.full_tensor(), other.grad)
        finally:
            dist.destroy_process_group()


@pytest.mark.parametrize("method", ALIGNED)
def test_aligned_models_trace_and_take_empty_batches(method: str) -> None:
    create = lambda **options: build("test_haar_pyramid", alignment=method, **options)  # noqa: E731
    traces(Subject(create, [(64, 64)]))
    model = create(num_classes=7).train()
    x = images(batch=0).requires_grad_()
    model(x).sum().backward()
    maps = model.forward_intermediates(x, intermediates_only=True)
    assert [len(feature) for feature in maps] == [0] * len(maps)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *[("Unet", "test_haar_pyramid"), ("FPN", "test_pvt_v2")],
        *[("DPT", "test_vit"), ("DPT", "test_haar_vit"), ("DPT", "test_dtcwt_vit")],
        *[("DPT", "test_haar_pyramid"), ("DPT", "test_dtcwt_pyramid"), ("DPT", "test_swin")],
    ],
)
def test_segmentation_models_pytorch(kind: str, name: str) -> None:
    import segmentation_models_pytorch as smp

    options: dict[str, Any] = {"encoder_weights": None, "classes": 3}
    if kind == "DPT":
        stages = len(wavevit.model_config(name).stages)
        depth = 2 if stages == 1 else min(stages, 4)  # blocks of a column, stages of a pyramid
        options |= {"encoder_depth": depth, "decoder_intermediate_channels": (16,) * depth}
        options |= {"decoder_fusion_channels": 16}
        if stages > 1:
            options |= {"decoder_readout": "ignore"}  # there is no class token to read out
    else:
        depth = len(wavevit.model_config(name).stages) + 1
        options |= {"encoder_depth": depth}
        if kind == "Unet":
            options |= {"decoder_channels": (16,) * depth}
    model = getattr(smp, kind)(f"tu-{NAMES[name]}", img_size=64, **options)
    x = images(size=(64, 64))
    out = model(x)
    assert out.shape == (2, 3, 64, 64)
    out.square().mean().backward()
