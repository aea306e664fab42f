"""Every measure of the design: any model, the same answer twice, a frozen result, units, a control.

One table. A measure that is not in it, or a claim of the table that does not hold, fails here.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import math
import re
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import wavevit
from wavevit import measure
from wavevit.layers.tokenizers import PatchTokenizer
from wavevit.wavelets import wavepacket2

UNIT = Path(__file__).parents[1]
SIDE = 32
SUBJECTS = ("ours", "timm", "lambda")


def noise(count: int = 6, side: int = SIDE, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, side, side, generator=generator, dtype=torch.float64).to(dtype)


@functools.cache
def classifier(subject: str) -> Any:
    torch.manual_seed(0)
    arguments = {"img_size": SIDE, "num_classes": 5}
    if subject == "ours":
        return wavevit.create_model("test_vit", **arguments).eval()
    if subject == "timm":
        return timm.create_model("test_vit", **arguments).eval()
    kernel = torch.randn(5, 3, 8, 8)
    return lambda x: F.conv2d(x, kernel.to(x), stride=8).mean(dim=(2, 3))


def maps(subject: str) -> Callable[[Tensor], Tensor]:
    if subject == "lambda":
        return lambda x: F.avg_pool2d(x, 4)
    model = classifier(subject)
    return lambda x: model.forward_intermediates(x, indices=[0], intermediates_only=True)[0]


def tokenizer(subject: str) -> Callable[[Tensor], Tensor]:
    """Linear ones, of stride 16, computed in float64."""
    if subject == "lambda":
        return lambda x: F.avg_pool2d(x, 16)
    model = classifier(subject)
    conv = model.tokenizer.proj if subject == "ours" else model.patch_embed.proj
    return lambda x: F.conv2d(x, conv.weight.to(x), stride=16)


def tokenizing(subject: str) -> nn.Module:
    """Of timm's its patches in our part."""
    if subject == "lambda":
        return nn.AvgPool2d(16)
    if subject == "ours":
        return classifier(subject).tokenizer
    part = PatchTokenizer(3, classifier(subject).embed_dim, 16)
    part.proj = classifier(subject).patch_embed.proj
    return part


def transform(subject: str) -> Callable[[Tensor], Tensor]:
    """Orthonormal ones; of timm's an image's Fourier transform stands in: it has none."""
    return {
        "ours": lambda x: wavepacket2(x, level=2),
        "timm": lambda x: torch.view_as_real(torch.fft.fft2(x, norm="ortho")),
        "lambda": lambda x: F.pixel_unshuffle(x, 4),
    }[subject]


def attends(subject: str) -> Callable[[Tensor], Tensor]:
    if subject != "lambda":
        return classifier(subject)

    def attention(x: Tensor) -> Tensor:
        tokens = F.avg_pool2d(x, 8).flatten(2).mT[:, None]
        return F.scaled_dot_product_attention(tokens, tokens, tokens)

    return attention


@functools.cache
def module(subject: str) -> nn.Module:
    torch.manual_seed(0)
    if subject == "ours":
        return wavevit.create_model("test_lipschitz_vit", img_size=SIDE, num_classes=5).eval()
    if subject == "timm":
        return classifier("timm")
    return nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.GELU(), nn.Flatten(), nn.Linear(256, 2))


def _wide(subject: str) -> Any:
    model = classifier(subject)
    return copy.deepcopy(model).double() if isinstance(model, nn.Module) else model


class Entry(NamedTuple):
    """How a measure is called, what units its docs name, and where its truth is tested.

    Attributes:
        call: of a subject's name.
        units: words that the docs of the result must hold.
        truth: test of a model whose answer is known, file and function.
        control: test that sees the measure tell a bad model from a good one.
        samples: it estimates from a sample, so its result says how sure it is.
    """

    call: Callable[[str], Any]
    units: str
    truth: str
    control: str
    samples: bool = True


def seeded(name: str, **arguments: Any) -> Callable[[str], Any]:
    return lambda subject: getattr(measure, name)(classifier(subject), noise(), **arguments)


