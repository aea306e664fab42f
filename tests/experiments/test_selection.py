"""What the first study settled for all others is not overruled by validation."""

from __future__ import annotations

import copy
import dataclasses

import pytest

from experiments.benchmarks.selection import SEEDS, choices, gains, kept, overruled, render
from experiments.core.config import differing_fields
from experiments.core.records import load_record
from experiments.studies import STUDIES
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET

ALLOWED = {
    "vit": {"optimizer.lr"},
    "haar_vit": {"model.subband_norm", "model.subband_act"},
}
FOUND = load_record("selection/selection.json")


@pytest.mark.parametrize("variant", ALLOWED)
def test_choices_use_no_test_half_and_differ_in_one_choice(variant: str) -> None:
    own = PATCH_VS_WAVELET.configs()[variant]
    for name, config in choices()[variant].items():
        assert config.data.held_out == "validation", name
        assert config.data.trained_on == "fit", name
        same = dataclasses.replace(config, data=own.data)
        changed = set(differing_fields(own.to_dict(), same.to_dict()))
        assert changed <= ALLOWED[variant], name
        assert (not changed) == (name == kept(variant))


OTHERS = ("captions", "clip", "detection", "learning_rate", "smoke")
PUBLISHED = ("imagenet", "imagenet_trial")  # the rate of a recipe, which may be the same


def test_all_studies_have_the_selected_learning_rate() -> None:
    """But for those that ask about it, learn nothing, follow a published recipe, or chose their own
    on validation crops, as their lab note says (`clip`, whose choice `captions` takes;
    `detection`)."""
    rate = PATCH_VS_WAVELET.configs()["vit"].optimizer.lr
    for name, study in STUDIES.items():
        if name in PUBLISHED:
            continue
        rates = {config.optimizer.lr for config in study.configs().values()}
        assert (rates == {rate}) == (name not in OTHERS), name


def test_the_record_is_of_these_choices_and_overrules_none() -> None:
    assert {variant: set(found) for variant, found in choices().items()} == {
        variant: set(found) for variant, found in FOUND["top1"].items()
    }
    assert FOUND["seeds"] == list(SEEDS)
    assert overruled(FOUND) == []


def test_a_better_choice_overrules() -> None:
    """Negative control: five points more with a spread of one, and it is no longer ours."""
    record = copy.deepcopy(FOUND)
    rates = record["top1"]["vit"]
    rates["rate 0.001"] = [value + 4 + seed % 3 for seed, value in enumerate(rates[kept("vit")])]
    assert overruled(record) == ["vit, rate 0.001"]
    assert "choice: vit, rate 0.001." in render(record)


def test_gains_are_paired_over_seeds() -> None:
    """A seed that is easy for both counts for neither."""
    record = {"top1": {"vit": {name: [50.0, 60.0] for name in choices()["vit"]}}, "seeds": [0, 1]}
    record["top1"]["vit"]["rate 0.001"] = [51.0, 61.0]
    found = gains(record, "vit")["rate 0.001"]
    assert (found.mean, found.std) == (1.0, 0.0)
