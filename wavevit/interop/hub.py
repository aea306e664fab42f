"""Save and load backbones as folders or on the Hugging Face Hub (safetensors, JSON, model card).

Folders need no extra; the Hub needs the extra ``hub``. Nothing is pickled, and no code from a
folder is executed.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from wavevit.checks import check_choice, fail, require_extra
from wavevit.files import write_whole
from wavevit.interop.card import model_card
from wavevit.layers import NotRegistered
from wavevit.models import Backbone, BackboneConfig, FeatureBackbone
from wavevit.models.checkpoints import adapted_from
from wavevit.models.stage_config import check_field

__all__ = ["from_pretrained", "push_to_hub", "save_pretrained"]

_CONFIG, _WEIGHTS, _CARD = "config.json", "model.safetensors", "README.md"
_DTYPES = ("float64", "float32", "bfloat16", "float16")
_VERSION = importlib.metadata.version("wavevit")


def save_pretrained(model: Backbone, folder: str | Path, name: str | None = None) -> Path:
    """Saves a backbone: ``model.safetensors``, ``config.json`` and a model card, each atomically.

    Args:
        model: a complete `Backbone`. A model without some blocks (`features_only`) or with steps
            merged for inference differs from its configuration and is refused.
        folder: output folder, created if it does not exist.
        name: title of the card; by default the folder's name.

    Returns:
        The folder.

    Raises:
        ValueError: another kind of model, or one that its configuration does not describe.

    Guarantees:
        `from_pretrained` returns a model with bit-equal weights, and no reader gets an incomplete
        file (tests/contract/test_hub.py).
    """
    if not isinstance(model, Backbone):
        fail("model", "a wavevit.Backbone (before features_only or align)", type(model).__name__)
    state = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    with torch.device("meta"):
        whole = _rebuilt(model.config, model.num_classes, model.global_pool)
    differs = _differences(whole, state)
    if differs:
        fail("model", "the tensors that its configuration builds", differs)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "library": "wavevit",
        "version": _VERSION,
        "config": model.config.to_dict(),
        "num_classes": model.num_classes,
        "global_pool": model.global_pool,
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
    }
    card = model_card(model, name or folder.resolve().name)
    write_whole(folder / _WEIGHTS, save(state, metadata={"format": "pt"}))
    write_whole(folder / _CARD, card.encode())
    write_whole(folder / _CONFIG, (json.dumps(record, indent=2) + "\n").encode())
    return folder


def from_pretrained(
    source: str | Path,
    *,
    features_only: bool = False,
    out_indices: Any = None,
    num_classes: int | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    token: str | bool | None = None,
    **changes: Any,
) -> nn.Module:
    """Loads a backbone that `save_pretrained` wrote, from a folder or from the Hub.

    Args:
        source: a folder, or a repository ``"owner/name"`` of the Hub.
        features_only: see `wavevit.create_model`.
        out_indices: see `wavevit.create_model`.
        num_classes: another number of classes: a new head on the saved weights.
        revision: branch, tag or commit of the repository.
        cache_dir: folder for the Hub's files.
        token: access token for private repositories.
        **changes: fields of `BackboneConfig` to change: ``img_size`` and ``in_chans`` (the weights
            are adapted, see `wavevit.adapt_state_dict`), ``drop_rate``, ``drop_path_rate``,
            ``alignment``, …

    Returns:
        A `Backbone` in eval mode, or a `FeatureBackbone`; each tensor in its saved dtype.

    Raises:
        ImportError: the Hub is needed and huggingface_hub is not installed.
        NotRegistered: a name that is not registered; the message says what to import.
        ValueError: no such folder; a file that is missing, broken or from another library; tensors
            that do not fit the configuration; or a change that does not fit the saved weights.
    """
    for field in changes:
        check_field("argument", field, BackboneConfig)
    folder = _folder(str(source), revision=revision, cache_dir=cache_dir, token=token)
    record = _read_record(folder / _CONFIG)
    try:
        config = BackboneConfig.from_dict(record["config"])
        dtype = getattr(torch, check_choice("dtype", record["dtype"], _DTYPES))
        with torch.device("meta"):  # what was saved, to compare shapes with
            whole = _rebuilt(config, record["num_classes"], record["global_pool"])
    except NotRegistered:
        raise  # the file is whole; the message says what to import
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        expected = "a configuration that save_pretrained wrote"
        fail(str(folder / _CONFIG), expected, f"{type(error).__name__}: {error}")
    weights = folder / _WEIGHTS
    try:
        state = load_file(weights)
    except FileNotFoundError:
        fail("source", f"a folder with {_WEIGHTS}", folder)
    except SafetensorError as error:
        fail(str(weights), "a complete safetensors file", error)
    differs = _differences(whole, state)
    if differs:
        fail(str(weights), f"the tensors of {_CONFIG}", differs)
    changed = dataclasses.replace(config, **changes)
    pool = changed.pool if "pool" in changes else record["global_pool"]
    model = _rebuilt(changed, record["num_classes"], pool).to(dtype)
    state = adapted_from(state, model, config)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name in state:  # a model may hold several precisions, such as norms in float32
            tensor.data = tensor.data.to(state[name].dtype)
    differs = _differences(model, state)
    if differs:
        fail(", ".join(changes), "values that the saved weights can be adapted to", differs)
    model.load_state_dict(state)
    if num_classes is not None and num_classes != model.num_classes:
        model.reset_classifier(num_classes)
    return (FeatureBackbone(model, out_indices) if features_only else model).eval()


def push_to_hub(
    model: Backbone,
    repo_id: str,
    *,
    private: bool | None = None,
    commit_message: str = "Upload with wavevit",
    token: str | bool | None = None,
) -> str:
    """Uploads a backbone to the Hub in one commit; creates the repository if necessary.

    Args:
        model: see `save_pretrained`.
        repo_id: ``"owner/name"``.
        private: whether a new repository is private; the account's default if None.
        commit_message: message of the commit.
        token: access token with write permission; by default that of the logged-in user.

    Returns:
        The URL of the commit.

    Raises:
        ImportError: huggingface_hub is not installed; the message names the extra.
        ValueError: see `save_pretrained`.
    """
    hub = require_extra("huggingface_hub", "hub")
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(model, folder, name=repo_id)
        api = hub.HfApi(token=token, library_name="wavevit", library_version=_VERSION)
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id, folder_path=folder, commit_message=commit_message
        )
    return str(commit.commit_url)


def _rebuilt(config: BackboneConfig, num_classes: int, global_pool: str) -> Backbone:
    model = Backbone(config)
    model.reset_classifier(0, global_pool)
    model.reset_classifier(num_classes)
    return model


def _differences(model: nn.Module, state: dict[str, torch.Tensor]) -> str:
    """The first tensors of `state` that are not the model's, in words; empty if there are none."""
    own = model.state_dict()
    wrong = [f"no {name}" for name in own if name not in state]
    wrong += [f"an unknown {name}" for name in state if name not in own]
    wrong += [
        f"{name} of shape {tuple(tensor.shape)} for {tuple(own[name].shape)}"
        for name, tensor in state.items()
        if name in own and tensor.shape != own[name].shape
    ]
    return "; ".join(wrong[:3]) + ("; …" if len(wrong) > 3 else "")


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        fail("source", f"a folder with {_CONFIG}", path.parent)
    except ValueError as error:
        fail(str(path), "JSON", error)
    library = record.get("library") if isinstance(record, dict) else None
    if library != "wavevit":
        fail(str(path), "a configuration of library 'wavevit'", f"library {library!r}")
    return record


def _folder(source: str, **options: Any) -> Path:
    """A folder with the files: the one that is there, or a snapshot of the repository."""
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    owner, _, name = source.partition("/")
    if not owner or not name or "/" in name or owner in (".", "..", "~") or path.exists():
        fail("source", "a folder, or a repository 'owner/name' of the Hub", repr(source))
    hub = require_extra("huggingface_hub", "hub")
    try:
        found = hub.snapshot_download(source, allow_patterns=[_CONFIG, _WEIGHTS], **options)
    except (
        hub.errors.RepositoryNotFoundError,
        hub.errors.RevisionNotFoundError,
        hub.errors.LocalEntryNotFoundError,  # no network, and not in the cache
    ) as error:
        expected = "a folder, or a repository 'owner/name' of the Hub that can be reached"
        said = " ".join(str(error).split()).removeprefix("Got: ")
        fail("source", expected, f"{source!r} ({said})")
    return Path(found)
