"""timm's verbs, for one member of every family and for shapes of every registered name."""

from __future__ import annotations

import re

import pytest
import torch

import wavevit
from wavevit import Backbone

FAMILIES = (
    "test_vit",
    "test_haar_vit",
    "test_haar_pyramid",
    "test_alias_free_pyramid",
    "test_swin",
    "test_pvt_v2",
)
SIZES = [(32, 32), (33, 47), (64, 32), (96, 80)]


def build(name: str, **changes: object) -> Backbone:
    torch.manual_seed(0)
    return wavevit.create_model(name, **({"img_size": 64, "num_classes": 7} | changes)).eval()


def image(size: tuple[int, int] = (64, 64), batch: int = 2, channels: int = 3) -> torch.Tensor:
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_size_and_channels(name: str, size: tuple[int, int], channels: int) -> None:
    model = build(name, in_chans=channels)
    x = image(size, channels=channels)
    assert model(x).shape == (2, 7)
    features = model.forward_features(x)
    head = model.forward_head(features, pre_logits=True)
    assert head.shape == (2, model.head_hidden_size)
    torch.testing.assert_close(model.forward_head(features), model(x))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("alignment", ["none", "phase_lock"])
def test_every_parameter_gets_a_gradient(name: str, alignment: str) -> None:
    model = build(name, alignment=alignment, drop_path_rate=0.1).train()
    torch.manual_seed(0)
    # Squared logits: their sum alone is blind to a bias before the last LayerNorm's mean.
    model(image((33, 47), batch=8)).square().sum().backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not missing


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", SIZES)
def test_intermediates(name: str, size: tuple[int, int]) -> None:
    model = build(name)
    x = image(size)
    final, maps = model.forward_intermediates(x)
    torch.testing.assert_close(final, model.forward_features(x))
    assert len(maps) == len(model.feature_info)
    for entry, feature in zip(model.feature_info, maps, strict=True):
        stride = entry["reduction"]
        assert feature.shape[1] == entry["num_chs"]
        assert feature.shape[2:] == (-(-size[0] // stride), -(-size[1] // stride))
        assert model.get_submodule(entry["module"]) is not None
    sequence = final if final.ndim == 3 else final.flatten(2).transpose(1, 2)
    last = maps[-1].flatten(2).transpose(1, 2)
    torch.testing.assert_close(last, sequence[:, sequence.shape[1] - last.shape[1] :])
    flat = model.forward_intermediates(x, output_fmt="NLC", intermediates_only=True)
    torch.testing.assert_close(flat[0], maps[0].flatten(2).transpose(1, 2))
    (only,) = model.forward_intermediates(x, indices=1, intermediates_only=True)
    torch.testing.assert_close(only, maps[-1])


@pytest.mark.parametrize("name", FAMILIES)
def test_features_only(name: str) -> None:
    features = build(name, features_only=True, out_indices=(0, -1))
    maps = features(image())
    assert [m.shape[1] for m in maps] == features.feature_info.channels()
    assert [64 // m.shape[2] for m in maps] == features.feature_info.reduction()
    assert len(features.feature_info.module_name()) == 2
    with pytest.raises(ValueError, match="indices: expected numbers from"):
        build(name, features_only=True, out_indices=(9,))


def test_normed_intermediates_of_a_columnar_model() -> None:
    model = build("test_vit")
    plain = model.forward_intermediates(image(), intermediates_only=True)
    normed = model.forward_intermediates(image(), norm=True, intermediates_only=True)
    torch.testing.assert_close(plain[-1], normed[-1])
    expected = model.norm(plain[0].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(normed[0], expected)


@pytest.mark.parametrize("name", FAMILIES)
def test_classifier_can_be_replaced(name: str) -> None:
    model = build(name)
    model.reset_classifier(0)
    assert model(image()).shape == (2, model.head_hidden_size)
    assert isinstance(model.get_classifier(), torch.nn.Identity)
    model.double().reset_classifier(4)
    assert model(image().double()).shape == (2, 4)


@pytest.mark.parametrize("name", FAMILIES)
def test_gradient_checkpointing_changes_nothing(name: str) -> None:
    grads = []
    for enable in (False, True):
        model = build(name).train()
        model.set_grad_checkpointing(enable)
        model(image()).square().sum().backward()
        grads.append([p.grad.clone() for p in model.parameters()])
    for one, two in zip(*grads, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("name", FAMILIES)
def test_group_matcher_and_weight_decay(name: str) -> None:
    model = build(name)
    for coarse in (False, True):
        matcher = model.group_matcher(coarse)
        patterns = [matcher["stem"], *(pattern for pattern, _ in matcher["blocks"])]
        for parameter, _ in model.named_parameters():
            hits = [p for p in patterns if re.match(p, parameter)]
            assert len(hits) == (0 if parameter.startswith("head") else 1), parameter
    assert model.no_weight_decay() <= {n for n, _ in model.named_parameters()}


@pytest.mark.parametrize("name", FAMILIES)
def test_state_dict_is_learned_tensors_only(name: str) -> None:
    model = build(name, alignment="phase_lock")
    assert set(model.state_dict()) == {n for n, _ in model.named_parameters()}


@pytest.mark.parametrize("name", FAMILIES)
def test_dtypes_layouts_and_meta(name: str) -> None:
    model, x = build(name), image()
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(model(last), model(x), rtol=1e-4, atol=1e-5)
    half = build(name).bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert torch.isfinite(half).all()
    with torch.device("meta"):
        assert build(name)(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("alignment", ["none", "phase_lock"])
def test_compiles_without_a_graph_break(name: str, alignment: str) -> None:
    torch.compiler.reset()  # every family is compiled in this process: no limit on recompilations
    model, x = build(name, alignment=alignment), image()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", wavevit.list_models())
def test_registered_names(name: str) -> None:
    with torch.device("meta"):
        model = wavevit.create_model(name)
        assert model(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)
    parameters = sum(p.numel() for p in model.parameters())
    assert (parameters < 300_000) == name.startswith("test_")


def test_learned_positions_are_resampled() -> None:
    model = build("test_vit", img_size=64)
    other = build("test_vit", img_size=96)
    assert model.position.embedding.shape[1] == 17
    assert other.position.embedding.shape[1] == 37
    same = model.position(torch.zeros(1, 17, 64), (4, 4))
    torch.testing.assert_close(same, model.position.embedding)
    constant = torch.nn.Parameter(torch.ones_like(model.position.embedding))
    model.position.embedding = constant
    torch.testing.assert_close(
        model.position(torch.zeros(1, 36, 64), (5, 7)), torch.ones(1, 36, 64)
    )


def test_drop_path_drops_whole_samples_in_training_only() -> None:
    from wavevit.layers.blocks import DropPath

    drop, x = DropPath(0.25), torch.ones(4000, 2, 3)
    torch.manual_seed(0)
    kept = drop(x)
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert bool((kept.amin(dim=(1, 2)) == kept.amax(dim=(1, 2))).all())
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.05)
    assert torch.equal(drop.eval()(x), x)
