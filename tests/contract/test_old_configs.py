"""Configurations and a checkpoint of the version before parts had options of their own."""

from __future__ import annotations

import dataclasses
import gzip
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import wavevit
from wavevit import BackboneConfig, StageConfig, make_stages
from wavevit.alignment import PhaseLockOptions
from wavevit.interop.hub import from_pretrained
from wavevit.layers.mixers import WaveletConvOptions, WindowOptions
from wavevit.layers.tokenizers import AliasFreeOptions

OLD = Path(__file__).parent / "old"
CONFIGS = json.loads(gzip.decompress((OLD / "configs.json.gz").read_bytes()))
MOVED = {
    "tokenizer": ("alias_free", {n: n for n in ("stem_depth", "stem_width", "scales")}),
    "alignment": ("phase_lock", {"alignment_shift": "shift", "alignment_gate": "gate"}),
    "alignment ": ("weighted_frame", {"alignment_threshold": "threshold"}),
    "mixer": ("wavelet_conv", {"kernel_size": "kernel_size", "wavelet_levels": "levels"}),
    "mixer ": ("window", {"window_size": "window_size"}),
}


def same_values(config: BackboneConfig | StageConfig, old: dict) -> list[str]:
    """Fields whose value is not the old one; those of a part that is not used do not count."""
    moved = set()
    wrong = []
    for key, (part, names) in MOVED.items():
        axis = key.strip()
        moved |= set(names)
        if old.get(axis) == part:
            options = config.options(axis)
            for name, option in names.items():
                value = old[name]
                value = tuple(value) if isinstance(value, list) else value
                wrong += [name] if getattr(options, option) != value else []
    now = json.loads(json.dumps(config.to_dict() if hasattr(config, "to_dict") else {}))
    plain = {n: v for n, v in old.items() if n not in moved and n != "stages" and now}
    return wrong + [name for name, value in plain.items() if now[name] != value]


@pytest.mark.parametrize("name", CONFIGS)
def test_an_old_configuration_means_what_it_meant(name: str) -> None:
    old = CONFIGS[name]
    config = BackboneConfig.from_dict(old)  # a warning would be an error
    assert not same_values(config, old)
    for stage, before in zip(config.stages, old["stages"], strict=True):
        assert not same_values(stage, before)
        kept = {k: v for k, v in dataclasses.asdict(stage).items() if k in before}
        assert kept == {k: before[k] for k in kept}
    assert BackboneConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    if name.startswith("model "):
        assert config == wavevit.model_config(name.removeprefix("model "))


def test_negative_control_changed_value_is_detected() -> None:
    """Negative control of the comparison."""
    old = CONFIGS["alignment phase_lock, set"]
    assert same_values(BackboneConfig.from_dict(old | {"alignment_gate": 0.5}), old)


def test_an_old_checkpoint_gives_the_same_outputs() -> None:
    model = from_pretrained(OLD / "checkpoint")
    assert model.config.options("tokenizer").stem_width == 4
    assert model.state_dict().keys() == load_file(OLD / "checkpoint/model.safetensors").keys()
    kept = load_file(OLD / "checkpoint" / "outputs.safetensors")
    torch.testing.assert_close(model(kept["x"].float()), kept["y"], rtol=1e-4, atol=1e-5)


STAGES = make_stages(depths=[1], embed_dims=[8])
OLD_CALLS = {
    "BackboneConfig": (
        lambda: BackboneConfig(stages=STAGES, tokenizer="alias_free", stem_depth=3).options(
            "tokenizer"
        ),
        AliasFreeOptions(stem_depth=3),
    ),
    "StageConfig": (
        lambda: StageConfig(depth=1, embed_dim=8, mixer="wavelet_conv", kernel_size=3).options(
            "mixer"
        ),
        WaveletConvOptions(kernel_size=3),
    ),
    "replace": (
        lambda: dataclasses.replace(
            BackboneConfig(
                stages=STAGES, alignment="phase_lock", alignment_options={"shift": "fractional"}
            ),
            alignment_gate=0.1,
        ).options("alignment"),
        PhaseLockOptions("fractional", 0.1),
    ),
    "create_model": (
        lambda: wavevit.create_model("test_alias_free_pyramid", stem_depth=1).config.options(
            "tokenizer"
        ),
        AliasFreeOptions(stem_depth=1, stem_width=4),
    ),
    "make_stages": (
        lambda: make_stages(
            depths=(1, 1), embed_dims=(8, 8), mixer=("window", "global"), window_size=(4, 7)
        )[0].options("mixer"),
        WindowOptions(4),
    ),
}


@pytest.mark.parametrize("call", OLD_CALLS)
def test_old_arguments_work_and_name_their_successor(call: str) -> None:
    run, expected = OLD_CALLS[call]
    with pytest.warns(DeprecationWarning, match=r"deprecated, .*: use \w+_options=\{") as caught:
        assert run() == expected
    assert {Path(w.filename) for w in caught} == {Path(__file__)}


def test_old_attributes_work_and_name_their_successor() -> None:
    swin, vit = wavevit.model_config("test_swin"), wavevit.model_config("test_vit")
    with pytest.warns(DeprecationWarning, match=r"StageConfig.options\('mixer'\).window_size"):
        assert swin.stages[0].window_size == 4
    with pytest.warns(DeprecationWarning, match=r"BackboneConfig.options\('tokenizer'\)"):
        assert vit.stem_depth == 2


def test_old_values_are_checked() -> None:
    with (
        pytest.warns(DeprecationWarning, match="stem_width"),
        pytest.raises(ValueError, match="stem_width: expected an integer of at least 1, got 0"),
    ):
        BackboneConfig(stages=STAGES, stem_width=0)


@pytest.mark.parametrize(
    "name", ["TOKENIZERS", "MIXERS", "DOWNSAMPLES", "POSITIONS", "MLPS", "NORMS", "ACTIVATIONS"]
)
def test_old_tuples_of_names_work_and_warn(name: str) -> None:
    import importlib

    homes = {"NORMS": "wavevit.layers.norms", "ACTIVATIONS": "wavevit.layers.activations"}
    module = importlib.import_module(homes.get(name, "wavevit.models.config"))
    with pytest.warns(DeprecationWarning, match=rf"use wavevit.layers.{name}.values\(\)"):
        assert getattr(module, name) == getattr(wavevit.layers, name).values()