CONSTANTS = "properties/test_tokenizer_constants.py::"
SHIFT, DEPTH = "unit/test_measure_shift.py::", "unit/test_measure_depth.py::"
SPECTRUM, VOCABULARY = "unit/test_measure_spectrum.py::", "unit/test_measure_vocabulary.py::"
MEASURES = {
    "shift_consistency": Entry(
        seeded("shift_consistency", kind="circular"),
        "percent",
        SHIFT + "test_an_invariant_model_is_fully_consistent",
        SHIFT + "test_consistency_of_a_model_that_reads_one_pixel",
    ),
    "shift_sensitivity": Entry(
        seeded("shift_sensitivity", shifts=(0.5, 1), kind="circular"),
        "in units of the distance between images",
        SHIFT + "test_sensitivity_of_an_invariant_and_of_a_forgetful_model",
        SHIFT + "test_sensitivity_of_an_invariant_and_of_a_forgetful_model",
    ),
    "token_turnover": Entry(
        lambda s: measure.token_turnover(maps(s), noise(), (0, 1), kind="circular"),
        "percent",
        SHIFT + "test_token_turnover_of_patches",
        SHIFT + "test_token_turnover_of_patches",
    ),
    "choice_turnover": Entry(
        lambda s: measure.choice_turnover(
            lambda x: maps(s)(x).flatten(1).abs(), noise(), (0, 1), kind="circular"
        ),
        "in percent of the tokens",
        "unit/test_measure_choices.py::test_known_values",
        "unit/test_measure_choices.py::test_known_values",
    ),
    "equivariance_error": Entry(
        lambda s: measure.equivariance_error(maps(s), noise(), (1, 0)),
        "decibel",
        "unit/test_measure_equivariance.py::test_a_circular_convolution_moves_with_the_image",
        "unit/test_measure_equivariance.py::test_a_stride_keeps_its_multiples_and_no_other_shift",
    ),
    "adversarial_shift_accuracy": Entry(
        lambda s: measure.adversarial_shift_accuracy(
            classifier(s), noise(), classifier(s)(noise()).argmax(dim=1), 1, kind="circular"
        ),
        "in [0, 100]",
        "unit/test_measure_equivariance.py::test_the_grid_is_the_minimum_over_every_shift",
        "unit/test_measure_equivariance.py::"
        "test_position_blind_models_lose_nothing_and_a_pixel_reader_loses_all",
    ),
    "local_lipschitz": Entry(
        seeded("local_lipschitz", iterations=3),
        "output change per unit of input change",
        "unit/test_measure_continuity.py::test_linear_map_has_its_spectral_norm",
        "unit/test_measure_continuity.py::test_steeper_model_has_a_larger_local_lipschitz_constant",
    ),
    "jump_scan": Entry(
        lambda s: measure.jump_scan(_wide(s), noise(2, dtype=torch.float64), steps=4, dt=1e-3),
        "in units of",
        "unit/test_measure_jumps.py::test_a_step_function_jumps_by_its_height_where_it_steps",
        "unit/test_measure_jumps.py::test_a_linear_map_does_not_jump",
        samples=False,  # a value for each image, no estimate of a mean
    ),
    "tie_slope": Entry(
        lambda s: measure.tie_slope(
            _wide(s), noise(2, dtype=torch.float64), gaps=(1e-1, 1e-2), steps=4
        ),
        "output change over pixel change",
        "unit/test_measure_ties.py::test_closed_forms",
        "unit/test_measure_ties.py::test_polyphase_grows_without_end",
        samples=False,
    ),
    "certified_lipschitz": Entry(
        lambda s: measure.certified_lipschitz(module(s), noise()),
        "output change per unit of pixel change",
        "properties/test_certified_laws.py::test_tokenizers_have_their_exact_norm",
        "properties/test_certified_laws.py::test_a_bound_that_is_too_small_is_broken",
        samples=False,  # a proof
    ),
    "scale_sensitivity": Entry(
        lambda s: measure.scale_sensitivity(
            classifier(s), noise(side=2 * SIDE), (0.5, 2.0), crop_size=SIDE
        ),
        "in units of the distance between images",
        "unit/test_measure_scale.py::"
        "test_a_constant_feature_of_scale_does_not_move_and_a_slope_does",
        "unit/test_measure_scale.py::"
        "test_a_constant_feature_of_scale_does_not_move_and_a_slope_does",
    ),
    "receptive_field": Entry(
        lambda s: measure.receptive_field(maps(s), noise()),
        "pixels",
        DEPTH + "test_a_box_filter_sees_its_box",
        DEPTH + "test_effective_receptive_field_is_smaller_than_the_theoretical_one",
    ),
    "attention_distance": Entry(
        lambda s: measure.attention_distance(attends(s), noise()),
        "in pixels",
        DEPTH + "test_uniform_attention_and_attention_to_oneself",
        DEPTH + "test_a_swin_looks_less_far_than_a_vit",
    ),
    "effective_rank": Entry(
        seeded("effective_rank", resamples=5),
        "dimensions",
        VOCABULARY + "test_white_features_use_as_many_dimensions_as_they_have",
        VOCABULARY + "test_unequal_dimensions_count_less",
    ),
    "n_term_error": Entry(
        lambda s: measure.n_term_error(transform(s), noise()),
        "of the coefficients",
        VOCABULARY + "test_a_sparse_image_needs_as_many_coefficients_as_it_has",
        VOCABULARY + "test_photographs_are_sparse_in_haar_and_not_in_pixels",
    ),
    "frame_bounds": Entry(
        lambda s: measure.frame_bounds(tokenizer(s), stride=16, tokens=2),
        "number of outputs for each input number",
        SPECTRUM + "test_equal_to_the_singular_values_of_the_whole_matrix",
        SPECTRUM + "test_no_stride_no_aliasing_and_fewer_channels_than_pixels_no_lower_bound",
        samples=False,  # closed form
    ),
    "tokenizer_bounds": Entry(
        lambda s: measure.tokenizer_bounds(tokenizing(s), noise(1)),
        "change of the tokens for a unit of pixel change",
        CONSTANTS + "test_linear_ones_have_the_norm_of_their_whole_matrix",
        CONSTANTS + "test_the_constant_is_of_use_and_a_smaller_one_is_broken",
        samples=False,
    ),
    "jacobian_spectrum": Entry(
        lambda s: measure.jacobian_spectrum(classifier(s), noise(1), 3),
        "output change per unit of input change",
        "unit/test_measure_continuity.py::test_singular_values_of_a_linear_map",
        "unit/test_measure_continuity.py::test_one_steep_direction_is_told_from_many",
        samples=False,  # at one image
    ),
    "aliasing_norm": Entry(
        lambda s: measure.aliasing_norm(tokenizer(s), stride=16, tokens=2),
        "for an image of norm 1",
        SPECTRUM + "test_orthonormal_transforms_are_tight_and_alias_all_they_can",
        SPECTRUM + "test_low_passes_alias_less_the_smoother_they_are",
        samples=False,
    ),
    "cost": Entry(
        lambda s: measure.cost(classifier(s), noise(1)),
        "multiply-accumulates",
        "unit/test_measure_cost.py::test_vit_small_is_the_published_size",
        "unit/test_measure_cost.py::test_attention_products_are_counted",
        samples=False,  # counted
    ),
}
REFUSES = {
    ("certified_lipschitz", "timm"): "because",  # dot-product attention has no constant
    ("tokenizer_bounds", "lambda"): "expected a tokenizer",  # it asks a part what it declares
}


