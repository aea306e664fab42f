"""Weights for images of one size or number of channels in a model for others."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import wavevit
from wavevit.interop.hub import from_pretrained, save_pretrained
from wavevit.interop.timm import load_timm_weights, register
from wavevit.layers import TOKENIZERS
from wavevit.layers.channels import Source, fit_channels
from wavevit.layers.mixers import WindowAttention
from wavevit.layers.tokenizers.patch import resize_patch
from wavevit.testing import assert_close_relative

NAMES = register()
SMALL = wavevit.list_models("test_*")
WIDE = (64, 128)


def build(name: str, seed: int = 0, **changes: object) -> nn.Module:
    """A model whose parameters are all random: as built, tables and gains hide what is moved."""
    torch.manual_seed(seed)
    model = wavevit.create_model(name, **({"img_size": 64, "num_classes": 5} | changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def images(size: tuple[int, int] = WIDE, channels: int = 3) -> Tensor:
    return torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SMALL)
def test_another_size_gives_what_the_saved_model_gives_there(name: str) -> None:
    """What is resampled once, on loading, is what the saved model resamples at each pass."""
    saved, wide = build(name), build(name, seed=1, img_size=WIDE)
    state = saved.state_dict()
    if any(wide.state_dict()[key].shape != tensor.shape for key, tensor in state.items()):
        with pytest.raises(RuntimeError, match=r"wavevit\.adapt_state_dict\(state_dict, model\)"):
            wide.load_state_dict(state)
    wide.load_state_dict(wavevit.adapt_state_dict(state, wide))
    assert torch.equal(wide(images()), saved(images()))
    assert all(torch.equal(tensor, state[key]) for key, tensor in saved.state_dict().items())


def hub(saved: nn.Module, folder: Path, name: str, **changes: object) -> nn.Module:
    return from_pretrained(save_pretrained(saved, folder), **changes)


def timms(saved: nn.Module, folder: Path, name: str, **changes: object) -> nn.Module:
    save_file(saved.state_dict(), folder / "model.safetensors")
    overlay = {
        "file": str(folder / "model.safetensors"),
        "input_size": (saved.in_chans, *saved.config.image_size),
        "num_classes": 5,
    }
    arguments = {"num_classes": 5, "img_size": saved.config.image_size} | changes
    return timm.create_model(
        NAMES[name], pretrained=True, pretrained_cfg_overlay=overlay, **arguments
    ).eval()


LOADERS = pytest.mark.parametrize("load", [hub, timms])


@LOADERS
@pytest.mark.parametrize("size", [64, (32, 128)])
@pytest.mark.parametrize("name", ["test_vit", "test_mvitv2", "test_swin"])
def test_pretrained_weights_are_resampled(
    name: str, size: object, load: Callable[..., nn.Module], tmp_path: Path
) -> None:
    """From a square, and from a grid of 2 x 8 whose 16 places could be 4 x 4."""
    saved = build(name, img_size=size)
    wide = load(saved, tmp_path, name, img_size=WIDE)
    assert wide.config.image_size == WIDE
    assert torch.equal(wide(images()), saved(images()))


# Every family through timm; through the hub one of each kind of tokenizer.
GREY = [(name, timms) for name in SMALL]
GREY += [(name, hub) for name in ("test_alias_free_pyramid", "test_dtcwt_vit", "test_haar_pyramid")]


@pytest.mark.parametrize(("name", "load"), GREY)
def test_a_grey_model_from_colour_weights(
    name: str, load: Callable[..., nn.Module], tmp_path: Path
) -> None:
    """As built, channels share their gains: a grey image gives what three equal channels give."""
    torch.manual_seed(0)
    saved = wavevit.create_model(name, img_size=64, num_classes=5).eval()
    grey = load(saved, tmp_path, name, in_chans=1)
    x = images((64, 64), 1)
    # A bounded map reads the pyramid's details: the sum of three cannot be as long as they are.
    bound = 0.1 if name == "test_lipschitz_pyramid" else 1e-4
    assert_close_relative(grey(x), saved(x.expand(-1, 3, -1, -1)), bound=bound)
    if load is timms:  # the model card that the hub writes takes as long as the rest
        four = load(saved, tmp_path, name, in_chans=4)
        assert four(images((64, 64), 4)).shape == (2, 5)


PARTS = {
    **{name: {"tokenizer": name} for name in TOKENIZERS.names()},
    "dwt, linear": {"tokenizer": "dwt", "subband_act": False},
    "dwt, no gains": {"tokenizer": "dwt", "subband_norm": False},
    "alias_free, no stem": {"tokenizer": "alias_free", "tokenizer_options": {"stem_depth": 0}},
    "alias_free, no gains": {
        "tokenizer": "alias_free",
        "tokenizer_options": {"stem_depth": 0},
        "subband_norm": False,
    },
}


@pytest.mark.parametrize("parts", PARTS)
def test_channels_of_every_tokenizer(parts: str) -> None:
    """Exact at random gains where they are linear; a GELU behind gains takes their mean."""
    plain = build("test_pvt_v2", **PARTS[parts]).tokenizer
    if parts == "dwt":
        nn.init.constant_(plain.norm.weight, 0.7)
        nn.init.constant_(plain.norm.bias, 0.1)
    colour = plain.state_dict()
    for channels in (1, 2, 5):
        other = build("test_pvt_v2", in_chans=channels, **PARTS[parts]).tokenizer
        changed = other.adapt_state(colour, Source())
        other.load_state_dict(colour | changed)
        assert {"proj.bias"} >= {n for n in changed if colour[n].shape == changed[n].shape}
        x = images((64, 64), channels)
        if channels == 1:
            expected = plain(x.expand(-1, 3, -1, -1))
            assert_close_relative(other(x), expected, depth=10)
        back = plain.adapt_state(other.state_dict(), Source())
        assert {n: t.shape for n, t in back.items()} == {n: colour[n].shape for n in back}


@pytest.mark.parametrize("channels", [2, 4])
def test_channels_as_timm_adapts_a_convolution(channels: int) -> None:
    from timm.models import adapt_input_conv

    for source in (1, 3):
        kernel = torch.randn(5, source, 3, 3)
        expected = adapt_input_conv(channels, kernel, base_chans=source)
        torch.testing.assert_close(fit_channels(kernel, channels), expected)


def test_another_patch_as_timm_resizes_it() -> None:
    from timm.layers.patch_embed import resample_patch_embed

    kernel = torch.randn(4, 3, 8, 8)
    for side in (4, 16):
        expected = resample_patch_embed(kernel, [side, side])
        assert_close_relative(resize_patch(kernel, side), expected, depth=10)
    state = build("test_vit", patch_size=8).state_dict()
    model = build("test_vit", patch_size=16)
    model.load_state_dict(wavevit.adapt_state_dict(state, model, 64))
    assert model.position.embedding.shape[1] == 17


def test_windows_of_another_side() -> None:
    small, large = WindowAttention(8, 2, 4), WindowAttention(8, 2, (8, 4))
    (table,) = large.adapt_state(small.state_dict(), Source()).values()
    assert table.shape == large.bias_table.shape
    plane = torch.arange(7.0)[:, None].expand(7, 7).reshape(49, 1).expand(-1, 2).contiguous()
    (table,) = large.adapt_state({"bias_table": plane}, Source()).values()
    steps = table.unflatten(0, (15, 7))[4:-4, 0, 0].diff()
    torch.testing.assert_close(steps, torch.full_like(steps, 7 / 15), atol=2e-2, rtol=0)
    assert small.adapt_state({"bias_table": torch.zeros(15, 2)}, Source()) == {}


def test_unknown_grid_of_a_checkpoint_needs_img_size() -> None:
    saved, model = build("test_vit", img_size=(32, 96)), build("test_vit", img_size=64)
    tensors = dict(saved.state_dict())  # as a file of safetensors: without torch's notes
    with pytest.raises(ValueError, match=r"img_size: expected the training size .* 12 positions"):
        wavevit.adapt_state_dict(tensors, model)
    with pytest.raises(RuntimeError, match=r"adapt_state_dict\(state_dict, model, img_size=…\)"):
        model.load_state_dict(tensors)
    with pytest.raises(ValueError, match="one whose grid is 2 x 4"):
        wavevit.adapt_state_dict(saved.state_dict(), model, (32, 64))
    model.load_state_dict(wavevit.adapt_state_dict(saved.state_dict(), model, (32, 96)))
    assert torch.equal(model(images((64, 64))), saved(images((64, 64))))


def through_torch_save(state: object) -> Mapping[str, Tensor]:
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


@pytest.mark.parametrize("size", [64, (32, 128), (32, 96)])
@pytest.mark.parametrize("own", [64, (32, 128)])
@pytest.mark.parametrize("saving", [lambda state: state, through_torch_save])
def test_a_state_dict_says_its_grid(
    size: object, own: tuple[int, int], saving: Callable[[object], Mapping[str, Tensor]]
) -> None:
    """No img_size is asked for, though 16 positions fit two grids and 12 are no square."""
    saved, model = build("test_vit", img_size=size), build("test_vit", seed=1, img_size=own)
    state = saving(nn.Sequential(saved).state_dict())
    whole = nn.Sequential(model)
    if size == own:
        whole.load_state_dict(state)
    else:  # the same shapes too are refused
        with pytest.raises(RuntimeError, match=r"wavevit\.adapt_state_dict\(state_dict, model\)"):
            whole.load_state_dict(state)
    whole.load_state_dict(wavevit.adapt_state_dict(state, whole))
    x = images(model.config.image_size)
    assert torch.equal(model(x), saved(x))


def test_positions_that_the_user_has_resized_load() -> None:
    """They are no longer on the grid that the state dict says; their number shows it."""
    saved, model = build("test_vit", img_size=64), build("test_vit", seed=1, img_size=128)
    state = saved.state_dict()
    saved.set_input_size(128)
    state["position.embedding"] = saved.position.embedding.detach()
    x = images((128, 128))
    for loaded in (state, wavevit.adapt_state_dict(state, model)):
        fresh = build("test_vit", seed=1, img_size=128)
        fresh.load_state_dict(loaded)
        assert torch.equal(fresh(x), saved(x))


def test_a_state_dict_says_its_size_after_set_input_size() -> None:
    saved, model = build("test_vit"), build("test_vit", seed=1)
    saved.set_input_size((32, 128))
    model.load_state_dict(wavevit.adapt_state_dict(saved.state_dict(), model))
    x = images((64, 64))
    assert torch.equal(model(x), saved(x))


def test_as_many_positions_on_another_grid_need_img_size() -> None:
    """Sixteen positions are 4 x 4 or 2 x 8: their tensors have one shape."""
    saved, wide = build("test_vit", img_size=64), build("test_vit", seed=1, img_size=(32, 128))
    assert saved.position.embedding.shape == wide.position.embedding.shape
    tensors = dict(saved.state_dict())  # as a file of safetensors: without torch's notes
    with pytest.raises(ValueError, match=r"expected .* 2 x 8, as the model's, or of 4 x 4"):
        wavevit.adapt_state_dict(tensors, wide)
    own = wavevit.adapt_state_dict(dict(wide.state_dict()), wide, wide.config.img_size)
    assert torch.equal(own["position.embedding"], wide.position.embedding)
    wide.load_state_dict(wavevit.adapt_state_dict(tensors, wide, 64))
    assert torch.equal(wide(images((32, 128))), saved(images((32, 128))))


def test_channels_or_patches_are_told_apart() -> None:
    """Packets of a patch twice as large have as many subbands as four times the channels."""
    saved, model = build("test_haar_vit"), build("test_haar_vit", patch_size=8)
    tensors = dict(saved.state_dict())  # as a file of safetensors: without torch's notes
    with pytest.raises(ValueError, match=r"in_chans: expected .* \(12, or 3 with patches twice"):
        wavevit.adapt_state_dict(tensors, model)
    with pytest.raises(RuntimeError, match=r"adapt_state_dict\(state_dict, model, in_chans=…\)"):
        model.load_state_dict(tensors)
    kept = wavevit.adapt_state_dict(tensors, model, in_chans=3)
    noted = wavevit.adapt_state_dict(saved.state_dict(), model)
    assert noted.keys() == kept.keys()
    assert all(torch.equal(noted[key], tensor) for key, tensor in kept.items())
    assert kept["tokenizer.proj.weight"].shape[1] == 768
    twelve = build("test_haar_vit", patch_size=8, in_chans=12)
    model.load_state_dict(wavevit.adapt_state_dict(dict(twelve.state_dict()), model, in_chans=12))
    model.load_state_dict(wavevit.adapt_state_dict(twelve.state_dict(), model))


def test_align_works_on_a_backbone() -> None:
    """Wrappers hold its tensors behind a prefix."""
    saved, wide = build("test_mvitv2"), build("test_mvitv2", seed=1, img_size=WIDE)
    whole, other = (wavevit.align(model, period=4) for model in (saved, wide))
    with pytest.raises(RuntimeError, match="adapt_state_dict"):
        other.load_state_dict(whole.state_dict())
    other.load_state_dict(wavevit.adapt_state_dict(whole.state_dict(), other, 64))
    assert torch.equal(other(images()), whole(images()))


def test_timms_weights_at_another_size_and_for_grey_images() -> None:
    theirs = timm.create_model("test_vit", num_classes=5).eval()
    with torch.no_grad():
        theirs.pos_embed.normal_()
    config = theirs.blocks[0]
    ours = wavevit.create_model("test_vit", num_classes=5)
    stages = wavevit.make_stages(
        depths=[len(theirs.blocks)],
        embed_dims=[theirs.embed_dim],
        num_heads=config.attn.num_heads,
        mlp_ratio=config.mlp.fc1.out_features / theirs.embed_dim,
    )
    changes = {"stages": stages, "num_classes": 5, "img_size": (64, 160)}
    ours = wavevit.create_model("test_vit", **changes).eval()
    load_timm_weights(ours, theirs)
    theirs.set_input_size(img_size=(64, 160))
    assert_close_relative(ours(images((64, 160))), theirs(images((64, 160))), bound=1e-4)
    grey = wavevit.create_model("test_vit", in_chans=1, **changes).eval()
    load_timm_weights(grey, theirs)
    x = images((64, 160), 1)
    assert_close_relative(grey(x), theirs(x.expand(-1, 3, -1, -1)), bound=1e-4)


def test_changes_that_saved_weights_do_not_fit(tmp_path: Path) -> None:
    save_pretrained(build("test_haar_vit"), tmp_path)
    model = from_pretrained(tmp_path, drop_rate=0.2, alignment="group_average")
    assert (model.head_drop.p, model.config.alignment) == (0.2, "group_average")
    with pytest.raises(ValueError, match="patch_size: expected values that the saved weights"):
        from_pretrained(tmp_path, patch_size=8)
    with pytest.raises(ValueError, match="nearest: drop_rate"):
        from_pretrained(tmp_path, dropout=0.2)


@pytest.mark.parametrize("name", ["test_vit", "test_mvitv2", "test_haar_pyramid"])
def test_timms_folders(name: str, tmp_path: Path) -> None:
    """What timm saves it reads again, at another size and for other channels too."""
    arguments = {"img_size": (32, 128), "in_chans": 1, "num_classes": 5, "drop_rate": 0.1}
    torch.manual_seed(0)
    saved = timm.create_model(NAMES[name], **arguments).eval()
    with torch.no_grad():
        for parameter in saved.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    timm.models.save_for_hf(saved, tmp_path)
    source, x = f"local-dir:{tmp_path}", images((64, 64), 1)
    read = timm.create_model(source, pretrained=True).eval()
    assert read.config.image_size == (32, 128)
    assert torch.equal(read(x), saved(x))
    square = timm.create_model(source, pretrained=True, img_size=64).eval()
    assert torch.equal(square(x), saved(x))
    colour = timm.create_model(source, pretrained=True, in_chans=3).eval()
    assert_close_relative(colour(x.expand(-1, 3, -1, -1)), saved(x), depth=10)
