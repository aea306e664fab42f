"""One wrong argument of a public function: a ValueError that names it, says what is expected and
what came. Transforms have such a list of their own, in test_transform_complaints.py."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import pytest
import torch
from torch import nn

import wavevit
from wavevit import alignment, data, grafting, measure, pictures, testing
from wavevit.auditing import AuditReport, Bound, parse_bounds
from wavevit.layers import TOKENIZERS, Symmetry
from wavevit.measure import certify
from wavevit.models import FeatureBackbone, registry, zoo
from wavevit.tasks import (
    FeaturePyramid,
    PartGenerator,
    create_task,
    draw_examples,
    harmonic_inpainting,
    joined,
    list_tasks,
    nearest_distances,
    recalls,
    sliced,
    zero_shot,
)
from wavevit.wavelets import wavedec2

X = torch.zeros(2, 3, 32, 32)
MODEL = wavevit.create_model("test_vit", num_classes=3).eval()
WHOLE = torch.zeros(2, 2, dtype=torch.long)


def pooled(x: torch.Tensor) -> torch.Tensor:
    return x.mean(dim=(2, 3)) + x[:, :, 0, 0]


def vit_tiny_patch16() -> wavevit.BackboneConfig:
    """A user's function with the name of one of our models."""
    return MODEL.config


def distilled(grafted: nn.Module, **options: object) -> object:
    return grafting.distil(grafted, MODEL, [X[0]] * 8, crop_size=16, steps=1, **options)


def refused(call, argument: str) -> None:
    with pytest.raises(ValueError, match=r"^[^:]+: expected .*, got ") as caught:
        call()
    assert str(caught.value).startswith(f"{argument}: expected"), caught.value


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: wavevit.fold(None), "model"),
        (lambda: wavevit.unfold(None), "model"),
        (lambda: wavevit.fold(nn.Linear(2, 2)), "model"),
        (lambda: wavevit.adapt_state_dict(None, MODEL), "state_dict"),
        (lambda: wavevit.adapt_state_dict({}, None), "model"),
        (lambda: wavevit.adapt_state_dict({}, nn.Linear(2, 2)), "model"),
        (lambda: wavevit.StageConfig(depth=1, embed_dim=8, mlp_ratio="a"), "mlp_ratio"),
        (lambda: wavevit.StageConfig(depth=1, embed_dim=8, mlp_ratio=float("nan")), "mlp_ratio"),
        (lambda: wavevit.StageConfig(depth=1, embed_dim=8, inject="no"), "inject"),
        (lambda: wavevit.create_model("test_vit", qkv_bias="no"), "qkv_bias"),
        (lambda: wavevit.create_model("test_vit", subband_norm=None), "subband_norm"),
        (lambda: wavevit.create_model("test_vit", norm_eps="a"), "norm_eps"),
        (lambda: wavevit.BackboneConfig(stages=3), "stages"),
        (lambda: wavevit.BackboneConfig(stages="ab"), "stages"),
        (lambda: wavevit.BackboneConfig.from_dict(None), "data"),
        (lambda: wavevit.BackboneConfig.from_dict({"stages": [3]}), "data['stages'][0]"),
        (lambda: MODEL.config.grid(None), "stride"),
        (lambda: wavevit.make_stages(depths=3, embed_dims=(8, 16)), "depths"),
        (lambda: wavevit.list_models(3), "pattern"),
        (lambda: wavevit.register_model("a"), "function"),
        (lambda: wavevit.register_model(vit_tiny_patch16), "function"),
        (lambda: wavevit.create_model("test_vit", features_only="no"), "features_only"),
        (lambda: FeatureBackbone("a"), "backbone"),
        (lambda: FeatureBackbone(MODEL, norm="no"), "norm"),
        (lambda: MODEL(torch.zeros(2, 3, 224, 224), attn_mask="a"), "attn_mask"),
    ],
)
def test_models(call, argument: str) -> None:
    refused(call, argument)


