"""`wavevit.graft` on models of timm, torchvision and wavevit: what stays as it was."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

import wavevit
from tests.grafted_models import FAMILIES, images, ours, timm_model, trained
from wavevit.grafting import (
    GraftedEmbedding,
    branch_parameters,
    find_embedding,
    first_blocks,
    graft,
    ungraft,
)
from wavevit.measure.certify import NoLipschitzBound, lipschitz_at
from wavevit.testing import assert_close_relative


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_outputs_names_and_classes_stay(family: str) -> None:
    build, size, place = FAMILIES[family]
    model, x = build(), images(size)
    expected, before = model(x), copy.deepcopy(model.state_dict())
    grafted = graft(model, "dtcwt")
    assert find_embedding(model)[0] == find_embedding(grafted)[0] == place
    assert type(grafted) is type(model)
    embedding, own = grafted.get_submodule(place), type(model.get_submodule(place))
    assert isinstance(embedding, GraftedEmbedding)
    assert isinstance(embedding, own)
    assert_close_relative(grafted(x), expected, bound=1e-6)
    # Names: the branch's are the only new ones, so checkpoints go both ways.
    state = grafted.state_dict()
    new = set(state) - set(before)
    assert new
    assert all(name.startswith(f"{place}.graft.") for name in new)
    loaded = model.load_state_dict(state, strict=False)
    assert not loaded.missing_keys
    assert set(loaded.unexpected_keys) == new
    # Negative control: a branch that is not zero changes the output.
    assert float((trained(grafted)(x) - expected).norm()) > 1e-3 * float(expected.norm())
    back = ungraft(grafted)
    assert list(back.state_dict()) == list(before)
    assert all(torch.equal(tensor, before[name]) for name, tensor in back.state_dict().items())
    assert type(back.get_submodule(place)) is own
    assert torch.equal(back(x), expected)
    assert isinstance(grafted.get_submodule(place), GraftedEmbedding)  # it was a copy


@pytest.mark.parametrize("family", ["vit", "swin", "torchvision", "ours"])
def test_first_blocks_are_those_of_the_model(family: str) -> None:
    grafted = graft(FAMILIES[family][0]())
    lists = {
        "vit": lambda m: list(m.blocks),
        "swin": lambda m: [*m.layers[0].blocks, *m.layers[1].blocks],
        "torchvision": lambda m: list(m.encoder.layers),
        "ours": lambda m: list(m.stages[0].blocks),
    }
    blocks = lists[family](grafted)
    for count in range(len(blocks) + 1):
        found = first_blocks(grafted, count)
        assert [id(block) for block in found] == [id(block) for block in blocks[:count]]
    with pytest.raises(ValueError, match=rf"count: expected .* has {len(blocks)}"):
        first_blocks(grafted, len(blocks) + 1)


def test_branch_parameters_are_what_was_added() -> None:
    grafted = graft(ours(), lowpass=4)
    added = {id(p) for p in branch_parameters(grafted)}
    named = {name for name, p in grafted.named_parameters() if id(p) in added}
    assert named == {f"tokenizer.graft.{name}" for name in (
        "low_pass.gate", "proj.bias", "proj.weight", "tokenizer.norm.bias", "tokenizer.norm.weight",
        "tokenizer.proj.bias", "tokenizer.proj.weight",
    )}  # fmt: skip


def test_inplace_changes_the_model_itself() -> None:
    model = ours()
    assert graft(model, inplace=True) is model
    assert isinstance(model.tokenizer, GraftedEmbedding)
    assert ungraft(model, inplace=True) is model
    assert not isinstance(model.tokenizer, GraftedEmbedding)
    assert not hasattr(model.tokenizer, "graft")


@torch.no_grad()
def test_timm_contract_of_the_patch_embedding() -> None:
    model = timm_model("vit_tiny_patch16_224", dynamic_img_size=True)
    grafted = trained(graft(model))
    embedding, own = grafted.patch_embed, model.patch_embed
    for name in ("img_size", "patch_size", "grid_size", "num_patches", "output_fmt", "flatten"):
        assert getattr(embedding, name) == getattr(own, name), name
    assert embedding.feat_ratio() == 16
    assert embedding.dynamic_feat_size((48, 80)) == (3, 5)
    assert embedding.proj.weight.shape == own.proj.weight.shape
    before = grafted(images((32, 64)))
    grafted.set_input_size((32, 64))
    assert grafted.patch_embed.grid_size == (2, 4)
    assert_close_relative(grafted(images((32, 64))), before, bound=1e-5)


@torch.no_grad()
def test_another_patch_size_keeps_the_branch() -> None:
    """timm resizes the kernel; the branch reads the same number of pixels for a patch as before."""
    model = trained(graft(timm_model("vit_tiny_patch16_224", img_size=64)))
    constant = torch.full((1, 3, 64, 64), 0.7)
    before = model.patch_embed.graft(constant, (16, 16))
    model.set_input_size(img_size=32, patch_size=8)
    after = model.patch_embed.graft(constant[..., :32, :32], (8, 8))
    assert model(images((32, 32))).shape == (2, 5)
    assert after.shape == before.shape == (1, 4, 4, 32)
    assert_close_relative(after, before, bound=1e-5)


@torch.no_grad()
def test_features_only() -> None:
    model = timm_model("vit_tiny_patch16_224", features_only=True, out_indices=(0, 1))
    grafted = graft(model)
    for found, expected in zip(grafted(images((32, 32))), model(images((32, 32))), strict=True):
        assert_close_relative(found, expected, bound=1e-6)
    assert find_embedding(grafted)[0] == "model.patch_embed"
    assert grafted.feature_info.channels() == model.feature_info.channels()


@torch.no_grad()
def test_copies_and_pickles() -> None:
    grafted = trained(graft(timm_model("vit_tiny_patch16_224"), lowpass=2))
    expected = grafted(images((32, 32)))
    for twin in (copy.deepcopy(grafted), pickle.loads(pickle.dumps(grafted))):
        assert type(twin.patch_embed) is type(grafted.patch_embed)
        assert torch.equal(twin(images((32, 32))), expected)
        assert type(ungraft(twin).patch_embed).__name__ == "PatchEmbed"


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    found = []
    for checkpointing in (False, True):
        model = trained(graft(timm_model("vit_tiny_patch16_224")))
        model.set_grad_checkpointing(checkpointing)
        model.train()(images((32, 32))).square().sum().backward()
        found.append([parameter.grad for parameter in branch_parameters(model)])
    for plain, checkpointed in zip(*found, strict=True):
        assert_close_relative(checkpointed, plain, bound=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_half_precision_and_autocast(dtype: torch.dtype) -> None:
    model = timm_model("vit_tiny_patch16_224")
    x = images((32, 32))
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(graft(model)(x), model(x))
        assert graft(model)(x).dtype == model(x).dtype
    half = model.to(dtype)
    grafted = graft(half)
    assert {p.dtype for p in branch_parameters(grafted)} == {dtype}
    assert torch.equal(grafted(x.to(dtype)), half(x.to(dtype)))
    assert trained(grafted)(x.to(dtype)).isfinite().all()


@torch.no_grad()
def test_exports() -> None:
    model = trained(graft(timm_model("vit_small_patch14_reg4_dinov2", img_size=28)))
    x = images((28, 28))
    program = torch.export.export(model, (x,))
    assert_close_relative(program.module()(x), model(x), depth=10)


@torch.no_grad()
def test_compiles_without_a_graph_break() -> None:
    torch.compiler.reset()
    model = trained(graft(timm_model("vit_tiny_patch16_224"), lowpass=2))
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    assert_close_relative(compiled(images((32, 32))), model(images((32, 32))), depth=10)


@torch.no_grad()
def test_symbolic_tracing_keeps_the_branch_as_one_node() -> None:
    model = trained(graft(ours(), lowpass=2))
    traced = torch.fx.symbolic_trace(model)
    assert_close_relative(traced(images((32, 32))), model(images((32, 32))), depth=10)


@torch.no_grad()
def test_declarations_of_a_grafted_tokenizer_count_the_branch() -> None:
    tokenizer = graft(ours()).tokenizer.in_float64()
    x = images((32, 32), dtype=torch.float64)
    both, own = tokenizer.linear_part(x), tokenizer.proj(x)
    assert torch.equal(both[:, : own.shape[1]], own)
    branch = tokenizer.graft.tokenizer.linear_part(x)
    assert torch.equal(both[:, own.shape[1] :], branch)
    assert tokenizer.simplified() is None  # and so `Backbone.fold` keeps the branch
    with pytest.raises(NoLipschitzBound):
        lipschitz_at(tokenizer, (32, 32))
    model = trained(graft(ours()))
    assert_close_relative(model.fold()(images((32, 32))), model(images((32, 32))), depth=10)


def test_convolutional_networks_are_refused() -> None:
    from torchvision.models import resnet18

    with torch.device("meta"):
        model = resnet18()
    with pytest.raises(ValueError, match=r"conv1: expected .*overlapping.* got kernel \(7, 7\)"):
        graft(model)


def test_grafting_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model: expected a model without a graft .* tokenizer"):
        graft(graft(ours()))


def test_models_without_a_graft_are_refused() -> None:
    for function in (ungraft, branch_parameters, wavevit.grafting.merge):
        with pytest.raises(ValueError, match=r"grafted: expected a model of wavevit.graft, got"):
            function(ours())


class Stem(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.patch_embed = layers[0] if len(layers) == 1 else nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Sequential(nn.Linear(3, 3)), r"model: expected .* patch embedding.*, got Sequential"),
        (
            nn.ModuleDict({name: nn.Conv2d(3, 8, 4, 4) for name in ("patch_embed", "conv_proj")}),
            r"got ModuleDict with 2: patch_embed, conv_proj",
        ),
        (
            Stem(nn.Conv2d(3, 8, 7, stride=4, padding=3)),
            r"patch_embed: .*overlapping.*kernel \(7, 7\), stride \(4, 4\), padding \(3, 3\)",
        ),
        (
            Stem(nn.Conv2d(3, 8, 3, 3), nn.Conv2d(8, 8, 4, 4)),
            r"patch_embed: .*got Sequential with 0",
        ),
        (Stem(nn.Linear(3, 8)), r"patch_embed: expected .*single nn.Conv2d .*got Linear"),
    ],
)
def test_models_without_a_patch_embedding_are_refused(model: nn.Module, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        find_embedding(model)
    with pytest.raises(ValueError, match=words):
        graft(model)


def test_other_tokenizers_of_ours_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tokenizer: expected tokenizer='patch', got Packet"):
        graft(ours("test_haar_vit"))
    with pytest.raises(ValueError, match=r"model: expected .*, got str"):
        graft("vit_tiny")  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tokenizer": "dtcw"}, r"tokenizer: expected one of .*nearest: dtcwt"),
        ({"low_pass": 2}, r"option: expected one of .*nearest: lowpass.*, got 'low_pass'"),
        ({"lowpass": 1}, r"lowpass: expected an integer of at least 2, got 1"),
        ({"width": 0}, r"width: expected an integer of at least 1, got 0"),
        ({"padding": "mirror"}, r"padding: expected one of 'zeros', 'circular'"),
        ({"subband_norm": 1}, r"subband_norm: expected True or False, got 1"),
        ({"tokenizer_options": {"a": 1}}, r"tokenizer_options: expected no options"),
    ],
)
def test_wrong_options_are_refused(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        graft(ours(), **options)


def test_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"x: expected 3 channels, got 1 in shape"):
        graft(timm_model("vit_tiny_patch16_224"))(torch.zeros(1, 1, 32, 32))


def test_a_branch_that_breaks_exact_shifts_is_refused() -> None:
    """A backbone that declares a shift period gets a circular branch, or says why not."""
    model = ours(position="conv", padding="circular")
    period = model.symmetry.lockable_period
    assert period is not None
    assert graft(model).tokenizer.graft.options.padding == "circular"
    with pytest.raises(ValueError, match=rf"padding: expected .* shifts by {period} px"):
        graft(model, padding="zeros")
