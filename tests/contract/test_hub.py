"""Saved and read back: the same model; what is broken or foreign is refused by name."""

from __future__ import annotations

import errno
import json
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch

import wavevit
from wavevit.interop.card import model_card
from wavevit.interop.hub import from_pretrained, push_to_hub, save_pretrained


def build(name: str = "test_haar_vit", **changes: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return wavevit.create_model(name, **({"num_classes": 5, "img_size": 48} | changes)).eval()


def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", wavevit.list_models("test_*"))
def test_round_trip(name: str, tmp_path: Path) -> None:
    model = build(name, img_size=(64, 48))
    model.reset_classifier(9)
    torch.manual_seed(1)
    read = from_pretrained(save_pretrained(model, tmp_path))
    assert read.config == model.config
    assert (read.num_classes, read.global_pool, read.training) == (9, model.global_pool, False)
    for tensor, expected in zip(
        read.state_dict().values(), model.state_dict().values(), strict=True
    ):
        assert torch.equal(tensor, expected)
    torch.testing.assert_close(read(images()), model(images()), rtol=0, atol=0)
    features = from_pretrained(tmp_path, features_only=True, out_indices=(0,))
    (expected,) = model.forward_intermediates(images(), [0], intermediates_only=True)
    torch.testing.assert_close(features(images())[0], expected)
    assert from_pretrained(tmp_path, num_classes=2)(images()).shape == (2, 2)


def test_pooling_dtype_and_alignment_are_kept(tmp_path: Path) -> None:
    model = build("test_vit").bfloat16()
    model.reset_classifier(0, "")
    read = from_pretrained(save_pretrained(model, tmp_path / "new" / "folder"))
    assert torch.equal(read(images().bfloat16()), model(images().bfloat16()))
    model.norm.float()
    read = from_pretrained(save_pretrained(model, tmp_path / "mixed"))
    for tensor, expected in zip(
        read.state_dict().values(), model.state_dict().values(), strict=True
    ):
        assert tensor.dtype == expected.dtype
        assert torch.equal(tensor, expected)
    locked = build("test_haar_pyramid", alignment="phase_lock")
    read = from_pretrained(save_pretrained(locked, tmp_path))
    assert read.alignment is not None


@pytest.mark.parametrize(
    ("method", "boundary", "options", "most"),
    [
        ("phase_lock", "circular", {"gate": 0.3}, 2),
        ("phase_lock", "mirror", {"gate": 0.3}, 2),
        ("weighted_frame", "interior", {"max_phases": 3}, 3),
        ("weighted_frame", "circular", {}, None),
    ],
)
def test_alignments_whose_cost_depends_on_the_image(
    method: str, boundary: str, options: dict[str, object], most: int | None, tmp_path: Path
) -> None:
    changes = {"alignment": method, "alignment_boundary": boundary, "alignment_options": options}
    model = build("test_haar_pyramid", img_size=64, **changes)
    most = most or model.alignment.period**2
    read = from_pretrained(save_pretrained(model, tmp_path))
    assert read.config == model.config
    square = images()[..., :48, :]
    assert torch.equal(read(square), model(square))
    assert (
        f"G at 64 × 64 pixels for each call; an image takes 1 to {most} calls |"
        in (tmp_path / "README.md").read_text()
    )


def test_pooling_can_be_changed_on_loading(tmp_path: Path) -> None:
    model = build("test_vit", pool="avg", num_classes=0)
    save_pretrained(model, tmp_path)
    read, x = from_pretrained(tmp_path, pool="power"), images()
    model.reset_classifier(0, "power")
    assert torch.equal(read(x), model(x))
    # A head on twice as many features is another one.
    save_pretrained(build("test_vit", pool="avg"), tmp_path)
    with pytest.raises(ValueError, match="pool: expected values that the saved weights"):
        from_pretrained(tmp_path, pool="power")
    # Without a change the model pools as the saved one does, whatever its configuration says.
    save_pretrained(model, tmp_path)
    assert torch.equal(from_pretrained(tmp_path)(x), model(x))


def test_card_counts_the_head_that_there_is() -> None:
    model = build("test_vit", pool="avg", num_classes=0)
    model.reset_classifier(1000, "power")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert f"| parameters | {parameters / 1e6:.2f} M |" in model_card(model, "me/vit")


def test_written_files(tmp_path: Path) -> None:
    save_pretrained(build("test_haar_pyramid"), tmp_path, name="me/haar")
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["README.md", "config.json", "model.safetensors"]
    record = json.loads((tmp_path / "config.json").read_text())
    assert (record["library"], record["version"]) == ("wavevit", wavevit.__version__)
    card = (tmp_path / "README.md").read_text()
    model = build("test_haar_pyramid")
    parameters = sum(p.numel() for p in model.parameters())
    for fact in (
        "library_name: wavevit",
        "# me/haar",
        f"{parameters / 1e6:.2f} M",
        "5 classes",
        f"multiples of {model.symmetry.lockable_period} pixels",
        'from_pretrained("me/haar")',
        "48 × 48 pixels",
    ):
        assert fact in card


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_pretrained(build(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full_disk(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        save_pretrained(build(num_classes=3), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def _shape(folder: Path) -> None:
    record = json.loads((folder / "config.json").read_text())
    record["num_classes"] = 6
    (folder / "config.json").write_text(json.dumps(record))


def _field(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"tokenizer"', '"tokeniser"'))


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps({"head.weight": [1.0]}))


def _cut(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "expected a folder with config.json"),
        (lambda f: (f / "model.safetensors").unlink(), "expected a folder with model.saf"),
        (lambda f: (f / "config.json").write_text("{"), "expected JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "library 'wavevit', got library None"),
        (
            lambda f: (f / "config.json").write_text('{"architecture": "resnet18"}'),
            "library 'wavevit', got library None",
        ),
        (
            lambda f: (f / "config.json").write_text('{"library": "wavevit"}'),
            "expected a configuration that save_pretrained wrote, got KeyError",
        ),
        (_field, "nearest: tokenizer"),
        (_shape, r"head.weight of shape \(5, 64\) for \(6, 64\)"),
        (_pickled, "expected a complete safetensors file"),
        (_cut, "expected a complete safetensors file"),
    ],
)
def test_broken_folders_are_refused(spoil, message: str, tmp_path: Path) -> None:
    save_pretrained(build(), tmp_path)
    spoil(tmp_path)
    with pytest.raises(ValueError, match=message):
        from_pretrained(tmp_path)


@pytest.mark.parametrize("source", ["no-such", "a/b/c", "./no-such", "../no-such", "/no/such"])
def test_no_such_folder(source: str) -> None:
    with pytest.raises(ValueError, match="source: expected a folder, or a repository"):
        from_pretrained(source)


def test_models_that_their_configuration_does_not_build(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="model: expected a wavevit\\.Backbone"):
        save_pretrained(build(features_only=True), tmp_path)
    pruned = build("test_haar_pyramid")
    pruned.prune_intermediate_layers([0])
    with pytest.raises(ValueError, match="model: expected the tensors that its configuration"):
        save_pretrained(pruned, tmp_path)
    assert not any(tmp_path.iterdir())


class FakeApi:
    """Keeps what would have gone over the network."""

    def __init__(self, **identity: object) -> None:
        FakeApi.calls = [("identity", identity)]

    def create_repo(self, repo_id: str, **options: object) -> None:
        self.calls.append(("create_repo", {"repo_id": repo_id} | options))

    def upload_folder(self, **options: object) -> SimpleNamespace:
        FakeApi.files = {p.name: p.read_bytes() for p in Path(options["folder_path"]).iterdir()}
        self.calls.append(("upload_folder", options))
        return SimpleNamespace(commit_url="https://huggingface.co/me/haar/commit/1")


def test_push_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    model = build()
    assert push_to_hub(model, "me/haar", private=True, token="t").endswith("commit/1")
    steps = dict(FakeApi.calls)
    assert steps["identity"]["token"] == "t"
    assert steps["create_repo"] == {"repo_id": "me/haar", "private": True, "exist_ok": True}
    assert steps["upload_folder"]["repo_id"] == "me/haar"
    assert set(FakeApi.files) == {"README.md", "config.json", "model.safetensors"}

    def download(repo_id: str, **options: object) -> str:
        assert (repo_id, options["revision"]) == ("me/haar", "v1")
        for name in options["allow_patterns"]:
            (tmp_path / name).write_bytes(FakeApi.files[name])
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    read = from_pretrained("me/haar", revision="v1")
    torch.testing.assert_close(read(images()), model(images()), rtol=0, atol=0)


def test_the_calls_fit_the_installed_huggingface_hub() -> None:
    """The fakes take anything; the real functions must take these names."""
    import inspect

    for function, names in (
        (huggingface_hub.HfApi.__init__, {"token", "library_name", "library_version"}),
        (huggingface_hub.HfApi.create_repo, {"repo_id", "private", "exist_ok"}),
        (huggingface_hub.HfApi.upload_folder, {"repo_id", "folder_path", "commit_message"}),
        (
            huggingface_hub.snapshot_download,
            {"repo_id", "allow_patterns", "revision", "cache_dir", "token"},
        ),
    ):
        assert names <= set(inspect.signature(function).parameters)


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"wavevit\[hub\]"):
        push_to_hub(build(), "me/haar")
