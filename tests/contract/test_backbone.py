"""timm's contract for every registered model.

Members of a family with fewer than 0.3 M parameters get every check of `wavevit.testing`, and any
size from 32 to 384 pixels. Full-size models get those of shapes, names and order on ``meta``, and
one forward pass with real weights.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import warnings

import onnxruntime as runtime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import wavevit
from wavevit import Backbone
from wavevit.testing import CONTRACT, SHAPES, assert_backbone_contract, assert_close_relative
from wavevit.testing.graphs import compiles, export_options, exports
from wavevit.testing.subject import Subject

SMALL = wavevit.list_models("test_*")
LARGE = [name for name in wavevit.list_models() if name not in SMALL]
SIZES = ((64, 64), (96, 64), (33, 47))
HYBRID = "test_haar_pyramid"
# Windows, tables of relative positions and spectra are cut to the grid. With symbols for sides
# their graphs are slow to make: that is asked of their first stage, the whole model of one size.
CUT_TO_THE_GRID = ("test_alias_free_pyramid", "test_mvitv2", "test_swin")
# Which sizes of patches fit a grid is known when a graph is made.
ONE_SIZE = ("test_adaptive_vit", *CUT_TO_THE_GRID)


def factory(name: str, **fixed: object) -> functools.partial:
    return functools.partial(wavevit.create_model, name, **fixed)


def build(name: str, **changes: object) -> Backbone:
    torch.manual_seed(0)
    return wavevit.create_model(name, **({"img_size": 64, "num_classes": 7} | changes)).eval()


def image(size: tuple[int, int] = (64, 64), batch: int = 2, channels: int = 3) -> torch.Tensor:
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(0))


# Compilers and exporters take 10 to 30 s for a model. In every run the compiler sees a pyramid here
# and the ViT of tests/docs/test_add_a_tokenizer.py, onnxruntime one family; the others at night.
DAILY = (HYBRID,)
# That every family exports is `test_exports_and_runs_in_onnxruntime`, which asks for more, at night
# for most. What `recompiles` changes is the same code in every family: in every run it is asked of
# the model in tests/docs/test_add_a_tokenizer.py.
# Its tokens have several sizes: the map of an intermediate is painted beside the path of the
# tokens, when it is asked for, so no gradient passes through it
# (tests/properties/test_adaptive_laws.py).
UNFIT = {("test_adaptive_vit", "hooks")}
FEW = {"exports": (HYBRID,), "recompiles": ("test_vit",)}


def at_night(name: str, check: str) -> bool:
    return check == "recompiles" or (check == "compiles" and name not in DAILY)


CHECKS = [
    pytest.param(n, check, marks=[pytest.mark.nightly] * at_night(n, check))
    for check in CONTRACT
    for n in SMALL
    if n in FEW.get(check, SMALL) and (n, check) not in UNFIT
]
# Half a minute for a pyramid; a ViT of wavelet tokens has its tokenizer, attention and positions.
IN_ONNXRUNTIME = "test_haar_vit"
FAMILIES = [pytest.param(n, marks=[pytest.mark.nightly] * (n != IN_ONNXRUNTIME)) for n in SMALL]
# `test_contract` sees the shapes of every family's small member, `test_values_of_full_size_models`
# the smallest ones of each family in their own way; all shapes of all sizes take three minutes.
LARGE_DAILY = ("vit_tiny_patch16", "haar_pyramid_nano", "pvt_v2_b0", "swin_tiny")
FULL_SIZE = [
    pytest.param(n, marks=[] if n in LARGE_DAILY else [pytest.mark.nightly]) for n in LARGE
]


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_contract(name: str, check: str) -> None:
    assert_backbone_contract(factory(name, img_size=64), sizes=SIZES, checks=[check])


@pytest.mark.parametrize("name", SMALL)
@settings(max_examples=settings().max_examples // 4)  # of up to 384 pixels a side
@given(height=st.integers(32, 384), width=st.integers(32, 384))
def test_any_size(name: str, height: int, width: int) -> None:
    subject = Subject(factory(name), [(height, width)])
    with torch.no_grad():
        CONTRACT["feature_info"](subject)


@pytest.mark.parametrize("name", FULL_SIZE)
def test_shapes_of_full_size_models(name: str) -> None:
    sizes = ((224, 224), (97, 130))
    assert_backbone_contract(factory(name), sizes=sizes, checks=SHAPES, device="meta")


def filled(name: str) -> Backbone:
    """With weights that are drawn at once: those of a start take seconds for a large model."""
    model = wavevit.create_model(name, img_size=64, num_classes=7, device="meta").eval()
    model = model.to_empty(device="cpu")
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            spread = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 1.0
            parameter.uniform_(-spread, spread)
    return model


# Larger members have more and wider blocks of the same parts. Each is built by day without weights:
# tests/contract/test_timm_registry.py.
LARGER = re.compile(r"_(small|base|b[1-9])(_|$)")
WITH_VALUES = [
    pytest.param(n, marks=[pytest.mark.nightly] if LARGER.search(n) else []) for n in LARGE
]


@pytest.mark.parametrize("name", WITH_VALUES)
def test_values_of_full_size_models(name: str) -> None:
    model, x = filled(name), image((64, 32), batch=1)
    with torch.no_grad():
        final, maps = model.forward_intermediates(x)
        logits = model(x)
        assert_close_relative(model.forward_head(final), logits)
    assert logits.shape == (1, 7)
    assert all(bool(torch.isfinite(feature).all()) for feature in [*maps, logits])


@pytest.mark.parametrize("name", SMALL)
def test_every_family_has_a_small_member(name: str) -> None:
    assert sum(p.numel() for p in build(name, num_classes=1000).parameters()) < 300_000


@pytest.mark.nightly  # a minute each; tests/unit/test_wavelet_graphs.py compiles a transform
@pytest.mark.parametrize("name", ["test_vit", HYBRID])
def test_compiles_with_inductor(name: str) -> None:
    compiles(Subject(factory(name, img_size=64), [(64, 64)]), backend="inductor")


@pytest.mark.nightly
@pytest.mark.parametrize("name", CUT_TO_THE_GRID)
def test_first_stage_exports_with_symbols_for_sides(name: str) -> None:
    config = wavevit.model_config(name)
    depth = 2 if name == "test_swin" else 1  # a plain block and a shifted one
    stages = (dataclasses.replace(config.stages[0], depth=depth),)
    config = dataclasses.replace(config, stages=stages, img_size=64)
    create = lambda **options: Backbone(dataclasses.replace(config, **options))  # noqa: E731
    exports(Subject(create, SIZES), free_sides=True)


def shallow(name: str) -> functools.partial:
    """A family's first and last stage, each of one block: exporters take seconds for a block."""
    config = wavevit.model_config(name)
    stages = [config.stages[0], *config.stages[1:][-1:]]
    if name != "test_swin":  # where every second block is shifted
        stages = [dataclasses.replace(stage, depth=1) for stage in stages]
    return factory(name, img_size=64, stages=tuple(stages))


