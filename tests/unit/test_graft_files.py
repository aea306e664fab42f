"""Grafts as safetensors files: bit-equal, with base model and licence, refused by other models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import wavevit
from tests.grafted_models import images, ours, trained
from wavevit.grafting import branch_parameters, graft, load_graft, read_graft, save_graft

BASE, LICENCE = "wavevit/test_vit", "Apache-2.0"


def changed() -> tuple[torch.nn.Module, torch.nn.Module]:
    """A model, and a grafted one whose branch and first block were trained."""
    model = ours()
    grafted = trained(graft(model, "swt", lowpass=4, width=12))
    with torch.no_grad():
        grafted.stages[0].blocks[0].mlp.fc1.weight.mul_(1.5)
    return model, grafted


@pytest.mark.parametrize("small", [True, False])
def test_loaded_graft_is_bit_equal(small: bool, tmp_path: Path) -> None:
    model, grafted = changed()
    path = tmp_path / "graft.safetensors"
    assert save_graft(grafted, path, BASE, LICENCE, original=model if small else None) == path
    loaded = load_graft(path, model)
    assert list(loaded.state_dict()) == list(grafted.state_dict())
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, grafted.state_dict()[name]), name
    with torch.no_grad():
        assert torch.equal(loaded(images((32, 32))), grafted(images((32, 32))))
    written = set(load_file(path))
    branch = {name for name in grafted.state_dict() if name.startswith("tokenizer.graft.")}
    expected = branch | {"stages.0.blocks.0.mlp.fc1.weight"} if small else set(grafted.state_dict())
    assert written == expected


def test_card_names_base_licence_tokenizer_and_options(tmp_path: Path) -> None:
    _, grafted = changed()
    card = read_graft(save_graft(grafted, tmp_path / "a.safetensors", BASE, LICENCE))
    assert (card["base"], card["licence"], card["model"]) == (BASE, LICENCE, "Backbone")
    assert card["embedding"] == "tokenizer"
    assert card["options"]["tokenizer"] == "swt"
    assert (card["options"]["lowpass"], card["options"]["width"]) == (4, 12)
    assert json.loads(json.dumps(card)) == card


def test_other_models_are_refused(tmp_path: Path) -> None:
    model, grafted = changed()
    path = save_graft(grafted, tmp_path / "a.safetensors", BASE, LICENCE, original=model)
    wider = ours(num_classes=7)
    with pytest.raises(ValueError, match=r"model: .*same architecture, got 2 tensors that"):
        load_graft(path, wider)
    loaded = load_graft(path, wider, strict=False)
    assert loaded(images((32, 32))).shape == (2, 7)
    other = ours()
    with torch.no_grad():
        other.head.bias.add_(1)
    with pytest.raises(ValueError, match=r"weights of wavevit/test_vit.*1 tensors .* head.bias"):
        load_graft(path, other)
    load_graft(path, other, strict=False)
    foreign = torch.nn.ModuleDict({"patch_embed": torch.nn.Conv2d(3, 8, 4, 4)})
    with pytest.raises(ValueError, match="model: expected Backbone with a patch embedding at"):
        load_graft(path, foreign)
    part = torch.nn.ModuleDict({"tokenizer": model.tokenizer})
    with pytest.raises(ValueError, match="model: expected Backbone, as wavevit/test_vit is"):
        load_graft(path, part)
    with pytest.raises(ValueError, match="model: expected a model of the same architecture"):
        load_graft(path, part, strict=False)


def test_other_files_and_arguments_are_refused(tmp_path: Path) -> None:
    model, grafted = changed()
    with pytest.raises(ValueError, match="base: expected a name"):
        save_graft(grafted, tmp_path / "a.safetensors", "", LICENCE)
    with pytest.raises(ValueError, match="licence: expected a name"):
        save_graft(grafted, tmp_path / "a.safetensors", BASE, " ")
    with pytest.raises(ValueError, match=r"path: expected a file that ends in \.safetensors"):
        save_graft(grafted, tmp_path / "a.pt", BASE, LICENCE)
    with pytest.raises(ValueError, match="original: expected a model of the same architecture"):
        save_graft(grafted, tmp_path / "a.safetensors", BASE, LICENCE, original=grafted)
    with pytest.raises(ValueError, match=r"grafted: expected a model of wavevit\.graft"):
        save_graft(model, tmp_path / "a.safetensors", BASE, LICENCE)
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError):
        load_graft(tmp_path / "a.safetensors", model)
    (tmp_path / "b.safetensors").write_bytes(b"nothing")
    save_file({"a": torch.zeros(1)}, tmp_path / "c.safetensors")
    for name in ("b", "c"):
        with pytest.raises(ValueError, match=r"path: expected a safetensors file of wavevit\."):
            load_graft(tmp_path / f"{name}.safetensors", model)
    with pytest.raises(ValueError, match=r"path: .*save_graft, got the folder"):
        read_graft(tmp_path)
    for function in (wavevit.ungraft, branch_parameters):
        with pytest.raises(ValueError, match=r"grafted: expected a model of .*, got str"):
            function("model")
