"""What PyTorch's ecosystem does to a model between building and serving it, for every family."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_model, save_model
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import wavevit
from wavevit.testing import assert_close_relative, tolerance

SMALL = wavevit.list_models("test_*")


def build(name: str, seed: int = 0, **changes: object) -> nn.Module:
    torch.manual_seed(seed)
    return wavevit.create_model(name, **({"img_size": 32, "num_classes": 5} | changes)).eval()


def images() -> torch.Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SMALL)
def test_averages_of_weights(name: str) -> None:
    """With rate ½ the average of two models is their mean, buffers or not; timm's too."""
    from timm.utils import ModelEmaV3

    one, two = build(name), build(name, seed=1)
    mean = copy.deepcopy(one)
    with torch.no_grad():
        for parameter, other in zip(mean.parameters(), two.parameters(), strict=True):
            parameter.copy_((parameter + other) / 2)
    expected = mean(images())
    for use_buffers in (False, True):
        average = AveragedModel(
            one, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=use_buffers
        )
        average.update_parameters(one)
        average.update_parameters(two)
        assert_close_relative(average.eval()(images()), expected)
    timms = ModelEmaV3(one, decay=0.5)
    timms.update(two)
    assert_close_relative(timms(images()), expected)


@pytest.mark.parametrize("name", SMALL)
def test_copies_pickles_and_files(name: str, tmp_path: Path) -> None:
    model, x = build(name), images()
    expected = model(x)
    assert len({id(p) for p in model.parameters()}) == len(list(model.named_parameters()))
    assert not list(model.named_buffers())
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), expected)

    save_model(model, str(tmp_path / "model.safetensors"))
    other = build(name, seed=1)
    load_model(other, str(tmp_path / "model.safetensors"))
    assert torch.equal(other(x), expected)

    torch.save(model.state_dict(), tmp_path / "model.pt")
    mapped = torch.load(tmp_path / "model.pt", mmap=True, weights_only=True)
    assigned = build(name, device="meta")
    assigned.load_state_dict(mapped, assign=True)
    assert torch.equal(assigned(x), expected)

    features = build(name, features_only=True)
    maps = features(x)
    buffer = io.BytesIO()
    torch.save(features, buffer)
    buffer.seek(0)
    for twin in (copy.deepcopy(features), torch.load(buffer, weights_only=False)):
        for found, wanted in zip(twin(x), maps, strict=True):
            assert torch.equal(found, wanted)


@pytest.mark.parametrize("name", SMALL)
def test_casts_to_other_dtypes_and_back_change_nothing(name: str) -> None:
    """Nothing but the weights is rounded on the way to half precision and back."""
    model, x = build(name), images()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.bfloat16())
    expected = model(x)
    assert torch.equal(model.bfloat16().float()(x), expected)
    assert torch.equal(model.double().float()(x), expected)
    built = build(name, dtype=torch.bfloat16)
    assert {p.dtype for p in built.parameters()} == {torch.bfloat16}
    assert built(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("name", SMALL)
def test_dynamic_quantisation_of_linear_maps(name: str) -> None:
    model, x = build(name), images()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces its successor
        small = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    with torch.no_grad():
        assert_close_relative(small(x), model(x), bound=0.1)
        # Only linear maps are rounded: what reads the image is computed as before.
        if not any(map(_is_linear, model.tokenizer.modules())):
            assert torch.equal(small.tokenizer(x), model.tokenizer(x))


@pytest.mark.parametrize("name", SMALL)
def test_low_rank_adapters(name: str) -> None:
    """peft finds the projections by name, trains its own weights, and merges them exactly.

    What keeps its linear maps bounded is made of plain ones first: an adapter stands beside a map,
    and the bound of their sum is not the sum of the bounds.
    """
    import peft

    model, x = build(name), images()
    if model.config.spectral_control:
        model = model.fold()
    before = model(x)
    names = {full.rpartition(".")[2] for full, part in model.named_modules() if _is_linear(part)}
    attention = sorted(names & {"qkv", "q", "kv"})
    assert attention
    config = peft.LoraConfig(target_modules=attention, r=2, modules_to_save=["head"])
    adapted = peft.get_peft_model(model, config).train()
    optimizer = torch.optim.SGD([p for p in adapted.parameters() if p.requires_grad], lr=0.1)
    for step in range(2):
        logits = adapted(x)
        if step == 0:
            assert_close_relative(logits, before)
        logits.square().sum().backward()
        optimizer.step()
    trained = {n for n, p in adapted.named_parameters() if p.grad is not None and p.grad.any()}
    assert {n.rpartition("lora_")[2][0] for n in trained if "lora_" in n} == {"A", "B"}
    after = adapted.eval()(x)
    assert not torch.allclose(after, before)
    merged = adapted.merge_and_unload()
    assert_close_relative(merged(x), after, bound=10 * tolerance(torch.float32))


@pytest.mark.parametrize("name", SMALL)
def test_dropout_before_the_head(name: str) -> None:
    """In training only, of pooled features, at its rate; a folded model has none."""
    plain, model, x = build(name), build(name, drop_rate=0.25), images()
    assert torch.equal(model(x), plain(x))
    features = torch.ones(1, model.head_hidden_size * 100)
    torch.manual_seed(0)
    dropped = model.train().head_drop(features)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.04)
    pooled = model.forward_head(model.forward_features(x), pre_logits=True)
    assert 0 < float((pooled == 0).float().mean()) < 0.6
    assert_close_relative(model.fold()(x), plain(x), depth=10)
    read = wavevit.BackboneConfig.from_dict(model.config.to_dict())
    assert read.drop_rate == 0.25


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear)