@pytest.mark.parametrize("name", FAMILIES)
def test_exports_and_runs_in_onnxruntime(name: str, tmp_path) -> None:
    """With a free batch and, where a graph can have them, free sides."""
    free_sides = name not in ONE_SIZE
    subject = Subject(shallow(name), SIZES)
    program = exports(subject, free_sides=free_sides)
    model = subject.new()
    example, _ = export_options(subject, model, free_sides=free_sides)
    other = (64, 96) if free_sides else tuple(example.shape[-2:])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(program, (), tmp_path / "m.onnx", dynamo=True, verbose=False)
    session = runtime.InferenceSession(tmp_path / "m.onnx")
    for x in (example, image(other, batch=3)):
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        assert_close_relative(torch.from_numpy(found), model(x), bound=1e-4)


def test_a_broken_backbone_is_seen() -> None:
    """Negative controls: each check finds the defect that it is there for."""
    found = {}
    for name, spoil in DEFECTS.items():
        with pytest.raises(AssertionError, match=f"(?s)failed:.*{name}: ") as error:
            assert_backbone_contract(
                lambda spoil=spoil, **given: spoil(build("test_vit", **given)), checks=[name]
            )
        found[name] = str(error.value)
    assert "stride" in found["feature_info"] or "declared" in found["feature_info"]


def _declares(model: Backbone) -> Backbone:
    model.feature_info[0]["num_chs"] += 1
    return model


def _meets(model: Backbone) -> Backbone:
    plain = model.forward
    model.forward = lambda x: plain(x - x.mean())
    return model


def _keeps(model: Backbone) -> Backbone:
    model.register_buffer("filter", torch.zeros(3))
    return model


def _idles(model: Backbone) -> Backbone:
    model.extra = torch.nn.Linear(2, 2)
    return model


def _decays(model: Backbone) -> Backbone:
    model.no_weight_decay = lambda: {"pos_embed"}
    return model


def _groups(model: Backbone) -> Backbone:
    model.group_matcher = lambda coarse=False: {"blocks": r"^stages\.0\.blocks\.(\d+)"}
    return model


def _forgets(model: Backbone) -> Backbone:
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(_forgets.calls))
    _forgets.calls += 1
    return model


_forgets.calls = 0


def _passes_by(model: Backbone) -> Backbone:
    """Uses a linear map's weight without calling the map."""
    mlp = model.stages[0].blocks[0].mlp
    mlp.forward = lambda x, grid: mlp.fc2(
        mlp.act(torch.nn.functional.linear(x, mlp.fc1.weight, mlp.fc1.bias), grid)
    )
    return model


