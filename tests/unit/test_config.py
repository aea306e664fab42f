"""Configurations refuse what makes no sense and say why."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

import wavevit
from wavevit import Backbone, BackboneConfig, StageConfig, make_stages
from wavevit.alignment import PhaseLock, align, phase_of
from wavevit.layers import MIXERS, Part, Symmetry, register_mixer
from wavevit.layers.options import NoOptions
from wavevit.layers.tokenizers import AliasFreeOptions
from wavevit.wavelets import FilterBank, filter_bank

STAGES = make_stages(depths=[1], embed_dims=[8], num_heads=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer": "pach"}, r"tokenizer: .*\(nearest: patch\b.*\), got 'pach'"),
        (
            {"position": "rotary"},
            r"position: expected one of 'conv', 'learned', .*, got 'rotary'",
        ),
        ({"padding": "reflect"}, "padding: expected one of 'zeros', 'circular', got 'reflect'"),
        ({"alignment": "phaselock"}, r"alignment: .*nearest: phase_lock.*got 'phaselock'"),
        ({"alignment_boundary": "hann"}, "alignment_boundary: expected one of"),
        ({"img_size": True}, "img_size: expected one integer or"),
        ({"img_size": 64.5}, "img_size: expected one integer or"),
        ({"wavelet": "har"}, r"wavelet: .*nearest: haar"),
        ({"wavelet": FilterBank.one_sided((1, 1), (1, -1))}, r"wavelet: .*unknown"),
        ({"drop_rate": 1.0}, r"drop_rate: expected a rate in \[0, 1\), got 1.0"),
        ({"drop_path_rate": -0.1}, r"drop_path_rate: expected a rate in \[0, 1\), got -0.1"),
        ({"layer_scale": -1e-4}, "layer_scale: expected .* at least 0"),
        (
            {"layer_scale": 1e-4, "spectral_control": True},
            "layer_scale: expected 0 with spectral_control",
        ),
        ({"pool": "max"}, "pool: expected one of 'token', 'avg', 'power', got 'max'"),
        ({"norm": "maps"}, r"norm: .*nearest: map.*got 'maps'"),
        ({"low_pass": "shrt"}, r"low_pass: .*nearest: short.*got 'shrt'"),
        ({"activation": "gates"}, r"activation: .*nearest: gate.*got 'gates'"),
        (
            {"tokenizer": "alias_free", "tokenizer_options": {"stem_depth": -1}},
            "stem_depth: expected an integer of at least 0, got -1",
        ),
        (
            {"tokenizer": "alias_free", "tokenizer_options": {"stem_width": 0}},
            "stem_width: expected an integer of at least 1, got 0",
        ),
        (
            {"tokenizer": "alias_free", "tokenizer_options": {"scales": 0}},
            "scales: expected an integer of at least 1, got 0",
        ),
        (
            {"tokenizer": "alias_free", "tokenizer_options": {"stem": 1}},
            r"tokenizer_options of tokenizer 'alias_free': .*nearest: stem_.*got 'stem'",
        ),
        (
            {"tokenizer": "patch", "tokenizer_options": {"stem_depth": 1}},
            "tokenizer_options: expected no options: tokenizer 'patch' reads none",
        ),
        (
            {"tokenizer": "dwt", "tokenizer_options": AliasFreeOptions(stem_depth=1)},
            r"tokenizer_options: expected .* options of tokenizer 'dwt', got AliasFreeOptions",
        ),
        (
            {"alignment": "phase_lock", "alignment_options": {"gate": 2}},
            r"gate: expected a margin in \[0, 1\], got 2",
        ),
        (
            {"tokenizer": "my_tokens"},
            r"tokenizer 'my_tokens' is not registered: import the file .*register_tokenizer\('my_",
        ),
        (
            {"pool": "token", "activation": "gate"},
            r"pool: expected 'avg' or 'power' with activation 'gate' .*, got 'token'",
        ),
        ({"patch_size": 6, "tokenizer": "dwt"}, "patch_size: expected a power of two"),
        ({"patch_size": 0}, "patch_size: expected an integer of at least 1, got 0"),
        ({"img_size": 8}, "img_size: expected sides of at least 16 pixels, got 8"),
        ({"img_size": (32, 32, 3)}, r"img_size: expected one integer or \(height, width\)"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate: expected a rate in \[0, 1\), got 1.0"),
        ({"drop_rate": "0.1"}, r"drop_rate: expected a rate in \[0, 1\), got '0.1'"),
        ({"num_classes": -1}, "num_classes: expected an integer of at least 0, got -1"),
        ({"in_chans": 0}, "in_chans: expected an integer of at least 1, got 0"),
        ({"stages": ()}, "stages: expected at least one StageConfig, got none"),
        ({"stages": ("vit",)}, r"stages\[0\]: expected a StageConfig, got str"),
        (
            {"stages": (STAGES[0], STAGES[0])},
            r"stages\[1\].downsample: expected a downsampler, got 'none'",
        ),
        (
            {"position": "relative_bias"},
            "position: .*mixer='pooled' or mixer='window'.*'relative_bias' with global",
        ),
        (
            {"position": "rope", "stages": make_stages(depths=[1], embed_dims=[8], mixer="pooled")},
            "position: .*no stage has mixer='global' or .*'rope' with pooled",
        ),
        ({"tokenizer": "conv_stem", "patch_size": 6}, "patch_size: expected a power of two"),
        ({"tokenizer": "swt", "patch_size": 12}, "patch_size: expected a power of two"),
        (
            {"stages": make_stages(depths=(1, 1), embed_dims=(8, 8)), "pool": "token"},
            "pool: expected 'avg' where there are several stages, got 'token'",
        ),
        (
            {
                "stages": make_stages(depths=[1], embed_dims=[8], mixer="wavelet_conv"),
                "pool": "token",
            },
            "pool: expected 'avg' with mixer 'wavelet_conv'",
        ),
    ],
)
def test_backbone_config_refuses(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BackboneConfig(**({"stages": STAGES} | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 0}, "depth: expected an integer of at least 1, got 0"),
        ({"embed_dim": 0}, "embed_dim: expected an integer of at least 1, got 0"),
        ({"num_heads": 3}, "embed_dim: expected a multiple of 3, got 8"),
        ({"mixer": "windows"}, r"mixer: .*nearest: window.*got 'windows'"),
        ({"downsample": "stride"}, "downsample: expected one of 'none', .*, got 'stride'"),
        ({"mlp": "wide"}, "mlp: expected one of 'conv', 'plain', got 'wide'"),
        (
            {"mixer": "window", "mixer_options": {"window_size": 0}},
            "window_size: expected one integer or .*, each at least 1, got 0",
        ),
        ({"reduction": 0}, "reduction: expected an integer of at least 1, got 0"),
        (
            {"mixer": "wavelet_conv", "mixer_options": {"kernel_size": 4}},
            "kernel_size: expected an odd number, got 4",
        ),
        ({"mlp_ratio": 0.0}, "mlp_ratio: expected a positive number, got 0.0"),
        (
            {"mixer": "wavelet_conv", "mixer_options": {"levels": 0}},
            "levels: expected an integer of at least 1, got 0",
        ),
    ],
)
def test_stage_config_refuses(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StageConfig(**({"depth": 1, "embed_dim": 8} | changes))


def test_mismatched_stage_lengths() -> None:
    with pytest.raises(ValueError, match=r"embed_dims: expected 2 values, .*got 3: \(8, 16, 32\)"):
        make_stages(depths=(1, 1), embed_dims=(8, 16, 32))
    with pytest.raises(ValueError, match="num_heads: expected 1 values"):
        make_stages(depths=[1], embed_dims=[8], num_heads=[1, 2])


@pytest.mark.parametrize("name", wavevit.list_models())
def test_configs_survive_json(name: str) -> None:
    config = wavevit.model_config(name)
    assert BackboneConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    wide = dataclasses.replace(config, img_size=(224, 448))
    assert BackboneConfig.from_dict(json.loads(json.dumps(wide.to_dict()))) == wide


def test_values_are_kept_as_json_has_them() -> None:
    """Sizes of lists and NumPy, spellings of wavelets: equal configurations, equal records."""
    import numpy as np

    expected = BackboneConfig(stages=STAGES, img_size=(64, 32), wavelet="db2")
    for size, wavelet in (
        ([64, 32], "DB2"),
        (np.array([64, 32]), "Db2"),
        (torch.Size((64, 32)), filter_bank("db2")),
    ):
        assert BackboneConfig(stages=STAGES, img_size=size, wavelet=wavelet) == expected
    assert BackboneConfig(stages=list(STAGES), img_size=np.int64(64), wavelet="Haar") == (
        BackboneConfig(stages=STAGES, img_size=64)
    )
    window = StageConfig(
        depth=1, embed_dim=8, mixer="window", mixer_options={"window_size": [4, 8]}
    )
    config = BackboneConfig(stages=(window,), position="none")
    assert BackboneConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_configurations_of_earlier_versions_are_read() -> None:
    data = json.loads(json.dumps(wavevit.model_config("test_swin").to_dict()))
    del data["drop_rate"], data["stages"][0]["mixer_options"]
    read = BackboneConfig.from_dict(data)
    windows = [stage.options("mixer").window_size for stage in read.stages]
    assert (read.drop_rate, windows) == (0.0, [7, 4, 4])
    data["stages"][0]["mixers"] = 7
    with pytest.raises(ValueError, match=r"field: .*nearest: mixer.*got 'mixers'"):
        BackboneConfig.from_dict(data)


def test_another_part_of_a_named_model_has_its_own_defaults() -> None:
    name = "test_alias_free_pyramid"
    assert wavevit.model_config(name).tokenizer_options is not None
    assert wavevit.create_model(name, tokenizer="patch").config.tokenizer_options is None
    same = wavevit.create_model(name, tokenizer="alias_free").config
    assert same == wavevit.model_config(name)
    with pytest.raises(ValueError, match="tokenizer_options: expected no options"):
        wavevit.create_model(name, tokenizer="patch", tokenizer_options={"stem_width": 4})


def test_layer_scale_can_be_a_whole_number() -> None:
    config = BackboneConfig(stages=STAGES, layer_scale=1)
    for name in ("gain1", "gain2"):
        gain = Backbone(config).get_parameter(f"stages.0.blocks.0.{name}.weight")
        torch.testing.assert_close(gain, torch.ones(8), check_dtype=True)


def test_replace_keeps_the_options_of_the_old_part_and_the_error_says_so() -> None:
    config = wavevit.model_config("test_alias_free_pyramid")
    expected = (
        r"tokenizer_options: expected None or NoOptions, the options of tokenizer 'dwt', got "
        r"AliasFreeOptions\(.*\), the options of tokenizer 'alias_free'\. dataclasses\.replace "
        r"keeps them: with another tokenizer, also give tokenizer_options=None"
    )
    with pytest.raises(ValueError, match=expected):
        dataclasses.replace(config, tokenizer="dwt")
    haar = dataclasses.replace(config, tokenizer="dwt", tokenizer_options=None)
    assert haar.options("tokenizer") == NoOptions()
    stage = StageConfig(depth=1, embed_dim=8, mixer="window", mixer_options={"window_size": 4})
    with pytest.raises(ValueError, match=r"mixer_options: .*WindowOptions.*of mixer 'window'\."):
        dataclasses.replace(stage, mixer="global")


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"name: .*nearest: vit_tiny_patch16.*'vit_tiny_patch6'"):
        wavevit.create_model("vit_tiny_patch6")
    with pytest.raises(ValueError, match=r"argument: .*nearest: num_classes.*got 'n_classes'"):
        wavevit.create_model("test_vit", n_classes=3)
    with pytest.raises(ValueError, match=r"field: .*nearest: stages"):
        BackboneConfig.from_dict({"stage": []})
    with pytest.raises(ValueError, match="out_indices: expected None without features_only=True"):
        wavevit.create_model("test_vit", out_indices=(0,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pretrained": True}, "pretrained: expected no such argument: .* load_timm_weights"),
        ({"checkpoint_path": "a.pth"}, "checkpoint_path: expected no such .*load_state_dict"),
        ({"dtype": "float16"}, "dtype: expected a floating torch.dtype, .* got 'float16'"),
        ({"dtype": torch.int8}, "dtype: expected a floating torch.dtype, .* got torch.int8"),
        ({"device": "tpuu"}, "device: expected a device of torch, such as 'cpu', got 'tpuu'"),
        ({"features_only": True, "out_indices": "01"}, "indices: expected an integer, or a list"),
        ({"features_only": True, "out_indices": (0.0,)}, "indices: expected an integer, or a"),
    ],
)
def test_arguments_of_another_type_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wavevit.create_model("test_vit", **arguments)


def test_backbone_of_a_name_points_to_create_model() -> None:
    with pytest.raises(ValueError, match=r"config: .*wavevit.create_model.*got str 'test_vit'"):
        Backbone("test_vit")


def test_backbones_refuse_bad_images() -> None:
    model = Backbone(BackboneConfig(stages=STAGES, num_classes=2, img_size=32))
    with pytest.raises(ValueError, match="x: expected 3 channels, got 1"):
        model(torch.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match="x: expected 4 dimensions"):
        model(torch.zeros(3, 32, 32))
    with pytest.raises(ValueError, match="x: expected a floating dtype"):
        model(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    with pytest.raises(ValueError, match="x: expected sides of at least 16 pixels, got shape"):
        model(torch.zeros(1, 3, 15, 32))
    with pytest.raises(ValueError, match="x: expected sides of at least 16 pixels"):
        wavevit.create_model("test_haar_pyramid")(torch.zeros(1, 3, 8, 64))  # injects at stride 16


def test_bad_alignment_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="period: expected an integer of at least 1, got 0"):
        PhaseLock(0)
    with pytest.raises(ValueError, match="boundary: expected one of 'circular', 'window'"):
        PhaseLock(8, "reflect")
    with pytest.raises(ValueError, match=r"shift: expected 'integer' with boundary='mirror'"):
        PhaseLock(8, "mirror", "fractional")
    with pytest.raises(ValueError, match="boundary"):
        phase_of(torch.zeros(1, 1, 8, 8), 8, "hann")
    with pytest.raises(ValueError, match=r"method: expected one of 'blur', .*, got 'none'"):
        align(torch.nn.Identity(), "none")


def test_layer_without_build_is_refused_at_registration() -> None:
    class NoBuild(Part):
        symmetry = Symmetry(1)

    with pytest.raises(ValueError, match=r"mixer 'no_build': .*a classmethod build, got .*NoBuild"):
        register_mixer("no_build")(NoBuild)
    assert "no_build" not in MIXERS


def test_a_default_of_timm_that_is_written_out_changes_nothing() -> None:
    torch.manual_seed(0)
    plain = wavevit.create_model("test_vit", img_size=32)
    torch.manual_seed(0)
    written = wavevit.create_model("test_vit", img_size=32, pretrained=False, checkpoint_path="")
    x = torch.ones(1, 3, 32, 32)
    assert torch.equal(plain(x), written(x))
