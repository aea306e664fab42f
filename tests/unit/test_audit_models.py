"""MODEL on the audit's command line: every form that names one, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import wavevit
from wavevit.alignment import AlignedModel
from wavevit.auditing.naming import model_of, split_method
from wavevit.auditing.targets import make_target
from wavevit.interop.hub import save_pretrained

FACTORIES = """
import torch
ready = torch.nn.Flatten()
number = 3
def build(): return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5))
def broken(): raise RuntimeError("no weights here")
def nothing(): return None
def plain(): return lambda x: x.flatten(1)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "c++" / "models.py"
    path.parent.mkdir()
    path.write_text(FACTORIES)
    return path


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("test_vit", ("test_vit", None)),
        ("test_vit+phase_lock", ("test_vit", "phase_lock")),
        ("timm:resnet18+blur", ("timm:resnet18", "blur")),
        ("c++/models.py:build", ("c++/models.py:build", None)),
        ("c++/models.py:build+polyphase", ("c++/models.py:build", "polyphase")),
    ],
)
def test_alignment_follows_the_last_plus(name: str, parts: tuple[str, str | None]) -> None:
    assert split_method(name) == parts


@pytest.mark.parametrize("method", ["none", "phase_lok", "3"])
def test_another_method_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="alignment: expected one of"):
        split_method(f"test_vit+{method}")


def test_ours_is_built_from_the_seed() -> None:
    first, second, other = (make_target("test_vit", size=32, seed=seed) for seed in (3, 3, 4))
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(first.logits(x), second.logits(x))
        assert not torch.equal(first.logits(x), other.logits(x))
    assert first.facts["weights"] == "random"
    assert (first.size, first.channels) == (32, 3)


def test_building_leaves_the_random_state_alone() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    make_target("test_vit", size=32)
    assert torch.equal(torch.get_rng_state(), state)


def test_timm_by_its_names_sizes_and_normalization() -> None:
    vit = make_target("timm:test_vit", size=32)
    assert vit.size == 32
    assert vit.facts["normalization"]["mean"] == [0.5, 0.5, 0.5]
    assert vit.tokens is not None
    convolutions = make_target("timm:test_convnext", size=64)  # it takes no img_size
    assert convolutions.size == 64
    assert make_target("timm:test_vit").size == 160
    with pytest.raises(ValueError, match=r"a model of timm \(nearest: .*resnet18"):
        model_of("timm:resnet8", pretrained=False, size=None, seed=0)


def test_a_timm_model_is_aligned_at_its_size() -> None:
    target = make_target("timm:test_vit+phase_lock", size=32)
    assert target.facts["alignment"]["period_source"] == "probed at 3x32x32"
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        still, moved = target.embed(x), target.embed(torch.roll(x, (3, 5), (-2, -1)))
    assert float((moved - still).norm() / still.norm()) < 1e-5


def test_hub_reads_a_folder(tmp_path: Path) -> None:
    model = wavevit.create_model("test_haar_pyramid", num_classes=3, img_size=32).eval()
    save_pretrained(model, tmp_path / "saved")
    target = make_target(f"hub:{tmp_path / 'saved'}", size=32)
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(target.logits(x), model((x - 0.5) / 0.25))


@pytest.mark.parametrize("factory", ["ready", "build", "plain"])
def test_a_file_builds(file: Path, factory: str) -> None:
    target = make_target(f"{file}:{factory}", size=8)
    assert target.facts["source"] == f"{file}:{factory}"
    assert target.facts["normalization"] == {"mean": [0.0] * 3, "std": [1.0] * 3}


def test_a_factory_is_aligned(file: Path) -> None:
    target = make_target(f"{file}:plain+phase_lock", size=8)
    assert target.facts["alignment"]["method"] == "PhaseLock"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("test_vot", "model: expected a name of .*nearest: test_vit"),
        ("there/is/none.py:build", "model: expected an existing file before ':'"),
        ("there/is/none.py", "model: expected a name of `wavevit models`, timm:NAME"),
        ("timm:resnet18.nope", "^model: .* Invalid pretrained tag .nope. for resnet18"),
        ("tim:resnet18", "model: expected a name of `wavevit models`, timm:NAME"),
        ("hub:nowhere", "source: expected a folder, or a repository"),
        ("{file}:number", "to build a model, got TypeError"),
        ("{file}:broken", "to build a model, got RuntimeError: no weights here"),
        ("{file}:absent", "to build a model, got AttributeError"),
        ("{file}:nothing", "model: expected a module, a callable, .* got NoneType"),
    ],
)
def test_unknown_model_names_are_refused(name: str, message: str, file: Path) -> None:
    with pytest.raises(ValueError, match=message):
        make_target(name.format(file=file), size=8)


def test_modules_are_accepted() -> None:
    model = wavevit.create_model("test_haar_pyramid", img_size=32, in_chans=1).train()
    target = make_target(model)
    assert (target.name, target.size, target.channels) == ("Backbone", 32, 1)
    assert target.attending is model
    assert model.training
    aligned = AlignedModel(model, None)
    assert make_target(aligned).attending is model


def test_pooled_features_come_before_the_classifier() -> None:
    model = wavevit.create_model("test_vit", img_size=32, num_classes=7).eval()
    target = make_target(model)
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        features = target.embed(x)
        assert features.shape == (2, model.num_features)
        torch.testing.assert_close(model.head(features), target.logits(x))
    headless = make_target(nn.Flatten(), size=8)
    assert headless.facts["embedding"] == "the output"