def _freezes_sizes(model: Backbone) -> Backbone:
    plain = model.forward
    model.forward = lambda x: plain(x) * int(x.shape[0])
    return model


DEFECTS = {
    "feature_info": _declares,
    "batches": _meets,
    "learned_state": _keeps,
    "gradients": _idles,
    "weight_decay": _decays,
    "layer_groups": _groups,
    "seeds": _forgets,
    "hooks": _passes_by,
    "traces": _freezes_sizes,
    "parallel": _idles,
}


def test_a_ready_module_and_timms_own_model() -> None:
    """The kit takes a module, and models that are not ours."""
    from timm.models import create_model

    assert_backbone_contract(build(HYBRID), checks=["intermediates", "layer_groups", "classifier"])
    theirs = functools.partial(create_model, "test_vit", img_size=64)
    names = ["arguments", "head", "layer_groups", "learned_state", "checkpointing", "copies"]
    assert_backbone_contract(theirs, sizes=[(64, 64)], checks=names)
    with pytest.raises(ValueError, match=r"checks: expected one of .*nearest: gradients"):
        assert_backbone_contract(build(HYBRID), checks=["gradient"])


LOCKED = ["learned_state", "gradients", "meta", "checkpointing"]


@pytest.mark.parametrize("name", SMALL)
def test_phase_locked_models_keep_the_contract(name: str) -> None:
    create = factory(name, img_size=64, alignment="phase_lock")
    assert_backbone_contract(create, checks=LOCKED)


# A lock's code is the same before every family, and each compiles without: one is enough.
@pytest.mark.parametrize("name", ["test_vit", pytest.param(HYBRID, marks=pytest.mark.nightly)])
def test_phase_locked_models_compile(name: str) -> None:
    create = factory(name, img_size=64, alignment="phase_lock")
    assert_backbone_contract(create, checks=["compiles"])


def test_indices_that_are_refused() -> None:
    model = build("test_vit")
    for indices in ((9,), 0, 3, ()):
        with pytest.raises(ValueError, match="indices: expected"):
            model.forward_intermediates(image(), indices)
    with pytest.raises(ValueError, match="indices: expected numbers from"):
        build("test_vit", features_only=True, out_indices=(9,))


def test_pooling_can_be_changed() -> None:
    model, x = build("test_vit"), image()
    features = model.forward_features(x)
    model.reset_classifier(0, "avg")
    assert_close_relative(model(x), features[:, 1:].mean(dim=1))
    model.reset_classifier(0, "")
    assert_close_relative(model(x), features)
    with pytest.raises(ValueError, match="num_classes: expected 0 with global_pool=''"):
        model.reset_classifier(3)
    model.reset_classifier(3, "token")
    before = model(x)
    for classes, pool in ((3, ""), (3, "max"), (-1, "avg")):
        with pytest.raises(ValueError, match=r"num_classes|global_pool"):
            model.reset_classifier(classes, pool)
        assert torch.equal(model(x), before)  # what is refused changes nothing
    assert_close_relative(model.forward_head(features, pre_logits=True), features[:, 0])
    with pytest.raises(ValueError, match="global_pool: expected one of 'avg', 'power', ''"):
        build("test_swin").reset_classifier(3, "token")


def test_normed_intermediates_of_a_columnar_model() -> None:
    model = build("test_vit")
    plain = model.forward_intermediates(image(), intermediates_only=True)
    normed = model.forward_intermediates(image(), norm=True, intermediates_only=True)
    for raw, found in zip(plain, normed, strict=True):
        expected = model.norm(raw.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        torch.testing.assert_close(found, expected)


def test_learned_positions_are_resampled() -> None:
    model = build("test_vit", img_size=64)
    other = build("test_vit", img_size=96)
    assert model.position.embedding.shape[1] == 17
    assert other.position.embedding.shape[1] == 37
    same = model.position(torch.zeros(1, 17, 64), (4, 4))
    torch.testing.assert_close(same, model.position.embedding)
    constant = torch.nn.Parameter(torch.ones_like(model.position.embedding))
    model.position.embedding = constant
    torch.testing.assert_close(
        model.position(torch.zeros(1, 36, 64), (5, 7)), torch.ones(1, 36, 64)
    )


def test_drop_path_drops_whole_samples_in_training_only() -> None:
    from wavevit.layers.blocks import DropPath

    drop, x = DropPath(0.25), torch.ones(4000, 2, 3)
    torch.manual_seed(0)
    kept = drop(x)
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert bool((kept.amin(dim=(1, 2)) == kept.amax(dim=(1, 2))).all())
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.05)
    assert torch.equal(drop.eval()(x), x)
