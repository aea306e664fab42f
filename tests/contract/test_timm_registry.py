"""`timm.create_model` gives our models, and keeps its own."""

from __future__ import annotations

import re
import sys
from functools import partial

import pytest
import timm
import timm.optim
import timm.scheduler
import torch

import wavevit
from wavevit.interop.timm import register
from wavevit.testing import assert_close_relative

# Other test files register our models too, in the same process.
BEFORE = {
    name: entry
    for name in timm.list_models()
    if (entry := timm.models.model_entrypoint(name)).__module__.startswith("timm.")
}
NAMES = register()
SMALL = [name for name in NAMES if name.startswith("test_")]
PYRAMIDS = [name for name in SMALL if len(wavevit.model_config(name).stages) > 1]


def images(side: int = 64, channels: int = 3) -> torch.Tensor:
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(0))


def created(name: str, **arguments: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model(NAMES[name], img_size=64, **arguments).eval()


def test_timm_keeps_its_own_models() -> None:
    assert all(timm.models.model_entrypoint(name) is entry for name, entry in BEFORE.items())
    assert set(NAMES) == set(wavevit.list_models())
    taken = {name for name in NAMES if name in BEFORE}
    assert {"pvt_v2_b0", "test_vit"} <= taken
    assert {n: own for n, own in NAMES.items() if own != n} == {n: f"wavevit_{n}" for n in taken}
    assert register() == NAMES


def test_listed() -> None:
    assert set(wavevit.list_models("haar*")) <= set(timm.list_models("haar*"))
    assert set(NAMES.values()) == set(timm.list_models(module="timm_registry"))
    assert not set(NAMES.values()) & set(timm.list_pretrained())


@pytest.mark.parametrize("name", SMALL)
def test_timm_builds_the_same_model(name: str) -> None:
    theirs = created(name, num_classes=5, in_chans=4, drop_path_rate=0.1, drop_rate=0.2)
    ours = wavevit.create_model(name, num_classes=5, in_chans=4, drop_path_rate=0.1, img_size=64)
    ours.load_state_dict(theirs.state_dict())
    assert_close_relative(theirs(images(channels=4)), ours.eval()(images(channels=4)))
    assert theirs.num_classes == 5


@pytest.mark.parametrize("name", SMALL)
def test_features(name: str) -> None:
    whole, features = created(name, num_classes=0), created(name, features_only=True)
    maps = whole.forward_intermediates(images(), intermediates_only=True)
    info = whole.feature_info
    assert features.feature_info.channels() == [entry["num_chs"] for entry in info]
    assert features.feature_info.reduction() == [entry["reduction"] for entry in info]
    for one, two in zip(features(images()), maps, strict=True):
        assert one.shape == two.shape
    first = created(name, features_only=True, out_indices=(0,))
    assert sum(p.numel() for p in first.parameters()) < sum(p.numel() for p in whole.parameters())
    first.model.load_state_dict(whole.state_dict(), strict=False)
    assert_close_relative(first(images())[0], maps[0])


def test_rates_of_layers_with_a_scheduler_of_torch() -> None:
    """docs/use-it-in.md: after its loop torch's scheduler starts at the rates of timm's."""
    rates = {}
    for scheduler in ("timm", "torch", "torch, scaled"):
        model = created("test_haar_pyramid", num_classes=5)
        optimizer = timm.optim.create_optimizer_v2(model, "adamw", lr=1e-3, layer_decay=0.75)
        if scheduler == "timm":
            timm.scheduler.CosineLRScheduler(optimizer, t_initial=10)
        else:
            for group in optimizer.param_groups:
                group["lr"] *= group["lr_scale"] if scheduler == "torch, scaled" else 1
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
        rates[scheduler] = [group["lr"] for group in optimizer.param_groups]
    assert rates["torch, scaled"] == pytest.approx(rates["timm"])
    assert len(set(rates["timm"])) > 2
    assert set(rates["torch"]) == {1e-3}, "timm scales the rates itself: mend docs/use-it-in.md"


def test_pooling() -> None:
    names = ("test_vit", "test_haar_pyramid")
    vit, pyramid = (created(name, num_classes=0, global_pool="") for name in names)
    assert_close_relative(vit(images()), vit.forward_features(images()))
    assert pyramid(images()).shape == (2, pyramid.num_features, 4, 4)
    average = created("test_vit", num_classes=0, global_pool="avg")
    assert_close_relative(average(images()), average.forward_features(images())[:, 1:].mean(dim=1))
    with pytest.raises(ValueError, match="num_classes: expected 0 with global_pool=''"):
        created("test_vit", global_pool="")
    with pytest.raises(ValueError, match="global_pool: expected one of 'avg', 'power', ''"):
        created("test_swin", global_pool="token")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"drop_rate": 1.5}, r"drop_rate: expected a rate in \[0, 1\), got 1.5"),
        ({"output_stride": 16}, "argument: expected one of .*, got 'output_stride'"),
        ({"attn_drop_rate": 0.1}, "argument: .*nearest: drop_rate.*, got 'attn_drop_rate'"),
        ({"proj_drop_rate": 0.1}, "argument: .*nearest: drop_rate.*, got 'proj_drop_rate'"),
        ({"embed_dim": 32}, "argument: expected one of .*, got 'embed_dim'"),
        ({"global_pool": "max"}, "global_pool: expected one of 'avg', 'power', ''"),
        ({"features_only": True, "out_indices": (0, 9)}, "indices: expected numbers from"),
    ],
)
def test_unknown_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        created("test_haar_pyramid", **arguments)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])  # nothing that is not imported yet can be found
    with pytest.raises(ImportError, match=r"wavevit\[timm\]"):
        register()