def test_a_file_may_register_its_own_model_again() -> None:
    own = zoo.vit.vit_tiny_patch16
    assert wavevit.register_model(own) is own
    assert wavevit.model_config("vit_tiny_patch16") == own()


def test_a_partial_with_a_name_may_be_registered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))
    for size in (32, 64):  # as by a notebook cell that runs twice
        made = functools.partial(dataclasses.replace, MODEL.config, img_size=size)
        made.__name__ = "partly_mine"
        wavevit.register_model(made)
        assert wavevit.model_config("partly_mine").img_size == size
    made.__name__ = "vit_tiny_patch16"
    refused(lambda: wavevit.register_model(made), "function")

    def partly_mine() -> wavevit.BackboneConfig:
        return MODEL.config

    message = r"function: expected a name that is not taken, for .*partly_mine, got 'partly_mine', "
    with pytest.raises(ValueError, match=message + r"which is the name of functools\."):
        wavevit.register_model(partly_mine)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: alignment.make_alignment("a", 8), "method"),
        (lambda: wavevit.align(MODEL, input_size=32), "input_size"),
        (lambda: wavevit.align(MODEL, input_size=("a", 32, 32)), "input_size"),
        (lambda: alignment.kept_period(None, (3, 32, 32)), "model"),
        (lambda: alignment.kept_period(MODEL, None), "input_size"),
        (lambda: alignment.AlignedModel("a", None), "model"),
        (lambda: alignment.AlignedModel(MODEL, "phase_lock"), "alignment"),
        (lambda: alignment.blur_strides("a"), "model"),
        (lambda: alignment.LowPass(2), "stride"),
        (lambda: alignment.LowPass((2, 0)), "stride"),
        (lambda: alignment.PhaseLock(8, gate="a"), "gate"),
        (lambda: alignment.WeightedFrame(8, threshold=None), "threshold"),
        (lambda: alignment.allowed_phases(8), "span"),
        (lambda: alignment.phase_lattice("ab", 4), "span"),
        (lambda: alignment.phase_of(None, 8), "x"),
        (lambda: alignment.phase_of(X, -1), "period"),
        (lambda: alignment.phase_of(X, 1.5), "period"),
        (lambda: alignment.roll_images(None, WHOLE), "x"),
        (lambda: alignment.roll_images(X, (1, 2)), "shift"),
        (lambda: alignment.roll_images(X, torch.zeros(3, 2).long()), "shift"),
        (lambda: alignment.fourier_shift(X, torch.zeros(3, 2)), "shift"),
        (lambda: alignment.place_map(X, WHOLE.float(), (32, 32), 0), "stride"),
        (lambda: wavevit.align(3), "model"),
        (lambda: wavevit.align(pooled), "model"),
        (lambda: alignment.roll_images(X, WHOLE.float()), "shift"),
        (lambda: alignment.fourier_shift(X.int(), (0.5, 0.5)), "x"),
        (lambda: alignment.fourier_shift(X, "ab"), "shift"),
        (lambda: alignment.fourier_shift(X, 0.5), "shift"),
        (lambda: alignment.fourier_shift(X, torch.zeros(2, 3)), "shift"),
        (lambda: alignment.place_map(None, WHOLE, (32, 32)), "x"),
        (lambda: alignment.place_map(X, (0, 1), (32, 32)), "offset"),
    ],
)
def test_alignment(call, argument: str) -> None:
    refused(call, argument)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: measure.center_crop(None, (8, 8)), "windows"),
        (lambda: measure.center_crop(X, 8), "size"),
        (lambda: measure.shifted(X, 1, "circular"), "shift"),
        (lambda: measure.shifted(X, (0, "a"), "circular"), "shift"),
        (lambda: measure.shifted(X, (0, 1), "crop", 16), "crop_size"),
        (lambda: measure.shift_consistency(None, X, kind="circular"), "model"),
        (lambda: measure.shift_consistency(pooled, None, kind="circular"), "images"),
        (lambda: measure.shift_consistency(pooled, X[:0], kind="circular"), "images"),
        (lambda: measure.shift_consistency(pooled, X, kind="crop", crop_size="a"), "crop_size"),
        (lambda: measure.shift_consistency(pooled, X, kind="circular", seed=None), "seed"),
        (lambda: measure.shift_consistency(pooled, X, kind="circular", crossed="no"), "crossed"),
        (lambda: measure.shift_consistency(pooled, X, kind="circular", batch_size=0), "batch_size"),
        (lambda: measure.shift_sensitivity(3, X, kind="circular"), "embed"),
        (lambda: measure.shift_sensitivity(pooled, "a", kind="circular"), "images"),
        (lambda: measure.shift_sensitivity(pooled, X, 1, kind="circular"), "shifts"),
        (lambda: measure.shift_sensitivity(pooled, X, ["a"], kind="circular"), "shifts"),
        (
            lambda: measure.shift_sensitivity(
                pooled, torch.rand(2, 3, 8, 8), (1,), kind="circular", counts=2
            ),
            "counts",
        ),
        (lambda: measure.token_turnover(None, X, (0, 1), kind="circular"), "tokenize"),
        (
            lambda: measure.token_turnover(pooled, X, (0, 1), kind="circular", threshold="a"),
            "threshold",
        ),
        (lambda: measure.token_change(None, X), "before"),
        (lambda: measure.token_change(X, X[:1]), "after"),
        (lambda: measure.equivariance_error("a", X, (0, 1)), "features"),
        (lambda: measure.equivariance_error(pooled, X, (1,)), "shift"),
        (lambda: measure.jump_scan(pooled, X.double(), shift="ab"), "shift"),
        (lambda: measure.jump_scan(pooled, X.double(), dt=0.0), "dt"),
        (lambda: measure.jump_scan(pooled, X.double(), dt="a"), "dt"),
        (lambda: measure.frame_bounds(None, stride=2), "tokenize"),
        (lambda: measure.frame_bounds(pooled, stride=2, tokens=(8, 8, 8)), "tokens"),
        (lambda: measure.frame_bounds(pooled, stride=2, device="a"), "device"),
        (lambda: measure.aliasing_norm(None, stride=2), "tokenize"),
        (lambda: measure.aliasing_norm(pooled, stride=2, device="a"), "device"),
        (lambda: measure.tokenizer_bounds(MODEL.tokenizer, X[:, :1]), "images"),
        (lambda: measure.tokenizer_bounds(nn.Linear(2, 2), X), "tokenizer"),
        (lambda: measure.choice_turnover(None, X, kind="circular"), "choose"),
        (
            lambda: measure.adversarial_shift_accuracy(pooled, X, [0, 1], 1, kind="circular"),
            "labels",
        ),
        (
            lambda: measure.adversarial_shift_accuracy(
                pooled, X, torch.zeros(2).long(), None, kind="circular"
            ),
            "radius",
        ),
        (
            lambda: measure.adversarial_shift_accuracy(
                pooled, X, torch.zeros(2).long(), 1, kind="circular", step="a"
            ),
            "step",
        ),
        (  # before any image is classified: with no right answer no shift is tried
            lambda: measure.adversarial_shift_accuracy(
                pooled, X, torch.full((2,), 2), 1, kind="circular", step=0.5
            ),
            "step",
        ),
        (lambda: measure.receptive_field(3, X), "features"),
        (lambda: measure.receptive_field(pooled, X, seed=0.5), "seed"),
        (lambda: measure.receptive_field(pooled, X, batch_size=None), "batch_size"),
        (lambda: measure.attention_distance(None, X), "model"),
        (lambda: measure.attention_distance(MODEL, X[:0]), "images"),
        (lambda: measure.local_lipschitz("a", X), "model"),
        (lambda: measure.local_lipschitz(pooled, X, tolerance="a"), "tolerance"),
        (lambda: measure.jacobian_spectrum(None, X[:1], 1), "model"),
        (lambda: measure.jacobian_spectrum(pooled, X[:1], 1, seed="a"), "seed"),
        (lambda: measure.effective_rank(None, torch.rand(4, 3, 8, 8)), "embed"),
        (lambda: measure.effective_rank(pooled, torch.rand(3, 3, 8, 8)), "images"),
        (lambda: measure.n_term_error("a", X), "analyse"),
        (lambda: measure.n_term_error(lambda x: x, X, synthesise="a"), "synthesise"),
        (lambda: measure.n_term_error(lambda x: x, X, shares="a"), "shares"),
        (lambda: measure.scale_sensitivity(None, X, crop_size=16), "embed"),
        (lambda: measure.scale_sensitivity(pooled, X, 2.0, crop_size=16), "zooms"),
        (lambda: measure.scale_sensitivity(pooled, X, crop_size="a"), "crop_size"),
        (lambda: measure.scale_sensitivity(pooled, X[:1], crop_size=16), "windows"),
        (lambda: measure.cost(None, X), "model"),
        (lambda: measure.cost(MODEL, None), "images"),
        (lambda: measure.latency_ratios({"a": 3}, X, "a"), "models['a']"),
        (lambda: measure.latency_ratios({"a": pooled}, X, "b"), "reference"),
        (lambda: measure.latency_ratios([pooled], X, "a"), "models"),
        (lambda: measure.peak_activation_bytes(pooled, None), "images"),
        (lambda: measure.growth_exponent([1, 2]), "costs"),
        (lambda: measure.growth_exponent({1: 1.0, 2: "a"}), "costs[2]"),
        (lambda: measure.tie_slope(None, X.double()), "model"),
        (lambda: measure.tie_slope(pooled, X.double(), gaps=0.1), "gaps"),
        (lambda: measure.tie_slope(pooled, X.double(), gaps=(2, 1)), "gaps"),
        (lambda: certify.spectral_norm("a"), "weight"),
        (lambda: certify.wavelet_norm(3, (8, 8)), "wavelet"),
        (lambda: certify.wavelet_norm("haar", 8), "sides"),
        (lambda: certify.wavelet_norm("haar", (8, 8), way="back"), "way"),
        (lambda: certify.convolution_norm(None), "conv"),
        (lambda: certify.decimation_norm((8, 8), 0, "ideal", True), "step"),
        (lambda: certify.decimation_norm((8, 8), 2, "a", True), "low_pass"),
        (lambda: certify.lipschitz_of("a"), "module"),
        (lambda: certify.lipschitz_at(None, (8, 8)), "module"),
        (lambda: certify.pool_constant("max", 4), "how"),
        (lambda: certify.pool_constant("avg", 0), "places"),
        (lambda: certify.lipschitz_steps(None, (32, 32)), "model"),
        (lambda: certify.lipschitz_steps(MODEL, 32), "size"),
    ],
)
def test_measures(call, argument: str) -> None:
    refused(call, argument)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda grafted, _: wavevit.graft(MODEL, inplace="no"), "inplace"),
        (lambda grafted, _: wavevit.ungraft(grafted, inplace=1), "inplace"),
        (lambda grafted, path: grafting.save_graft(grafted, 3, "a", "b"), "path"),
        (
            lambda grafted, path: grafting.save_graft(grafted, path, "a", "b", original="a"),
            "original",
        ),
        (lambda grafted, _: grafting.read_graft(None), "path"),
        (lambda grafted, _: distilled(grafted, seed="a"), "seed"),
        (lambda grafted, _: distilled(grafted, progress="no"), "progress"),
        (lambda grafted, _: distilled(grafted, checkpoint=3), "checkpoint"),
        (lambda grafted, _: grafting.GraftOptions.of(None), "options"),
        (lambda grafted, _: grafting.pooled_features(None, X), "model"),
        (lambda grafted, _: grafting.shift_averaged(MODEL, None, [(0, 0)], 32), "windows"),
        (lambda grafted, _: grafting.shift_averaged(MODEL, X, [], 32), "offsets"),
        (lambda grafted, _: grafting.shift_averaged(MODEL, X, [(0, "a")], 32), "offsets[0]"),
        # A slice that begins before the window would be empty, or another crop.
        (lambda grafted, _: grafting.shift_averaged(MODEL, X, [(0, 0), (0, 1)], 32), "offsets[1]"),
        (lambda grafted, _: grafting.shift_averaged(MODEL, X, [(0, 0)], "a"), "crop_size"),
    ],
)
def test_grafting(call, argument: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    refused(lambda: call(wavevit.graft(MODEL), tmp_path / "g.safetensors"), argument)


@pytest.mark.parametrize("against", [3, MODEL, nn.Sequential(MODEL), "test_vit"])
def test_audit_against_one_model(against: object) -> None:
    """Not the layers of a `nn.Sequential` or the letters of a name."""
    refused(lambda: wavevit.audit("test_vit", against=against, quick=True), "against")


@pytest.mark.parametrize("task", list_tasks())
def test_a_seed_is_no_generator(task: str) -> None:
    """Also where a task draws nothing: the seed would be ignored."""
    made = create_task(task, "test_vit", img_size=32, num_classes=3)
    batch = made.dummy_batch(2)
    for call in (made, made.loss, made.evaluate):
        refused(lambda call=call: call(batch, 3), "generator")
    refused(lambda: made.dummy_batch(2, 3), "generator")
    refused(lambda: made.dummy_batch("a"), "count")
    if hasattr(made, "sample"):
        refused(lambda: made.sample(1, generator=3), "generator")


def _options(task: str, **options: object):
    return lambda: create_task(task, "test_vit", options, img_size=32, num_classes=3)


VECTORS = torch.eye(3)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: draw_examples(torch.zeros, 2, 0), "generator"),
        (lambda: draw_examples(None, 2, None), "draw"),
        (lambda: PartGenerator("a", 0, 4), "seed"),
        (lambda: PartGenerator(0, 0.5, 4), "start"),
        (_options("classification", label_smoothing="a"), "label_smoothing"),
        (_options("captioning", without_image=None), "without_image"),
        (_options("contrastive", causal="no"), "causal"),
        (_options("detection", nms="a"), "nms"),
        (_options("detection", reach=True), "reach"),
        (_options("detection", strides="ab"), "strides"),
        (_options("detection", circular="no"), "circular"),
        (_options("diffusion", time_mean="a"), "time_mean"),
        (_options("diffusion", time_std=None), "time_std"),
        (_options("masked", mask_ratio="a"), "mask_ratio"),
        (_options("masked", block="a"), "block"),
        (_options("masked", band_weights="a"), "band_weights"),
        (_options("retrieval", temperature="a"), "temperature"),
        (_options("segmentation", ignore="a"), "ignore"),
        (lambda: zero_shot(MODEL, X, ["a"]), "task"),
        (lambda: FeaturePyramid(nn.Linear(2, 2)), "backbone"),
        (lambda: FeaturePyramid(MODEL, strides=3), "strides"),
        (lambda: zero_shot(create_task("contrastive", "test_vit"), X, 3), "prompts"),
        (lambda: zero_shot(create_task("contrastive", "test_vit"), None, ["a"]), "images"),
        (lambda: harmonic_inpainting(None, X[:, :1] > 0), "images"),
        (lambda: harmonic_inpainting(X, X[:, :1]), "hidden"),
        (lambda: harmonic_inpainting(X, X[:, :1] == 0), "hidden"),  # no pixel is visible
        (lambda: nearest_distances("a", X), "images"),
        (lambda: nearest_distances(X, None), "references"),
        (lambda: recalls(None, VECTORS, ["a", "b", "c"]), "images"),
        (lambda: recalls(VECTORS, VECTORS, "abc"), "captions"),
        (lambda: recalls(VECTORS, VECTORS, ["a", "b", "c"], ks=1), "ks"),
        (lambda: joined({"top1": X}), "results"),
        (lambda: joined(["a"]), "results[0]"),
        (lambda: sliced(None, 0, 1), "batch"),
        (lambda: sliced({"images": X}, 0, "a"), "stop"),
    ],
)
def test_tasks(call, argument: str) -> None:
    refused(call, argument)


