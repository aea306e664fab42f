"""The pages of the axes show their records, and a record holds every value of its axis."""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch

from experiments.benchmarks import axes
from experiments.benchmarks.axes import AXES, measure, render, variant
from experiments.core.experiment import DOCS
from experiments.core.records import RECORDS, load_record
from wavevit.layers.downsample import BandLimitedDownsample
from wavevit.models import Backbone

RECORDED = sorted(path.stem for path in RECORDS.glob("axes/*.json"))


def test_every_axis_is_recorded() -> None:
    assert set(RECORDED) == set(AXES)


def test_times_are_those_of_the_plain_value() -> None:
    """Registered names are sorted, so a new one must not become what the others are compared to."""
    plain = {"tokenizer": "patch", "mixer": "global", "inject": "off"}
    plain |= {"downsample": "patch_merging", "position": "learned"}
    for axis, value in plain.items():
        assert AXES[axis][0] == value
        values = load_record(f"axes/{axis}.json")["values"]
        assert next(iter(values)) == value
        assert values[value]["time"] == 1.0


def test_records_hold_every_value_of_their_axis() -> None:
    for axis in RECORDED:
        record = load_record(f"axes/{axis}.json")
        assert set(record["values"]) == set(AXES[axis])
        assert record["weights"] == "random"
        assert len(record["seeds"]) >= 3


@pytest.mark.parametrize("axis", AXES)
def test_variant_differs_from_the_reference_in_one_field(axis: str) -> None:
    base = axes.REFERENCES[axis].to_dict()
    for value in AXES[axis]:
        try:
            changed = variant(axis, value).to_dict()
        except ValueError:
            continue
        for stage, reference in zip(changed.pop("stages"), base["stages"], strict=True):
            assert {name for name in stage if stage[name] != reference[name]} <= {axis}
        assert {name for name in changed if changed[name] != base[name]} <= {axis}


def test_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AXES, "tokenizer", ("patch", "overlap"))
    monkeypatch.setattr(axes, "COST_SIZE", 32)
    monkeypatch.setattr(axes, "SHIFT_SIZE", 32)
    threads = torch.get_num_threads()
    record = measure("tokenizer", seeds=(0, 1), rounds=1)
    torch.set_num_threads(threads)
    assert record["values"]["patch"]["time"] == 1.0
    assert record["values"]["patch"]["macs"] < record["values"]["overlap"]["macs"]
    assert all(0 < s["mean"] < 1 for s in record["values"]["patch"]["shift"].values())
    assert render(record).count("\n") == 5


def test_downsamplers_that_need_circular_padding_are_those_of_the_page() -> None:
    """A shift by 2 tokens moves the coarser grid exactly, with every padding but theirs."""
    page = (DOCS / "axes" / "downsample.md").read_text()
    (said,) = re.findall(r'^([^.]*) need `padding="circular"` for this\.', page, re.M)
    needing = set(re.findall(r"`(\w+)`", said)) - {"band_limited"}  # its short low-pass only

    def circular(name: str, padding: str) -> bool:
        config = variant("downsample", name)
        model = Backbone(dataclasses.replace(config, img_size=64, padding=padding, position="none"))
        return model.symmetry.circular

    names = [name for name in AXES["downsample"] if name != "band_limited"]
    assert all(circular(name, "circular") for name in names)
    assert {name for name in names if not circular(name, "zeros")} == needing
    for low_pass, kept in (("ideal", True), ("short", False)):
        layer = BandLimitedDownsample(4, 8, low_pass, padding="zeros")
        assert layer.symmetry.circular is kept
