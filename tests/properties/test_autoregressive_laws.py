"""Autoregressive modelling: no value is predicted from itself or a later one; bits add up."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

import wavevit
from wavevit import BackboneConfig
from wavevit.tasks import Autoregressive, create_task
from wavevit.tasks.autoregressive_orders import CoarseToFine, Raster
from wavevit.tasks.causality import why_not_causal
from wavevit.wavelets import Pyramid, integer_haar2

RASTER = {
    "vit": ("test_vit", {"patch_size": 4, "img_size": 8}),
    "haar_vit": ("test_haar_vit", {"patch_size": 4, "img_size": 8, "in_chans": 2}),
    "dtcwt_vit": ("test_dtcwt_vit", {"patch_size": 8, "img_size": (8, 16)}),
    "swt_vit": ("test_haar_vit", {"tokenizer": "swt", "patch_size": 4, "img_size": 8}),
    "rope": ("test_vit", {"position": "rope", "patch_size": 4, "img_size": 8}),
}
COARSE = {
    "vit": ("test_vit", {"patch_size": 4, "img_size": (8, 16)}),
    "dtcwt_vit": ("test_dtcwt_vit", {"patch_size": 8, "img_size": 16}),
    "swin": ("test_swin", {"img_size": (8, 16), "in_chans": 2}),
    "dtcwt_pyramid": ("test_dtcwt_pyramid", {"img_size": 32}),
    "locked_vit": (
        "test_haar_vit",
        {"alignment": "phase_lock", "img_size": 8, "patch_size": 4, "position": "none"},
    ),
}
CHANGED = 24  # values that are changed, evenly spaced


def build(order: str, model: str, changes: dict[str, Any], **options: Any) -> Autoregressive:
    torch.manual_seed(0)
    options = {"order": order, "width": 8, **options}
    task = create_task("autoregressive", model, options, **{"in_chans": 1, **changes})
    assert isinstance(task, Autoregressive)
    with torch.no_grad():  # gates and heads of new models are small and would hide a leak
        for parameter in task.parameters():
            parameter.copy_(torch.randn(parameter.shape) / parameter.shape[-1] ** 0.5)
    return task.double().eval()


def flat(parts: list[Any]) -> Tensor:
    """Parameters and bounds of all values in their order: (B, n, …)."""
    rows = []
    for part in parts:
        bounds = torch.stack([part.low, part.high], dim=-1).double()
        rows.append(torch.cat([part.parameters, bounds], dim=-1).flatten(1, 2))
    return torch.cat(rows, dim=1)


def chosen(count: int) -> Tensor:
    """Values that are changed: evenly spaced, the first and the last among them."""
    return torch.linspace(0, count - 1, min(CHANGED, count)).round().long()


def raster_dependence(task: Autoregressive) -> Tensor:
    """(j, i): how much the distribution of value i changes with a chosen pixel j."""
    order = task.order
    assert isinstance(order, Raster)
    image = task.dummy_batch(1)["images"]
    places = order.pixels.cells(torch.arange(image.numel()).reshape(image.shape)).flatten()
    places = places[chosen(image.numel())]
    images = image.repeat(len(places), 1, 1, 1)
    images.flatten(1)[torch.arange(len(places)), places] ^= 64
    with torch.no_grad():
        found = flat(order.conditionals(task.backbone, torch.cat([image, images])))
    return (found[1:] - found[:1]).abs().amax(-1)


def coarse_dependence(task: Autoregressive) -> Tensor:
    """(j, i): how much the distribution of coefficient i changes with a chosen coefficient j."""
    order = task.order
    assert isinstance(order, CoarseToFine)
    pyramid = integer_haar2(task.dummy_batch(1)["images"], order.levels)
    maps = [pyramid.approx, *(bands.flatten(1, 2) for bands in pyramid.details)]
    models = [order.approx, *order.details]
    rows = torch.cat([model.cells(m).flatten() for model, m in zip(models, maps, strict=True)])
    steps = 3 * torch.eye(len(rows), dtype=rows.dtype)[chosen(len(rows))]
    changed = torch.cat([rows[None], rows + steps])
    back, start = [], 0
    for model, m in zip(models, maps, strict=True):
        grid = (m.shape[2] // model.side, m.shape[3] // model.side)
        part = changed[:, start : start + m.numel()].unflatten(1, (-1, model.count))
        back.append(model.uncells(part, grid))
        start += m.numel()
    details = tuple(bands.unflatten(1, (-1, 3)) for bands in back[1:])
    with torch.no_grad():
        found = flat(order.of_pyramid(task.backbone, Pyramid(back[0], details)))
    return (found[1:] - found[:1]).abs().amax(-1)


def check_triangular(dependence: Tensor) -> None:
    """Distributions up to that of a changed value stay; almost every change has an effect."""
    count = dependence.shape[1]
    earlier = torch.arange(count) <= chosen(count)[:, None]
    assert dependence[earlier].max() < 1e-10
    assert (dependence[:-1].amax(1) > 1e-6).float().mean() > 0.9


@pytest.mark.parametrize("name", RASTER)
def test_raster_values_depend_on_earlier_values_only(name: str) -> None:
    check_triangular(raster_dependence(build("raster", *RASTER[name])))


@pytest.mark.parametrize("name", COARSE)
def test_coarse_to_fine_coefficients_depend_on_earlier_ones_only(name: str) -> None:
    check_triangular(coarse_dependence(build("coarse_to_fine", *COARSE[name], levels=1)))


def test_second_level_follows_the_first() -> None:
    changes = {"patch_size": 4, "img_size": 16}
    check_triangular(coarse_dependence(build("coarse_to_fine", "test_vit", changes, levels=2)))


@pytest.mark.parametrize("name", ["vit", "dtcwt_vit"])
def test_raster_jacobian_is_strictly_triangular(name: str) -> None:
    task = build("raster", *RASTER[name])
    order = task.order
    assert isinstance(order, Raster)
    images = task.dummy_batch(1)["images"]
    x = order.pixels.scaled(images).requires_grad_()
    found = order.pixels(x, order.context(task.backbone, x)).flatten(0, 2).sum(1)
    for i in range(0, len(found), 7):
        (slope,) = torch.autograd.grad(found[i], x, retain_graph=True)
        slope = order.pixels.cells(slope).flatten().abs()
        assert slope[i:].max() == 0
        assert i == 0 or slope[:i].max() > 0


def test_coarse_to_fine_jacobian_is_strictly_triangular() -> None:
    task = build("coarse_to_fine", *COARSE["swin"], levels=1)
    order = task.order
    assert isinstance(order, CoarseToFine)
    pyramid = integer_haar2(task.dummy_batch(1)["images"], 1)
    guide = order.approx.scaled(pyramid.approx).requires_grad_()
    model = order.details[0]
    x = model.scaled(pyramid.details[0].flatten(1, 2)).requires_grad_()
    found = model(x, order.contexts[0](task.backbone, guide), guide).flatten(0, 2).sum(1)
    for i in range(0, len(found), 17):
        slope, of_guide = torch.autograd.grad(found[i], (x, guide), retain_graph=True)
        slope = model.cells(slope).flatten().abs()
        assert slope[i:].max() == 0
        assert of_guide.abs().max() > 0


@pytest.mark.parametrize("part", ["own", "near", "guess"])
def test_negative_control_without_the_mask_of_the_head_values_see_themselves(part: str) -> None:
    task = build("raster", *RASTER["vit"])
    pixels = task.order.pixels
    (pixels if part == "own" else getattr(pixels, part)).mask.fill_(1.0)
    with pytest.raises(AssertionError):
        check_triangular(raster_dependence(task))
    task = build("coarse_to_fine", *COARSE["swin"], levels=1)
    details = task.order.details[0]
    (details if part == "own" else getattr(details, part)).mask.fill_(1.0)
    with pytest.raises(AssertionError):
        check_triangular(coarse_dependence(task))


def test_new_distributions_are_around_the_mean_of_known_neighbours() -> None:
    torch.manual_seed(0)
    task = create_task("autoregressive", "test_vit", in_chans=1, img_size=8, patch_size=4).double()
    images = task.dummy_batch(2)["images"]
    (part,) = task.order.conditionals(task.backbone, images)
    means = task.order.pixels.uncells(part.parameters[..., 5:10].mean(-1), (2, 2)) * 16 + 127.5
    above, left = images[..., :-1, 1:].double(), images[..., 1:, :-1].double()
    assert (means[..., 1:, 1:] - (above + left) / 2).abs().max() < 16


def test_values_outside_the_cell_are_read() -> None:
    """The first value of a cell depends on its neighbours in the cells above and on the left."""
    task = build("raster", "test_vit", {"patch_size": 4, "img_size": 8})
    order = task.order
    x = order.pixels.scaled(task.dummy_batch(1)["images"]).requires_grad_()
    context = torch.zeros(1, 4, task.backbone.num_features, dtype=torch.float64)
    found = order.pixels(x, context)[0, 3, 0].sum()
    (slope,) = torch.autograd.grad(found, x)
    assert (slope[0, 0] != 0).nonzero().tolist() == [
        *([row, column] for row in (1, 2, 3) for column in (1, 2, 3, 4, 5, 6, 7)),
        *([4, column] for column in (1, 2, 3)),
        *([row, column] for row in (5, 6, 7) for column in (1, 2, 3)),
    ]


def test_negative_control_without_causal_attention_patches_see_later_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = build("raster", *RASTER["vit"])
    encode = task.backbone.encode
    monkeypatch.setattr(
        task.backbone, "encode", lambda tokens, grid, is_causal: encode(tokens, grid)
    )
    with pytest.raises(AssertionError):
        check_triangular(raster_dependence(task))


def test_negative_control_tokens_of_the_whole_image_see_later_pixels() -> None:
    """Why each patch goes through the tokenizer alone."""
    task = build("raster", *RASTER["swt_vit"])
    x = torch.randn(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    tokens, _ = task.backbone.tokenize(x)
    (slope,) = torch.autograd.grad(tokens[0, 0].sum(), x)
    assert slope[..., 4:].abs().max() > 0


def changed_vit(stage: dict[str, Any], **changes: Any) -> BackboneConfig:
    config = wavevit.model_config("test_vit")
    stages = tuple(dataclasses.replace(part, **stage) for part in config.stages)
    return dataclasses.replace(config, img_size=32, stages=stages, **changes)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (changed_vit({}, position="conv"), "reads later tokens"),
        (changed_vit({}, norm="map"), "reads later tokens"),
        (changed_vit({"mlp": "conv"}, pool="avg"), "reads later tokens"),
        (changed_vit({}, alignment="phase_lock"), "moves the tokens"),
        (changed_vit({"mixer": "cross_covariance"}), "no scores between all tokens"),
        (wavevit.model_config("test_swin"), "a hierarchical model"),
    ],
)
def test_layers_that_read_later_tokens_are_found(config: BackboneConfig, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"backbone: expected one that runs causally.*{reason}"):
        create_task("autoregressive", config, {"order": "raster"})


@pytest.mark.parametrize("position", ["learned", "sincos", "none", "rope"])
def test_causal_layers_are_accepted(position: str) -> None:
    task = create_task("classification", "test_vit", position=position, img_size=32)
    assert why_not_causal(task.backbone) is None


@pytest.mark.parametrize("head", ["logistic_mixture", "categorical"])
@pytest.mark.parametrize("order", ["raster", "coarse_to_fine"])
def test_sampling_adds_up_the_likelihood_of_scoring(order: str, head: str) -> None:
    name = "haar_vit" if order == "raster" else "swin"
    model, changes = (RASTER if order == "raster" else COARSE)[name]
    task = build(order, model, {**changes, "img_size": 8}, head=head)
    found = task.sample(3, torch.Generator().manual_seed(0))
    assert found["images"].dtype == torch.uint8
    scored = task.bits(found["images"]).detach()
    assert torch.allclose(found["bits"], scored, rtol=1e-10)
    other = task.sample(3, torch.Generator().manual_seed(1))["images"]
    assert not torch.equal(found["images"], other)
    assert not torch.allclose(task.bits(other).detach(), found["bits"])


@pytest.mark.parametrize("order", ["raster", "coarse_to_fine"])
def test_probabilities_of_all_images_add_up_to_one(order: str) -> None:
    """Conditionals of one small image: each sums to 1 over its bounds."""
    model, changes = (RASTER if order == "raster" else COARSE)["vit"]
    task = build(order, model, changes)
    images = task.dummy_batch(1)["images"]
    for part in task.order.conditionals(task.backbone, images):
        known = torch.arange(int(part.low.min()), int(part.high.max()) + 1)
        values = known.expand(*part.values.shape, -1)
        low, high = part.low[..., None], part.high[..., None]
        found = part.distribution.log_prob(part.parameters[..., None, :], values, low, high)
        inside = (values >= low) & (values <= high)
        total = torch.where(inside, found.exp(), 0).sum(-1)
        assert torch.allclose(total, torch.ones_like(total), atol=1e-9)
        assert ((part.values >= part.low) & (part.values <= part.high)).all()


def test_bits_are_those_of_the_conditionals() -> None:
    task = build("raster", *RASTER["vit"])
    images = task.dummy_batch(2)["images"]
    (part,) = task.order.conditionals(task.backbone, images)
    wanted = -part.log_prob() / (64 * math.log(2))
    assert torch.allclose(task.bits(images), wanted)


@pytest.mark.parametrize(("order", "known"), [("raster", 1), ("coarse_to_fine", 1)])
def test_completions_keep_what_is_known_and_its_bits(order: str, known: int) -> None:
    name = "haar_vit" if order == "raster" else "swin"
    model, changes = (RASTER if order == "raster" else COARSE)[name]
    task = build(order, model, {**changes, "img_size": 8})
    given = task.dummy_batch(2)["images"]
    found = task.sample(2, torch.Generator().manual_seed(0), given=given, known=known)
    images = found["images"]
    assert not torch.equal(images, given)
    if order == "raster":
        assert torch.equal(images[:, :, :4], given[:, :, :4])
        (part,) = task.order.conditionals(task.backbone, images)
        drawn = part.distribution.log_prob(part.parameters, part.values, part.low, part.high)[:, 2:]
    else:
        assert torch.equal(integer_haar2(images).approx, integer_haar2(given).approx)
        part = task.order.conditionals(task.backbone, images)[1]
        drawn = part.log_prob()[:, None]
    bits = -drawn.flatten(1).sum(1) / (math.log(2) * images[0].numel())
    assert torch.allclose(found["bits"], bits, rtol=1e-10)
    everything = task.order.units(8)
    same = task.sample(2, given=given, known=everything)
    assert torch.equal(same["images"], given)
    assert not same["bits"].any()


@pytest.mark.parametrize("known", [0, 1, 2])
def test_known_scales_are_kept_and_finer_ones_are_drawn(known: int) -> None:
    changes = {"patch_size": 4, "img_size": 16}
    task = build("coarse_to_fine", "test_vit", changes, levels=2)
    given = task.dummy_batch(1)["images"]
    images = task.sample(1, torch.Generator().manual_seed(0), given=given, known=known)["images"]
    found, wanted = (integer_haar2(x, 2) for x in (images, given))
    assert torch.equal(found.approx, wanted.approx) == (known >= 1)
    assert torch.equal(found.details[0], wanted.details[0]) == (known >= 2)
    assert not torch.equal(found.details[1], wanted.details[1])