def _report() -> AuditReport:
    return AuditReport({"models": []}, X[0])


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: wavevit.audit(MODEL, samples=3), "samples"),
        (lambda: wavevit.audit(MODEL, quick="no"), "quick"),
        (lambda: wavevit.audit(MODEL, pretrained=None), "pretrained"),
        (lambda: parse_bounds("fail-under", "s_cons=1", "high"), "fail-under"),
        (lambda: Bound("s_con", 1.0), "metric"),
        (lambda: Bound("s_cons", "1"), "limit"),
        (lambda: parse_bounds("fail-under", ["s_cons=1"], "up"), "better"),
        (lambda: _report().broken(["s_cons=1"]), "bounds"),
        (lambda: _report().broken(None), "bounds"),
        (lambda: Symmetry("a"), "period"),
        (lambda: Symmetry(0), "period"),
        (lambda: Symmetry(4, circular="no"), "circular"),
        (lambda: TOKENIZERS.get(["patch"]), "tokenizer"),
    ],
)
def test_audit_and_layers(call, argument: str) -> None:
    refused(call, argument)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        # Assertions about nothing would hold of every model.
        (lambda: testing.assert_shift_invariant(pooled, X, []), "shifts"),
        (lambda: testing.assert_shift_invariant(pooled, X[:0], [(0, 1)]), "images"),
        (lambda: testing.assert_shift_invariant(pooled, X, [(0, 0.5)]), "shifts"),
        (lambda: testing.assert_shift_invariant(None, X, [(0, 1)]), "model"),
        (lambda: testing.assert_shift_equivariant(pooled, X, 3), "shifts"),
        (lambda: testing.assert_shift_equivariant(pooled, X, [(0, 1)], bound="a"), "bound"),
        (lambda: testing.assert_continuous(pooled, X, slope=float("nan")), "slope"),
        (lambda: testing.assert_continuous(None, X), "model"),
        (lambda: testing.assert_lipschitz(pooled, X, "a"), "constant"),
        (lambda: testing.assert_lipschitz(pooled, X[:0], 1.0), "images"),
        (lambda: testing.assert_lipschitz(pooled, X, 1.0, tolerance=float("inf")), "tolerance"),
        (lambda: testing.assert_perfect_reconstruction(None, pooled, X), "analyse"),
        (lambda: testing.assert_perfect_reconstruction(pooled, pooled, X, depth=None), "depth"),
        (lambda: testing.assert_close_relative(None, X), "actual"),
        (lambda: testing.assert_close_relative(X, X, bound=float("nan")), "bound"),
        (lambda: testing.assert_backbone_contract(MODEL, checks=[]), "checks"),
        (lambda: testing.assert_backbone_contract(MODEL, sizes=()), "sizes"),
        (lambda: testing.assert_backbone_contract(MODEL, device="a"), "device"),
        (lambda: testing.assert_backbone_contract(MODEL, sizes=(64, 64)), "sizes[0]"),
        (lambda: testing.assert_task_contract(lambda: None, checks=[]), "checks"),
        (lambda: testing.assert_task_contract(lambda: None, checks="loss_terms"), "checks"),
        (lambda: testing.tolerance("a"), "dtype"),
        (lambda: testing.tolerance(torch.float32, None), "depth"),
        (lambda: testing.network_tolerance(["a"]), "dtype"),
    ],
)
def test_testing_kit(call, argument: str) -> None:
    refused(call, argument)


