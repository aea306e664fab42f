"""Laws of adaptive tokens: continuity, counts, shifts, equal attention backends, parity with ViT.

Negative controls: a hard split jumps, one weight changes the result.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import wavevit
from tests.examples import examples
from wavevit import Backbone
from wavevit.grafting import distil
from wavevit.layers import quadtree, token_layout
from wavevit.layers.tokenizers import AdaptiveOptions, AdaptiveTokenizer
from wavevit.layers.tokenizers.start import reference_crops
from wavevit.measure import choice_turnover, cost, jump_scan, tie_slope
from wavevit.models import make_adaptive, token_counts
from wavevit.pictures import draw_tokens
from wavevit.testing import assert_close_relative
from wavevit.testing.strategies import images, sizes

PATCH, LARGEST = 4, 16
SIDES = sizes(16, 48, multiple=PATCH)
OPTIONS: dict[str, dict[str, Any]] = {
    "threshold": {"levels": 3, "threshold": 2.0, "budget": None},
    "budget": {"levels": 3, "budget": 0.5},
    "share": {"levels": 3, "budget": None, "share": 0.8},
    "swt": {"levels": 3, "budget": 0.5, "energy": "swt"},
}


def tokenizer(padding: str = "circular", **options: Any) -> AdaptiveTokenizer:
    torch.manual_seed(0)
    made = AdaptiveTokenizer(2, 8, PATCH, padding, AdaptiveOptions(**({"levels": 3} | options)))
    return made.double()


@functools.cache
def backbone(position: str = "learned", mixer: str = "global", **options: Any) -> Backbone:
    """Two blocks on 32-px grey crops, with every parameter away from its start."""
    config = wavevit.model_config("test_vit")
    stage = dataclasses.replace(config.stages[0], embed_dim=16, mixer=mixer)
    config = dataclasses.replace(
        config,
        stages=(stage,),
        img_size=32,
        in_chans=1,
        patch_size=PATCH,
        position=position,
        num_classes=3,
        tokenizer="adaptive",
        tokenizer_options={"levels": 3} | options,
    )
    torch.manual_seed(0)
    model = Backbone(config).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def crops(count: int = 4) -> Tensor:
    return reference_crops()[:count, :, 8:40, 8:40].double()


def counted(weights: list[Tensor]) -> Tensor:
    return quadtree.token_count(weights)


def weight_map(weights: list[Tensor]) -> Tensor:
    """Sum of the weights over each finest patch."""
    total = weights[0].clone()
    for level, weight in enumerate(weights[1:], start=1):
        wide = weight.repeat_interleave(2**level, 1).repeat_interleave(2**level, 2)
        total[:, : wide.shape[1], : wide.shape[2]] += wide
    return total


@pytest.mark.parametrize("name", OPTIONS)
@examples(daily=5)
@given(x=images(SIDES, SIDES))
def test_weights_over_a_pixel_sum_to_one(name: str, x: Tensor) -> None:
    weights = tokenizer(**OPTIONS[name]).weights_of(x)
    assert all(bool((w >= 0).all()) for w in weights)
    total = weight_map(weights)
    assert_close_relative(total, torch.ones_like(total))
    if "budget" in name:
        most = 0.5 * weights[0][0].numel()
        fewest = counted(quadtree.node_weights([torch.zeros_like(w) for w in weights]))
        assert bool((counted(weights) <= fewest.clamp_min(most) + 1e-6).all())


@examples(daily=5)
@given(x=images(SIDES, SIDES, channels=1))
def test_energy_is_what_a_large_patch_loses(x: Tensor) -> None:
    energies, means, _ = quadtree.haar_pyramid(x, PATCH, 3)
    for level in (1, 2):
        seen = F.interpolate(means[level], scale_factor=2**level)
        lost = (x[..., : seen.shape[-2], : seen.shape[-1]] - seen).square()
        lost = F.avg_pool2d(lost, PATCH * 2**level)[:, 0] * 4**level
        assert_close_relative(energies[level], lost)


@examples(daily=3)
@given(x=images(st.just(32), st.just(32), batch=1, channels=1))
def test_undecimated_energy_is_the_mean_over_positions_of_the_grid(x: Tensor) -> None:
    found = quadtree.swt_energies(x, PATCH, 3, "circular")
    moved = torch.cat([x.roll((i, j), (2, 3)) for i in range(4) for j in range(4)])
    energies = quadtree.haar_pyramid(moved, PATCH, 3)[0]
    for level in (1, 2):
        assert_close_relative(found[level].sum(), energies[level].sum() / 16)
    mirrored = quadtree.swt_energies(x.flip(-1), PATCH, 3, "circular")
    assert_close_relative(mirrored[2].flip(-1), found[2])


@pytest.mark.parametrize("name", OPTIONS)
@examples(daily=5)
@given(x=images(SIDES, SIDES), value=st.floats(-3, 3))
def test_a_constant_image_has_the_fewest_tokens(name: str, x: Tensor, value: float) -> None:
    made = tokenizer(**OPTIONS[name])
    flat = counted(made.weights_of(torch.full_like(x, value)))
    none = quadtree.node_weights([torch.zeros_like(w) for w in made.weights_of(x)])
    assert torch.equal(flat, counted(none))
    assert bool((counted(made.weights_of(x)) >= flat).all())


@pytest.mark.parametrize("splitting", ["soft", "hard"])
@examples(daily=10)
@given(x=images(SIDES, SIDES), low=st.floats(0.01, 10), factor=st.floats(1.001, 10))
def test_the_number_of_tokens_falls_with_the_threshold(
    splitting: str, x: Tensor, low: float, factor: float
) -> None:
    numbers = []
    for threshold in (low, low * factor):
        made = tokenizer(threshold=threshold, budget=None, splitting=splitting)
        weights = made.weights_of(x)
        numbers.append((counted(weights), sum((w > 0).sum() for w in weights)))
    assert bool((numbers[0][0] >= numbers[1][0] - 1e-9).all())
    if splitting == "hard":
        assert numbers[0][1] >= numbers[1][1]


@pytest.mark.parametrize("name", OPTIONS)
@examples(daily=5)
@given(x=images(st.just(32), st.just(48)), rows=st.integers(0, 1), columns=st.integers(0, 2))
def test_shifts_by_the_largest_patch_permute_the_tokens(
    name: str, x: Tensor, rows: int, columns: int
) -> None:
    made = tokenizer(**OPTIONS[name])
    torch.nn.init.normal_(made.details.weight)
    assert made.symmetry.period == LARGEST
    assert made.symmetry.circular
    shift = (rows * LARGEST, columns * LARGEST)
    moved, still = made.weights_of(x.roll(shift, (2, 3))), made.weights_of(x)
    for level, (one, two) in enumerate(zip(moved, still, strict=True)):
        steps = tuple(amount // (PATCH << level) for amount in shift)
        torch.testing.assert_close(one, two.roll(steps, (1, 2)), rtol=0, atol=1e-9)
    steps = tuple(amount // PATCH for amount in shift)
    assert_close_relative(made(x.roll(shift, (2, 3))), made(x).roll(steps, (1, 2)), bound=1e-9)


@pytest.mark.parametrize(
    ("position", "mixer"),
    [
        *((position, "global") for position in ("learned", "sincos", "conv", "rope")),
        ("rope", "lipschitz"),
    ],
)
def test_every_patch_split_is_the_plain_vit(position: str, mixer: str) -> None:
    config = dataclasses.replace(
        backbone(position, mixer).config, tokenizer="patch", tokenizer_options=None
    )
    torch.manual_seed(0)
    plain, x = Backbone(config).double().eval(), crops()
    adaptive = make_adaptive(plain, levels=3, threshold=0, budget=None)
    assert adaptive.weighs_tokens
    assert_close_relative(adaptive(x), plain(x), bound=1e-12)
    assert_close_relative(adaptive.forward_features(x), plain.forward_features(x), bound=1e-12)
    # Negative control: the same weights on fewer tokens.
    fewer = make_adaptive(plain, levels=3, budget=0.3)
    assert not torch.allclose(fewer(x), plain(x), atol=1e-3)
    with pytest.raises(ValueError, match=r"model.config.tokenizer: expected 'patch'"):
        make_adaptive(adaptive)


def test_a_graft_is_not_dropped_without_a_message() -> None:
    """Its branch has a token for each finest patch, and none for larger ones."""
    plain = wavevit.create_model("test_vit", img_size=32, patch_size=8)
    grafted = wavevit.graft(plain, "swt")
    expected = r"model: expected a Backbone without added parameters \(wavevit.ungraft .* got token"
    with pytest.raises(ValueError, match=expected):
        make_adaptive(grafted)
    assert make_adaptive(wavevit.ungraft(grafted)).weighs_tokens
    with pytest.raises(ValueError, match="tokenizer: expected tokenizer='patch', got Adaptive"):
        wavevit.graft(make_adaptive(plain))


def test_an_adaptive_model_learns_from_the_vit_that_it_was() -> None:
    """Distillation without labels; the linear map of details, which starts at 0, learns too."""
    torch.manual_seed(0)
    teacher = wavevit.create_model("test_vit", img_size=32, patch_size=4, in_chans=1).eval()
    model = make_adaptive(teacher, levels=3, budget=0.4)
    report = distil(
        model,
        teacher,
        list(reference_crops()[:, :, :48, :48]),
        crop_size=32,
        steps=30,
        batch_size=16,
        judged=16,
        shifts=2,
        train="all",
        keep=1,
        evaluate_every=10,
        patience=None,
    )
    assert report.loss[1] < 0.8 * report.loss[0], report
    details: Any = model.tokenizer.details
    assert bool(details.weight.any())


def outputs(model: Backbone, x: Tensor, backend: str) -> list[Tensor]:
    """Logits, and gradients by the images and by every parameter."""
    stage: Any = model.stages[0]
    kept, stage.options = stage.options, dataclasses.replace(stage.options, backend=backend)
    x = x.clone().requires_grad_()
    logits = model(x)
    found = torch.autograd.grad(logits.square().sum(), [x, *model.parameters()])
    stage.options = kept
    return [logits.detach(), *found]


@pytest.mark.parametrize(
    ("position", "mixer"), [("learned", "global"), ("rope", "global"), ("rope", "lipschitz")]
)
@pytest.mark.parametrize("backend", ["padded", "padded, each image alone", "jagged"])
def test_backends_equal_the_dense_reference(
    backend: str, position: str, mixer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "alone" in backend:
        monkeypatch.setattr(token_layout, "_LONG", 1)
    backend = backend.partition(",")[0]
    model, x = backbone(position, mixer), torch.cat([crops(), torch.zeros(1, 1, 32, 32).double()])
    assert len(set(token_counts(model, x).tolist())) > 1
    pairs = zip(outputs(model, x, backend), outputs(model, x, "dense"), strict=True)
    for one, two in pairs:
        assert_close_relative(one, two, bound=1e-10)


def test_attention_takes_long_images_alone() -> None:
    """Only where this saves padding: images of different counts, in one sequence."""
    weights = torch.ones(2, 200)
    weights[1, 50:] = 0

    def alone(weights: Tensor, backend: str = "padded", rows: bool = False) -> bool:
        return token_layout.layout_of(weights, (10, 20), 1, 1, backend, rows).alone

    assert alone(weights)
    assert not alone(weights[:, :60])
    assert not alone(weights[:1].expand(2, -1))
    assert not alone(weights, rows=True)
    assert not alone(weights, "jagged")


def test_flex_attention_equals_the_dense_reference() -> None:
    model, x = backbone(), crops()
    stage: Any = model.stages[0]
    expected, kept = model(x), stage.options
    stage.options = dataclasses.replace(kept, backend="flex")
    try:
        with torch.no_grad(), pytest.warns(UserWarning, match="flex_attention called without"):
            found = model(x)
        with pytest.raises(ValueError, match="backend: expected one that has gradients"):
            model(x)
    finally:
        stage.options = kept
    assert_close_relative(found, expected, bound=1e-10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("backend", ["padded", "jagged", "flex"])
def test_backends_on_a_gpu_equal_the_dense_reference(backend: str) -> None:
    """Forward and gradients in float32, as trained there; heads as wide as kernels take them."""
    torch.manual_seed(0)
    model = wavevit.create_model("test_adaptive_vit", img_size=64, in_chans=1, num_classes=3)
    model = model.eval().cuda()
    x = torch.cat([reference_crops()[:4], torch.zeros(1, 1, 64, 64)]).float().cuda()
    assert len(set(token_counts(model, x).tolist())) > 1
    pairs = zip(outputs(model, x, backend), outputs(model, x, "dense"), strict=True)
    for one, two in pairs:
        assert_close_relative(one, two, bound=1e-5)


def test_order_and_neighbours_in_a_batch_change_nothing() -> None:
    model = backbone()
    x = torch.cat([crops(), torch.zeros(1, 1, 32, 32).double(), 5 * crops(1)])
    order = torch.tensor([3, 0, 5, 4, 1, 2])
    whole = model(x)
    assert_close_relative(model(x[order]), whole[order], bound=1e-12)
    single = torch.cat([model(image[None]) for image in x])
    assert_close_relative(single, whole, bound=1e-12)
    # Negative control: with one threshold for a batch, they do.
    shared = backbone(budget_of="batch")
    assert not torch.allclose(shared(x[:1]), shared(x)[:1])


@pytest.mark.parametrize("name", OPTIONS)
def test_a_soft_split_is_continuous(name: str) -> None:
    model = backbone(**{k: v for k, v in OPTIONS[name].items() if k != "levels"})
    scan = jump_scan(model, crops(3), path="line", steps=24)
    assert not any(scan.jumps())
    assert max(scan.variation) > 1e-3


@pytest.mark.parametrize("budget", [None, 0.5])
def test_a_hard_split_jumps(budget: float | None) -> None:
    """Negative control of the scan: the published rule."""
    model = backbone(splitting="hard", threshold=2.0, budget=budget)
    scan = jump_scan(model, crops(3), path="line", steps=24)
    assert all(scan.jumps())
    assert scan.largest_jump > 1e-3


def test_slope_across_the_threshold() -> None:
    """Bounded for a soft split; a hard one grows as one over the gap."""
    x = crops(2)
    common: dict[str, Any] = {"threshold": 2.0, "budget": None}
    soft = tie_slope(backbone(**common), x, ends=x.flip(0))
    hard = tie_slope(backbone(splitting="hard", **common), x, ends=x.flip(0))
    assert all(soft.saturates())
    assert not any(hard.saturates())
    assert min(hard.exponents) > 0.9


def test_threshold_of_a_budget_has_its_derivative() -> None:
    x = crops(1)

    def total(image: Tensor) -> Tensor:
        energies = quadtree.haar_pyramid(image, PATCH, 3)[0]
        return quadtree.count_threshold(energies, 20.0, 0.4, 1e-6).log()

    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).double()
    x.requires_grad_()
    (grad,) = torch.autograd.grad(total(x).sum(), x)
    step = 1e-5
    with torch.no_grad():
        ends = total(x + step * direction) - total(x - step * direction)
    found = float((grad * direction).sum())
    assert found == pytest.approx(float(ends) / (2 * step), rel=1e-3)
    assert abs(found) > 1e-3


def test_intermediates_are_painted_once_and_all_layers_are_called() -> None:
    model, x = backbone(), crops()
    calls: list[str] = []
    for name, module in model.named_modules():
        module.register_forward_hook(lambda *_, name=name: calls.append(name))
    maps = model.forward_intermediates(x, intermediates_only=True)
    names = [entry["module"] for entry in model.feature_info]
    assert names == ["stages.0.painted.0", "stages.0.painted.1"]
    assert all(calls.count(name) == 1 for name in names)
    assert [tuple(m.shape) for m in maps] == [(4, 16, 8, 8)] * 2
    owners = {
        n for n, m in model.named_modules() if next(m.parameters(recurse=False), None) is not None
    }
    assert owners - {""} <= set(calls) | {"norm", "head"}
    # A patch that is not split gives every cell that it covers the same token.
    weights = model.tokenizer.weights_of(x)
    whole = (weights[2] == 1).nonzero()
    assert len(whole)
    for image, row, column in whole.tolist():
        block = maps[0][image, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].flatten(1)
        assert_close_relative(block, block[:, :1].expand_as(block))


@pytest.mark.parametrize("backend", ["padded", "jagged", "dense"])
def test_checkpointing_changes_no_gradient(backend: str) -> None:
    """What the layout holds is made once, outside of what is computed twice."""
    model, x = backbone(), torch.cat([crops(2), torch.zeros(1, 1, 32, 32).double()])
    model.train()
    try:
        expected = outputs(model, x, backend)
        model.set_grad_checkpointing(True)
        found = outputs(model, x, backend)
    finally:
        model.set_grad_checkpointing(False)
        model.eval()
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one, two)


def test_stochastic_depth_drops_whole_images() -> None:
    model = Backbone(dataclasses.replace(backbone().config, drop_path_rate=0.5)).double()
    torch.manual_seed(0)
    x = crops(1).expand(64, -1, -1, -1)
    features = model.train().forward_intermediates(x, intermediates_only=True)[-1]
    kinds = features.flatten(1).mul(1e6).round().unique(dim=0)
    assert len(kinds) == 4  # the last block's two branches, each dropped or not


@pytest.mark.nightly  # an exporter takes seconds
def test_capacity_of_a_graph() -> None:
    x = crops()
    plain = backbone()
    most = int(token_counts(plain, x).max())
    with torch.no_grad():
        expected = plain(x)
        graph = torch.export.export(backbone(capacity=most), (x,)).module()
        assert_close_relative(graph(x), expected, bound=1e-10)
        small = torch.export.export(backbone(capacity=8), (x,)).module()
        assert not torch.allclose(small(x), expected)
    assert "topk" in graph.code


def test_what_is_refused() -> None:
    model, x = backbone(), crops()
    with pytest.raises(ValueError, match="attn_mask and is_causal: expected None and False"):
        model(x, is_causal=True)
    with pytest.raises(ValueError, match="backbone: expected tokens of one size"):
        model.encode(*model.tokenize(x))
    for options, message in (
        ({"budget": 1.5}, "budget: expected a whole number of tokens"),
        ({"budget": 0}, "budget: expected an integer of at least 1"),
        ({"threshold": 0}, "threshold: expected above 0 with a budget"),
        ({"softness": 0.0}, "softness: expected a share"),
        ({"share": 1.0}, "share: expected a share of the energy"),
        ({"energy": "dtcwt"}, "energy: expected one of"),
    ):
        with pytest.raises(ValueError, match=message):
            AdaptiveOptions(**options)
    with pytest.raises(ValueError, match="model: expected a backbone with tokenizer 'adaptive'"):
        token_counts(wavevit.create_model("test_vit", img_size=64), x)
    for function in (make_adaptive, lambda module: token_counts(module, x)):
        with pytest.raises(ValueError, match=r"model: expected a .*ackbone.*, got a Identity"):
            function(torch.nn.Identity())


def turnover(energy: str, splitting: str, windows: Tensor) -> float:
    made = tokenizer(padding="zeros", budget=0.5, energy=energy, splitting=splitting)

    def choose(x: Tensor) -> Tensor:
        return torch.cat([w.flatten(1) for w in made.weights_of(x.double())], dim=1)

    return choice_turnover(choose, windows, crop_size=48).percent


def test_undecimated_energies_choose_more_stably() -> None:
    """Under a crop by one pixel, for both splits; a random choice is the least stable."""
    windows = reference_crops()
    found = {
        (energy, splitting): turnover(energy, splitting, windows)
        for energy in ("haar", "swt", "random")
        for splitting in ("soft", "hard")
    }
    for splitting in ("soft", "hard"):
        assert found["swt", splitting] < 0.6 * found["haar", splitting]
        assert found["haar", splitting] < 0.6 * found["random", splitting]


def test_what_the_tokens_see() -> None:
    """The error of `seen` is the energy that is lost; with every patch split it is the image."""
    made, x = tokenizer(budget=0.4, splitting="hard"), crops().expand(-1, 2, -1, -1)
    energies = quadtree.haar_pyramid(x, PATCH, 3)[0]
    lost = quadtree.lost_energy(made.weights_of(x), energies)
    error = (x - made.seen(x)).square().mean(dim=1).sum(dim=(1, 2)) / PATCH**2
    assert_close_relative(error, lost)
    assert bool((lost > 0).all())
    every = tokenizer(threshold=0, budget=None)
    assert torch.equal(every.seen(x), x)


def test_drawing_of_tokens() -> None:
    image = reference_crops()[:1]
    figure = draw_tokens(image, (1.0, 0.4), patch_size=8, title="crop")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[0].endswith("of 64 tokens")
    numbers = [int(title.split()[0]) for title in titles[:2]]
    assert [len(axis.patches) for axis in figure.axes] == [*numbers, 0, 0]
    assert numbers[0] > numbers[1]
    assert "lost: " in titles[3]


@pytest.mark.parametrize("energy", ["haar", "swt"])
@pytest.mark.parametrize("splitting", ["soft", "hard"])
def test_patches_of_weight_0_are_not_computed(energy: str, splitting: str) -> None:
    """Without derivatives: the tokens that have weight are equal, the others are 0."""
    made, x = (
        tokenizer(budget=0.4, splitting=splitting, energy=energy),
        crops().expand(-1, 2, -1, -1),
    )
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    with torch.no_grad():
        every, weight = made(x, True)
        found, same = made(x, True, True)
    assert torch.equal(weight, same)
    present = weight > 0
    assert bool(every[~present].any())
    assert not bool(found[~present].any())
    assert_close_relative(found[present], every[present], bound=1e-12)
    # Where a derivative is asked for, or a hook wants to see all patches, all are computed.
    assert torch.equal(made(x, True, True)[0], every)
    handle = made.proj.register_forward_hook(lambda *facts: None)
    with torch.no_grad():
        assert torch.equal(made(x, True, True)[0], every)
    handle.remove()


def test_multiplications_of_patches_of_weight_0_are_saved() -> None:
    """A larger patch has a second linear map, of three times as many values."""
    model, x = backbone(budget=0.4), crops(1)
    with torch.no_grad():
        found = model(x)
    assert_close_relative(found, model(x).detach(), bound=1e-12)
    tokenizer: Any = model.tokenizer
    missing = [int((weight == 0).sum()) for weight in tokenizer.weights_of(x)]
    assert min(missing) > 0
    fewer = cost(model, x).macs
    handle = tokenizer.proj.register_forward_hook(lambda *facts: None)
    every = cost(model, x).macs
    handle.remove()
    assert every - fewer == tokenizer.proj.weight.numel() * (missing[0] + 4 * sum(missing[1:]))


@pytest.mark.parametrize("backend", ["dense", "padded", "jagged"])
def test_an_image_with_nan_gives_nan_and_the_others_stay(backend: str) -> None:
    """Its weights are NaN: no token of it may be left out as one of weight 0."""
    model, x = backbone(budget=0.4, backend=backend), crops(3)
    broken = x.clone()
    broken[1, 0, 3, 3] = torch.nan
    with torch.no_grad():
        expected, found = model(x), model(broken)
    assert bool(found[1].isnan().all())
    assert_close_relative(found[[0, 2]], expected[[0, 2]], bound=1e-12)
    before, after = token_counts(model, x), token_counts(model, broken)
    assert int(after[1]) > 0
    assert torch.equal(before[[0, 2]], after[[0, 2]])