@functools.cache
def answer(name: str, subject: str) -> Any:
    return MEASURES[name].call(subject)


def test_the_table_has_every_measure_of_the_design() -> None:
    """Every function that returns a dataclass of the package, and every such dataclass."""
    results = {v for v in vars(measure).values() if dataclasses.is_dataclass(v)}
    returned = {type(answer(name, "ours")) for name in MEASURES}
    assert returned == results


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("name", MEASURES)
def test_any_model_twice_the_same_and_frozen(name: str, subject: str) -> None:
    if (name, subject) in REFUSES:
        with pytest.raises(ValueError, match=REFUSES[name, subject]):
            answer(name, subject)
        return
    result = answer(name, subject)
    assert MEASURES[name].call(subject) == result
    field = dataclasses.fields(result)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(result, field, None)
    if MEASURES[name].samples:
        interval = result.interval
        pairs = interval if isinstance(interval[0], tuple) else (interval,)
        assert all(low <= high and not math.isnan(low + high) for low, high in pairs)
    else:
        assert not hasattr(result, "interval")


@pytest.mark.parametrize("name", MEASURES)
def test_units_are_said_for_every_field(name: str) -> None:
    kind = type(answer(name, "ours"))
    docs = re.sub(r"\s+", " ", kind.__doc__)
    assert MEASURES[name].units in docs
    for field in dataclasses.fields(kind):
        assert re.search(rf"\b{field.name}: ", docs), field.name


BATCHED = [n for n in MEASURES if "batch_size" in signature(getattr(measure, n)).parameters]


def test_measures_run_in_batches() -> None:
    """The others look at one image or at none, or at all coefficients of each (`n_term_error`)."""
    assert set(MEASURES) - set(BATCHED) == {
        "certified_lipschitz",
        "tokenizer_bounds",
        "frame_bounds",
        "aliasing_norm",
        "jacobian_spectrum",
        "n_term_error",
        "cost",
    }


@pytest.mark.parametrize("name", BATCHED)
def test_the_size_of_a_batch_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = answer(name, "ours")
    some = functools.partial(getattr(measure, name), batch_size=4)
    monkeypatch.setattr(measure, name, some)
    parts = MEASURES[name].call("ours")
    for field in dataclasses.fields(whole):
        one, two = (getattr(r, field.name) for r in (whole, parts))
        if one == two:  # words, counts, and what rounding leaves alone
            continue
        one, two = torch.tensor(one).double(), torch.tensor(two).double()
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("claim", ["truth", "control"])
@pytest.mark.parametrize("name", MEASURES)
def test_a_known_answer_and_a_control_are_tested_elsewhere(name: str, claim: str) -> None:
    file, function = getattr(MEASURES[name], claim).split("::")
    tree = ast.parse((UNIT / file).read_text())
    (found,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function]
    assert name in ast.dump(tree)
    assert any(isinstance(node, ast.Assert | ast.With) for node in ast.walk(found))
