"""What the audit sees through a wrapper: the same pictures and views as of what is inside."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim.swa_utils import AveragedModel

import wavevit
from tests.few_samples import FEW
from wavevit.auditing.targets import Target, make_target

X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class InDict(nn.Module):
    """A wrapper as a training library has it: pictures pass, the output is named."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.net = model

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.net(x)}


class Scaled(nn.Module):
    """A normalisation of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - 1


WRAPPERS: dict[str, Callable[[nn.Module], Any]] = {
    "compiled": lambda m: torch.compile(m, backend="eager"),
    "averaged": AveragedModel,
    "data_parallel": nn.DataParallel,
    "twice": lambda m: AveragedModel(nn.DataParallel(m)),
    "forward": lambda m: m.forward,
    "function": lambda m: lambda x: m(x),
    "partial": lambda m: functools.partial(lambda net, x: net(x), m),
    "sequential": lambda m: nn.Sequential(nn.Identity(), m),
    "in_dict": InDict,
}
# Wrappers that call a model on other batches than they get.
REBATCHING: dict[str, Callable[[nn.Module], Any]] = {
    "one_by_one": lambda m: lambda x: torch.cat([m(image[None]) for image in x]),
    "with_flipped": lambda m: lambda x: m(torch.cat([x.flip(-1), x])).chunk(2)[1],
}


def ours() -> nn.Module:
    return wavevit.create_model("test_vit", img_size=32).eval()


def timms() -> nn.Module:
    return timm.create_model("test_vit", img_size=32).eval()


def aligned() -> nn.Module:
    return wavevit.align(ours(), "polyphase")


def views(target: Target) -> list[Tensor]:
    assert target.tokens is not None
    with torch.no_grad():
        return [view(X) for view in (target.logits, target.embed, target.tokens)]


@pytest.mark.parametrize("build", [ours, timms, aligned])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrapped_model_has_the_figures_of_the_bare_model(
    wrapper: str, build: Callable[[], nn.Module]
) -> None:
    model = build()
    bare, wrapped = make_target(model, size=32), make_target(WRAPPERS[wrapper](model))
    for key in ("normalization", "normalization_source", "size", "channels", "alignment"):
        assert wrapped.facts[key] == bare.facts[key], key
    assert bare.facts["normalization"]["std"] in ([0.25] * 3, [0.5] * 3)
    for here, there in zip(views(wrapped), views(bare), strict=True):
        assert torch.equal(here, there)


def test_alignment_around_a_wrapper_is_kept() -> None:
    model = ours()
    around = wavevit.align(AveragedModel(model), "polyphase", period=8)
    bare = wavevit.align(model, "polyphase", period=8)
    for here, there in zip(views(make_target(around)), views(make_target(bare)), strict=True):
        assert torch.equal(here, there)


def test_a_distributed_model_is_seen_through(tmp_path: Any) -> None:
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = ours()
        found = make_target(nn.parallel.DistributedDataParallel(model))
    finally:
        torch.distributed.destroy_process_group()
    assert found.facts["wrappers"] == ["DistributedDataParallel"]
    assert torch.equal(views(found)[0], views(make_target(model))[0])


def test_a_compiled_model_has_the_figures_of_the_bare_one() -> None:
    """Its own graph is timed; hooks, counters and derivatives see what was compiled."""
    model = ours()
    compiled = torch.compile(model, backend="eager")
    pictures = torch.rand(4, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    report = wavevit.audit(model, against={"compiled": compiled}, images=pictures, samples=FEW)
    assert report.sections("compiled") == report.sections()
    assert report.record["models"][1]["notes"] == [
        "measured uncompiled; its time is that of the compiled model"
    ]
    table = report.table()
    assert "mean 0.5, standard deviation 0.25 (wavevit's own models: Backbone)" in table
    assert "wavevit&#x27;s own models: Backbone" in report.to_html()


@pytest.mark.parametrize(
    ("model", "source", "mean"),
    [
        (lambda: nn.Sequential(Scaled(), ours()), "none used: a wrapper changes the pictures", 0.0),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 4)),
            "none declared: pictures unchanged",
            0,
        ),
        (timms, "declared by pretrained_cfg of VisionTransformer", 0.5),
        (
            lambda: wavevit.create_model("test_vit", img_size=32, features_only=True),
            "wavevit's own models: FeatureBackbone",
            0.5,
        ),
        (
            lambda: timm.create_model("test_vit", img_size=32, features_only=True),
            "declared by pretrained_cfg",
            0.5,
        ),
        (lambda: ours().forward_features, "wavevit's own models: Backbone", 0.5),
    ],
)
def test_the_normalisation_and_its_source(
    model: Callable[[], Any], source: str, mean: float
) -> None:
    facts = make_target(model(), size=32).facts
    assert facts["normalization_source"].startswith(source)
    assert facts["normalization"]["mean"] == [mean] * 3


def test_a_wrapper_that_normalises_gets_the_pictures_as_they_are() -> None:
    model = ours()
    found = make_target(nn.Sequential(Scaled(), model), size=32)
    with torch.no_grad():
        assert torch.equal(found.logits(X), model(2 * X - 1))
    assert "declares mean [0.5] and std [0.25]" in found.facts["normalization_source"]


@pytest.mark.parametrize("build", [ours, timms, lambda: AveragedModel(timms())])
def test_a_given_normalisation_counts(build: Callable[[], nn.Module]) -> None:
    model = build()
    mean, std = (0.1, 0.2, 0.3), 0.5
    found = make_target(model, mean=mean, std=std)
    assert found.facts["normalization"] == {"mean": list(mean), "std": [std] * 3}
    assert found.facts["normalization_source"] == "given"
    with torch.no_grad():
        expected = model((X - torch.tensor(mean)[:, None, None]) / std)
    torch.testing.assert_close(found.logits(X).detach(), expected)
    assert make_target(model, mean=0.1).facts["normalization"]["std"] == [1.0] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": (0.1, 0.2)}, r"mean: expected one number, or 3: one for each channel"),
        ({"std": 0}, "std: expected positive numbers"),
        ({"std": (0.5, -1, 0.5)}, "std: expected positive numbers"),
        ({"mean": "grey"}, "mean: expected a number, or one for each channel"),
        ({"mean": float("nan")}, "mean: expected a number"),
        ({"channels": 1}, r"channels: expected the number that the model takes \(3 is one\)"),
        ({"channels": 0}, "channels: expected an integer of at least 1"),
    ],
)
def test_bad_mean_and_std_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_target(ours(), **arguments)


class OneChannel(nn.Module):
    """Neither ours nor timm's, and says nothing of its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(channels, 4, 4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x).mean(dim=(2, 3)))


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_channels_are_found(channels: int) -> None:
    found = make_target(OneChannel(channels), size=32)
    assert found.channels == channels
    notes = found.facts["notes"]
    assert bool(notes) == (channels not in (1, 3))
    assert all("luminance" in note for note in notes)
    assert make_target(OneChannel(channels), size=32, channels=channels).channels == channels


