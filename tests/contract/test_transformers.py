"""transformers' wrapper of timm's models around ours: built, saved, and read back on ``meta``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import wavevit
from wavevit.interop.timm import register

NAMES = register()
SMALL = wavevit.list_models("test_*")


def images() -> Tensor:
    return torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(0))


def saved(name: str, folder: Path, **model_args: object) -> torch.nn.Module:
    from transformers import TimmWrapperConfig, TimmWrapperForImageClassification

    torch.manual_seed(0)
    arguments = {"img_size": 32, **model_args}
    config = TimmWrapperConfig(architecture=NAMES[name], num_labels=3, model_args=arguments)
    model = TimmWrapperForImageClassification(config).eval()
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("name", SMALL)
def test_saved_and_read_back(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import TimmWrapperForImageClassification

    model = saved(name, tmp_path)
    read = TimmWrapperForImageClassification.from_pretrained(tmp_path).eval()
    assert torch.equal(read(images()).logits, model(images()).logits)


@pytest.mark.parametrize("name", ["test_vit", "test_dtcwt_pyramid"])
def test_features(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import TimmWrapperModel

    model = saved(name, tmp_path)
    bare = TimmWrapperModel.from_pretrained(tmp_path).eval()
    output = bare(images(), output_hidden_states=True)
    features = model.timm_model.forward_features(images())
    assert torch.equal(output.last_hidden_state, features)
    pooled = model.timm_model.forward_head(features, pre_logits=True)
    assert torch.equal(output.pooler_output, pooled)
    assert len(output.hidden_states) == len(model.timm_model.feature_info)


def test_alignment_and_dropout_are_model_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import TimmWrapperForImageClassification

    model = saved("test_dtcwt_pyramid", tmp_path, alignment="polyphase", drop_rate=0.1)
    read = TimmWrapperForImageClassification.from_pretrained(tmp_path).eval()
    assert read.timm_model.config == model.timm_model.config
    assert torch.equal(read(images()).logits, model(images()).logits)
    assert read.supports_gradient_checkpointing
    read.train()(images(), labels=torch.tensor([0, 2])).loss.backward()
    assert all(p.grad is not None for p in read.parameters())
