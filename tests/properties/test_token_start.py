"""Equal starts: every tokenizer begins with tokens as large as the image's pixels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from wavevit.data import Scenes
from wavevit.data.photographs import NAMES, load_photograph
from wavevit.layers import TOKENIZERS as REGISTRY
from wavevit.layers.tokenizers.start import reference_crops, start_at_pixel_size
from wavevit.models import Backbone, BackboneConfig, make_stages

TOKENIZERS = REGISTRY.names()


def rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


def tokenizer_of(config: BackboneConfig, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return Backbone(config).tokenizer


def config_of(tokenizer: str, **fields: Any) -> BackboneConfig:
    patch_size = 4 if tokenizer == "deep_stem" else 8
    return BackboneConfig(
        stages=make_stages(depths=(1,), embed_dims=(64,)),
        tokenizer=tokenizer,
        **{"img_size": 64, "in_chans": 1, "patch_size": patch_size} | fields,
    )


@pytest.fixture(scope="module")
def crops() -> Tensor:
    """Right halves; the reference has left halves."""
    return Scenes("test", 64).sample(96, torch.Generator().manual_seed(0)).images


@pytest.fixture(scope="module")
def colour() -> Tensor:
    """Photographs in colour, with the usual mean and deviation of ImageNet."""
    images = [load_photograph(name, 256, color=True)[:, :144, -144:] for name in NAMES]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (torch.stack(images) - mean[:, None, None]) / std[:, None, None]


def relative_size(config: BackboneConfig, images: Tensor) -> float:
    """Tokens over pixels, the mean of three draws of the weights."""
    with torch.no_grad():
        sizes = [rms(tokenizer_of(config, seed)(images)) for seed in range(3)]
    return sum(sizes) / len(sizes) / rms(images)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_tokens_of_photographs_are_as_large_as_pixels(tokenizer: str, crops: Tensor) -> None:
    assert 0.9 < relative_size(config_of(tokenizer), crops) < 1.1


@pytest.mark.parametrize("patch_size", [4, 16, 32])
@pytest.mark.parametrize("tokenizer", [name for name in TOKENIZERS if name != "deep_stem"])
def test_tokens_are_as_large_as_pixels_with_other_patches(
    tokenizer: str, patch_size: int, crops: Tensor
) -> None:
    assert 0.9 < relative_size(config_of(tokenizer, patch_size=patch_size), crops) < 1.1


@pytest.mark.parametrize(
    "fields",
    [
        {"tokenizer": "dwt", "subband_norm": False, "subband_act": False},
        {"tokenizer": "dwt", "subband_norm": False},
        {"tokenizer": "dwt", "wavelet": "db2"},
        {"tokenizer": "dtcwt", "subband_norm": False},
        {"tokenizer": "swt", "padding": "circular"},
        {"tokenizer": "alias_free", "low_pass": "short"},
        {"tokenizer": "alias_free", "tokenizer_options": {"stem_depth": 0}, "subband_act": False},
    ],
    ids=str,
)
def test_options_keep_the_size(fields: dict[str, Any], crops: Tensor) -> None:
    assert 0.9 < relative_size(config_of(**fields), crops) < 1.1


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_one_mean_and_deviation_for_all_images_changes_the_size(
    tokenizer: str, colour: Tensor
) -> None:
    """What `start_at_pixel_size` does not guarantee, and by how much it is missed."""
    patch_size = 4 if tokenizer == "deep_stem" else 16
    config = config_of(tokenizer, in_chans=3, patch_size=patch_size, img_size=144)
    assert 0.6 < relative_size(config, colour) < 1.5


def test_drawn_weights_alone_have_other_sizes(crops: Tensor) -> None:
    """Negative control: without the factor, the tokens of a stem are eight times smaller."""
    tokenizer = tokenizer_of(config_of("conv_stem"))
    torch.nn.init.trunc_normal_(tokenizer.proj.weight, std=0.02)
    with torch.no_grad():
        assert rms(tokenizer(crops)) / rms(crops) < 0.3


def test_the_factor_draws_no_random_numbers() -> None:
    """So weights that are drawn later do not depend on it, and a second call changes nothing."""
    tokenizer = tokenizer_of(config_of("dtcwt"))
    started, state = tokenizer.proj.weight.clone(), torch.get_rng_state()
    start_at_pixel_size(tokenizer, tokenizer.proj, in_chans=1)
    assert torch.equal(state, torch.get_rng_state())
    torch.testing.assert_close(tokenizer.proj.weight, started, rtol=0.02, atol=0)


def test_precision_and_device_context_do_not_change_the_start() -> None:
    config = config_of("scattering")
    first = tokenizer_of(config).proj.weight
    torch.manual_seed(0)
    with torch.device("cpu"):
        again = Backbone(config, dtype=torch.float64).tokenizer.proj.weight
    assert torch.equal(first.double(), again)
    assert Backbone(config, device="meta").tokenizer.proj.weight.is_meta


def test_reference_is_cut_from_left_halves_of_photographs() -> None:
    places = {
        "astronaut": [(65, 39), (162, 7)],
        "brick": [(69, 54), (135, 55)],
        "camera": [(89, 35), (187, 37)],
        "cat": [(24, 19), (149, 31)],
        "coffee": [(78, 94), (11, 21)],
        "grass": [(64, 22), (62, 64)],
        "gravel": [(46, 20), (50, 43)],
        "hubble": [(172, 14), (171, 73)],
        "immunohistochemistry": [(40, 6), (93, 19)],
        "retina": [(158, 14), (100, 19)],
        "rocket": [(46, 3), (134, 98)],
    }
    cut = []
    for name, corners in places.items():
        photograph = load_photograph(name)
        for row, column in corners:
            assert column + 64 <= photograph.shape[1] // 2
            cut.append(photograph[row : row + 64, column : column + 64])
    crops = torch.stack(cut)[:, None]
    mean, std = crops.mean((-2, -1), keepdim=True), crops.std((-2, -1), keepdim=True, correction=0)
    # Stored in eight bits: half a level, divided by the smallest contrast.
    torch.testing.assert_close(
        reference_crops(), (crops - mean) / (std + 0.02), rtol=0, atol=0.6 / 255 / 0.02
    )
