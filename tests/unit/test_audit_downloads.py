"""Weights that the audit fetches: from a cache as the Hub's client lays it out, and offline.

Nothing is downloaded: the client looks into its cache first, and finds there what a download would
have put there.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import save_file

import wavevit
from wavevit.auditing.targets import make_target
from wavevit.cli import main
from wavevit.interop.hub import save_pretrained

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FEW = shlex.split("""--size 32 --samples.pictures 4 --samples.sensitivity-pictures 2
    --samples.worst-pictures 1 --samples.worst-radius 1 --samples.jacobian-pictures 1
    --samples.jacobian-iterations 1 --samples.singular-values 1 --samples.jump-pictures 1
    --samples.jump-steps 2""")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of a client that may not ask the network."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return folder


def snapshot(cache: Path, repository: str) -> Path:
    """The folder of a repository's main branch, made."""
    root = cache / f"models--{repository.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(COMMIT)
    folder = root / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    return folder


def test_timms_weights_are_those_of_the_cache(cache: Path) -> None:
    torch.manual_seed(7)
    published = timm.create_model("test_vit").eval()
    where = snapshot(cache, published.pretrained_cfg["hf_hub_id"])
    save_file(published.state_dict(), where / "model.safetensors")
    target = make_target("timm:test_vit", pretrained=True, seed=0)
    x = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(target.logits(x), published((x - 0.5) / 0.5))
        random = make_target("timm:test_vit", seed=0).logits(x)
    assert target.facts["weights"] == "pretrained"
    assert not torch.allclose(target.logits(x), random, atol=1e-3)  # negative control


def test_the_command_with_pretrained_weights(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only timm's have published weights; what stands beside them stays random, and both say so."""
    published = timm.create_model("test_vit", img_size=32)
    where = snapshot(cache, published.pretrained_cfg["hf_hub_id"])
    save_file(timm.create_model("test_vit").state_dict(), where / "model.safetensors")
    command = ["audit", "timm:test_vit", "--pretrained", "--against", "test_vit"]
    main([*command, *FEW, "--out", str(tmp_path)])
    models = json.loads((tmp_path / "audit.json").read_text())["models"]
    assert [model["weights"] for model in models] == ["pretrained", "random"]
    page = (tmp_path / "audit.html").read_text()
    assert "<b>Random weights</b> (seed 0): test_vit." in page
    assert "pretrained weights, 3 × 32 × 32" in page
    assert "S-Cons" in capsys.readouterr().out


def test_a_repository_of_the_hub_is_audited_from_the_cache(cache: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = wavevit.create_model("test_haar_pyramid", num_classes=3, img_size=32).eval()
    save_pretrained(model, snapshot(cache, "somebody/pyramid"))
    target = make_target("hub:somebody/pyramid")
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(target.logits(x), model((x - 0.5) / 0.25))
    assert target.facts["weights"] == "of the checkpoint"
    main(["audit", "hub:somebody/pyramid+phase_lock", *FEW, "--out", str(tmp_path)])
    (entry,) = json.loads((tmp_path / "audit.json").read_text())["models"]
    assert entry["alignment"]["method"] == "PhaseLock"
    assert {section["status"] for section in entry["sections"].values()} == {"measured"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["timm:test_vit", "--pretrained"], "pretrained: expected weights that timm can download"),
        (["timm:vit_little_patch16_reg1_gap_256", "--pretrained"], "pretrained: expected weights"),
        (["timm:hf-hub:somebody/nothing"], "model: expected a configuration that timm can read or"),
        (["timm:local-dir:/no/where"], "model: expected a configuration that timm can read or"),
        (["test_vit", "--mean", "0.1", "0.2"], "mean: expected one number, or 3"),
        (["test_vit", "--std", "0"], "std: expected positive numbers"),
        (["test_vit", "--channels", "1"], "channels: expected the number that the model takes"),
        (["hub:somebody/nothing"], "source: expected a folder, or a repository"),
        (["hub:too/many/parts"], "source: expected a folder, or a repository"),
    ],
)
def test_failed_download_is_one_line(
    arguments: list[str], message: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["audit", *arguments, *FEW])
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"wavevit: {message}")


def test_checkpoint_of_another_model_is_refused(cache: Path) -> None:
    folder = snapshot(cache, "somebody/bert")
    (folder / "config.json").write_text('{"architectures": ["BertModel"]}')
    save_file({"weight": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(ValueError, match="a configuration of library 'wavevit'"):
        make_target("hub:somebody/bert")
