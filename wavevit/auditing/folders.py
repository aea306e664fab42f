"""Load models from local folders: of transformers (config.json, model.safetensors), or ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from wavevit.checks import fail

__all__ = ["is_model_folder", "read_model_folder"]

_CONFIG, _PICTURES = "config.json", "preprocessor_config.json"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def is_model_folder(name: str) -> bool:
    """Whether a string names an existing folder."""
    return Path(name).is_dir()


def read_model_folder(path: str | Path) -> nn.Module:
    """The model that a folder holds; nothing is downloaded, and no code in the folder runs.

    A ``preprocessor_config.json`` beside the weights becomes ``preprocess_cfg`` of the model: its
    mean, deviation and size, which the audit reads.

    Args:
        path: a folder that `save_pretrained` of transformers or of wavevit wrote.

    Returns:
        The model in eval mode. Of transformers it is of the class that ``architectures`` names.

    Raises:
        ImportError: transformers is not installed.
        ValueError: a file that is missing or broken, weights that only unpickling reads, an
            architecture that transformers does not have, or weights that leave parameters random.
    """
    folder = Path(path)
    config = _read(folder / _CONFIG)
    if "model_type" not in config:
        if isinstance(config.get("config"), Mapping):
            from wavevit.interop.hub import from_pretrained

            return from_pretrained(folder)
        expected = f"a model_type in {folder / _CONFIG}, as save_pretrained of transformers writes"
        if "architecture" in config:
            expected += f" it (a folder of timm: timm:local-dir:{folder})"
        fail("model", expected, ", ".join(sorted(config)[:8]) or "an empty file")
    if not any((folder / name).is_file() for name in _WEIGHTS):
        found = ", ".join(sorted(p.name for p in folder.iterdir())[:8])
        expected = f"{_WEIGHTS[0]} in {folder} (other formats are unpickled, which can run code)"
        fail("model", expected, found)
    model = _of_transformers(folder)
    pictures = _pictures(folder)
    if pictures:
        model.preprocess_cfg = pictures
    return model.eval()


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        fail("model", f"a folder of a model, with {path.name}", repr(str(path.parent)))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        fail("model", f"JSON in {path}", error)
    if not isinstance(found, Mapping):
        fail("model", f"a JSON object in {path}", type(found).__name__)
    return found


def _of_transformers(folder: Path) -> Any:
    try:
        import transformers
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise  # it is installed, but one of its dependencies is not
        raise ImportError("this needs transformers: pip install transformers") from error
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **local)
        named = (getattr(config, "architectures", None) or ["AutoModel"])[0]
        kind = getattr(transformers, named, None)
        if kind is None:
            fail("model", "an architecture that transformers has", repr(named))
        if kind is not transformers.AutoModel:
            del local["trust_remote_code"]  # a question of the Auto classes only
        model, info = kind.from_pretrained(
            folder, config=config, use_safetensors=True, output_loading_info=True, **local
        )
    except ImportError:
        raise
    except Exception as error:  # of many kinds: a broken file, shapes, an unknown model_type
        if isinstance(error, ValueError) and str(error).startswith("model: expected"):
            raise
        got = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        fail("model", f"a model that transformers can load from {folder}", got)
    missing = sorted(info["missing_keys"])
    if missing:
        listed = ", ".join(missing[:4]) + (", …" if len(missing) > 4 else "")
        fail("model", f"weights of all parameters of {named} in {folder}", f"none of {listed}")
    return model


def _pictures(folder: Path) -> dict[str, Any]:
    """What an image processor declares: mean, deviation and side of the pictures it makes."""
    if not (folder / _PICTURES).is_file():
        return {}
    declared, found = _read(folder / _PICTURES), {}
    if declared.get("do_normalize", True) and "image_mean" in declared and "image_std" in declared:
        found = {"mean": declared["image_mean"], "std": declared["image_std"]}
    crop = declared.get("crop_size") if declared.get("do_center_crop") else None
    size = crop or declared.get("size")
    if isinstance(size, Mapping):
        size = (size.get("height"), size.get("width")) if "height" in size else None
    elif isinstance(size, int):
        size = (size, size)
    return found | ({"size": tuple(size)} if size else {})