def test_a_stem_that_is_no_convolution_of_the_pictures_does_not_mislead() -> None:
    model = nn.Sequential(
        nn.PixelUnshuffle(4), nn.Conv2d(48, 8, 1), nn.Flatten(), nn.Linear(512, 3)
    )
    assert make_target(model, size=32).channels == 3


def test_features_are_what_the_last_linear_layer_gets() -> None:
    model = OneChannel(3)
    for wrapped in (model, InDict(model), lambda x: model(x)):
        found = make_target(wrapped, size=32)
        with torch.no_grad():
            torch.testing.assert_close(found.embed(X), model.stem(X).mean(dim=(2, 3)))
        assert found.facts["embedding"].endswith("head, the layer that makes the output")
    changed = make_target(lambda x: model(x).softmax(1), size=32)
    assert changed.facts["embedding"] == "the output"


@pytest.mark.parametrize("wrapper", REBATCHING)
def test_a_wrapper_that_changes_the_batch_keeps_the_normalisation(wrapper: str) -> None:
    model = timms()
    bare, found = make_target(model), make_target(REBATCHING[wrapper](model), size=32)
    assert found.facts["normalization"] == bare.facts["normalization"]
    with torch.no_grad():
        torch.testing.assert_close(found.logits(X), bare.logits(X))


def test_weights_that_are_put_in_for_a_call_are_those_of_the_features() -> None:
    model, averaged = ours(), ours()
    with torch.no_grad():
        for parameter in averaged.parameters():
            parameter.mul_(1.5)
    weights = dict(averaged.named_parameters())
    bare = make_target(averaged)
    found = make_target(lambda x: functional_call(model, weights, (x,)), size=32)
    with torch.no_grad():
        torch.testing.assert_close(found.logits(X), bare.logits(X))
        torch.testing.assert_close(found.embed(X), bare.embed(X))
    assert found.tokens is None  # the module that has them holds other weights


def test_autocast_around_a_model_is_no_other_model() -> None:
    model = ours()
    found = make_target(torch.autocast("cpu", torch.bfloat16)(lambda x: model(x)), size=32)
    for seen, own in zip(views(found), views(make_target(model)), strict=True):
        assert (seen - own).norm() < 0.02 * own.norm()


def test_features_are_of_the_call_that_makes_the_output() -> None:
    model = OneChannel(3)
    found = make_target(lambda x: (model(x), model(x.flip(1))), size=32)
    with torch.no_grad():
        torch.testing.assert_close(found.logits(X), model(X))
        torch.testing.assert_close(found.embed(X), model.stem(X).mean(dim=(2, 3)))