SCENES = data.Scenes("train", crop_size=32)
SOURCE = data.create_source("objects", "train", crop_size=32, margin=4)
BATCH = SOURCE.sample(1, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: SOURCE.sample(1, 0), "generator"),
        (lambda: SOURCE.crop(None), "batch"),
        (lambda: SOURCE.crop({"labels": 3}), "batch"),
        (lambda: SOURCE.crop(BATCH, 1), "shift"),
        (lambda: SOURCE.crop(BATCH, (0, 0.5)), "shift"),
        (lambda: SCENES.sample(2, 0), "generator"),
        (lambda: SCENES.cut([0, 1], torch.Generator()), "labels"),
        (lambda: SCENES.photograph("a"), "label"),
        (lambda: SCENES.photograph(999), "label"),
        (lambda: data.Scenes("train", classes=3), "classes"),
        (lambda: data.Scenes("train", folder=None), "folder"),
        (lambda: data.Scenes("train", max_short_side=["a"]), "max_short_side"),
        (lambda: data.composites(None, 2, torch.Generator()), "scenes"),
        (lambda: data.composites(SCENES, 2, 0), "generator"),
        (lambda: data.Objects("train", count="a"), "count"),
        (lambda: data.Objects("train", sides=None), "sides"),
        (lambda: data.Objects("train", visible="a"), "visible"),
        (lambda: data.Captioned("train", two="a"), "two"),
        (lambda: data.Captioned("train", combinations=""), "combinations"),
        (lambda: data.Places("train", jitter=None), "jitter"),
        (lambda: data.Pairs("train", path=3), "path"),
        (lambda: data.FolderPictures("train", path=3), "path"),
        (lambda: data.read_picture(None), "path"),
        (lambda: data.find_pictures(3), "folder"),
        (lambda: data.scan_photographs(None), "folder"),
        (lambda: data.load_photograph_file(3), "path"),
        (lambda: data.load_photograph("astronaut", color="no"), "color"),
        (lambda: data.WindowCutter("a", 0, True), "crop_size"),
        (lambda: data.WindowCutter(32, -1, True), "margin"),
        (lambda: data.WindowCutter(32, 0, "no"), "random"),
        (lambda: data.WindowCutter(32, 0, True, mean="a", std=1.0), "mean"),
        (lambda: data.WindowCutter(32, 0, True).cut(None, (0.5, 0.5, 0.5)), "pixels"),
        (lambda: data.WindowCutter(32, 0, True).cut(X[0], 0.5), "draw"),
        (lambda: data.register_source(None), "name"),
        (lambda: data.near_duplicates(3), "pictures"),
        (lambda: data.near_duplicates([X]), "pictures[0]"),
        (lambda: data.near_duplicates([X[0, 0].int()]), "pictures[0]"),
        (lambda: data.near_duplicates([X[0, 0]], alike="a"), "alike"),
        (lambda: data.boxes_of_masks(None), "masks"),
        (lambda: data.boxes_of_masks(X[0]), "masks"),
        (lambda: pictures.draw_pyramid(X, "title"), "pyramid"),
        (lambda: pictures.draw_pyramid(wavedec2(X), "title"), "pyramid"),
        (lambda: pictures.pyramid_mosaic(None), "pyramid"),
        (lambda: pictures.load_image(3), "image"),
        (lambda: pictures.load_image("no such picture"), "image"),
        (lambda: pictures.draw_dual_tree(None, "title"), "tree"),
        (lambda: pictures.draw_tokens(X), "image"),
        (lambda: pictures.draw_tokens(X[:, :1]), "image"),
        (lambda: pictures.draw_tokens(X[:1, :1], ()), "budgets"),
        (lambda: pictures.draw_tokens(X[:1, :1], (2.0,)), "budgets"),
    ],
)
def test_data(call, argument: str) -> None:
    refused(call, argument)