def test_pretrained_is_refused_by_timm() -> None:
    with pytest.raises(RuntimeError, match="No pretrained weights exist for test_haar_pyramid"):
        created("test_haar_pyramid", pretrained=True)


def test_weights_and_data_configuration_through_timm(tmp_path) -> None:
    from safetensors.torch import save_file

    source = created("test_vit", num_classes=1000)
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    overlay = {"file": str(tmp_path / "model.safetensors")}
    torch.manual_seed(1)
    grey = timm.create_model(
        NAMES["test_vit"], pretrained=True, pretrained_cfg_overlay=overlay, img_size=64, in_chans=1
    ).eval()
    grey_images = images(channels=1)
    # timm sums the kernels of the three channels.
    assert_close_relative(grey(grey_images), source(grey_images.expand(-1, 3, -1, -1)), depth=10)


def test_grid_of_a_checkpoint_that_timm_cannot_tell(tmp_path) -> None:
    """2 x 32 positions are as many as 8 x 8; the error names timm's word for the size."""
    torch.manual_seed(0)
    source = timm.create_model(NAMES["test_vit"], num_classes=1000, img_size=(32, 512)).eval()
    torch.save(source.state_dict(), tmp_path / "model.pth")
    overlay = {"file": str(tmp_path / "model.pth")}
    torch.manual_seed(1)
    load = partial(timm.create_model, NAMES["test_vit"], pretrained=True, img_size=(32, 512))
    with pytest.raises(ValueError, match=r"2 x 32, .* 8 x 8.*pretrained_cfg_overlay.*input_size"):
        load(pretrained_cfg_overlay=overlay)
    read = load(pretrained_cfg_overlay=overlay | {"input_size": (3, 32, 512)}).eval()
    x = torch.randn(2, 3, 32, 512)
    assert torch.equal(read(x), source(x))


@pytest.mark.parametrize("name", SMALL)
def test_data_configuration_is_the_audits(name: str) -> None:
    """timm's data functions and the audit show a model the same numbers, built by either."""
    from PIL import Image

    from wavevit.auditing.targets import make_target

    model = created(name)
    ours = wavevit.create_model(name, img_size=64, in_chans=1)
    data = timm.data.resolve_model_data_config(model)
    assert data["input_size"] == (3, 224, 224)
    grey = timm.data.resolve_model_data_config(ours)
    assert grey["input_size"] == (1, 64, 64)
    assert (grey["mean"], grey["std"]) == (data["mean"][:1], data["std"][:1])
    for key in ("interpolation", "crop_pct", "crop_mode"):
        assert grey[key] == data[key]
    shown = make_target(ours, size=64).facts["normalization"]
    assert (tuple(shown["mean"]), tuple(shown["std"])) == (grey["mean"], grey["std"])
    black = timm.data.create_transform(**grey)(Image.new("L", (90, 70)))
    torch.testing.assert_close(black, torch.full((1, 64, 64), -2.0))


@pytest.mark.parametrize("name", PYRAMIDS)
def test_rules_of_timms_configurations(name: str) -> None:
    """Last maps, pooled features and names are what `default_cfg` says, after every reset."""
    with torch.device("meta"):
        model = timm.create_model(NAMES[name])
        x = torch.empty(1, *model.default_cfg["input_size"])
    cfg, state = model.default_cfg, model.state_dict()
    map_shape = (1, model.num_features, *cfg["pool_size"])
    features = model.forward_features(x)
    assert features.shape == map_shape
    assert model.forward_head(features, pre_logits=True).shape == (1, model.head_hidden_size)
    assert model.forward_head(features).shape == (1, model.num_classes)
    model.reset_classifier(0)
    assert model.forward_head(features).shape == (1, model.head_hidden_size)
    model.reset_classifier(0, "")
    assert model.forward_head(features).shape == map_shape
    with torch.device("meta"):
        bare = timm.create_model(NAMES[name], num_classes=0, global_pool="")
    assert bare.forward_head(features).shape == map_shape
    for ends in (cfg["classifier"], cfg["first_conv"]):
        for end in (ends,) if isinstance(ends, str) else ends:
            assert f"{end}.weight" in state


@pytest.mark.parametrize("name", PYRAMIDS)
def test_pooling_at_test_time(name: str) -> None:
    """timm's head for larger images, which slides the training size's pooling over the map."""
    pool = "avg" if name == "test_alias_free_pyramid" else None  # it takes the mean alone
    model = created(name, num_classes=5, global_pool=pool)
    config = {"input_size": (3, 256, 256)}
    tested, changed = timm.layers.apply_test_time_pool(model, config)
    assert changed
    with torch.no_grad():
        assert tested(images(256)).shape == (2, 5)


@pytest.mark.parametrize("name", wavevit.list_models())
def test_configuration_is_true(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(NAMES[name])
    cfg = model.pretrained_cfg
    assert cfg["architecture"] == NAMES[name]
    assert cfg["input_size"] == (model.in_chans, *model.config.image_size)
    assert model.get_submodule(cfg["classifier"]) is model.get_classifier()
    assert (cfg["pool_size"] is None) == (len(model.config.stages) == 1)
    assert not cfg["fixed_input_size"]
    assert cfg["first_conv"] == () or isinstance(cfg["first_conv"], str)
    if cfg["first_conv"]:
        assert model.get_submodule(cfg["first_conv"]).weight.shape[1] == model.in_chans
    groups = timm.optim.param_groups_weight_decay(
        model, 0.1, no_weight_decay_list=model.no_weight_decay()
    )
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {
        id(m.weight)
        for m in model.modules()
        if re.fullmatch(".*Linear|.*Conv2?d?", type(m).__name__) and hasattr(m, "weight")
    }
