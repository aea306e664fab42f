"""Build the model that a MODEL string names: ours, timm's, the Hub's, a file's or a folder's."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wavevit.alignment import ALIGNMENTS
from wavevit.auditing.folders import is_model_folder, read_model_folder
from wavevit.auditing.loading import load_factory
from wavevit.auditing.runtimes import is_model_file, read_model_file
from wavevit.checks import check_choice, fail, nearest
from wavevit.interop.timm_import import import_timm
from wavevit.models import create_model, list_models

__all__ = ["SYNTAX", "Named", "model_of", "split_method"]

SYNTAX = (
    "a name of `wavevit models`, timm:NAME, hub:ID, path/to/file.py:factory, path/to/model.onnx or "
    "path/to/folder"
)
_OF_TIMMS_HUB = ("hf-hub:", "hf_hub:", "local-dir:")  # timm's own names of where a model is


@dataclass(frozen=True)
class Named:
    """A model and where it comes from.

    Attributes:
        model: a module or another callable.
        source: the string that named it, or ``"object"``.
        weights: where they come from.
        around: makes the context that the model has to be called in.
    """

    model: Any
    source: str
    weights: str
    around: Callable[[], AbstractContextManager[Any]] = nullcontext


def split_method(name: str) -> tuple[str, str | None]:
    """``"MODEL+METHOD"`` in two; the method is None where there is none.

    Raises:
        ValueError: what stands behind the plus is no alignment.
    """
    base, plus, method = name.rpartition("+")
    # A plus inside a path is followed by more than a word.
    if not plus or re.fullmatch(r"\w+", method) is None:
        return name, None
    return base, check_choice("alignment", method, [m for m in ALIGNMENTS.values() if m != "none"])


def model_of(name: str, *, pretrained: bool, size: int | None, seed: int) -> Named:
    """Builds what a MODEL string (without alignment) names.

    Args:
        name: see `SYNTAX`.
        pretrained: timm's weights, which are downloaded, instead of random ones.
        size: side of the input in pixels, for models that are built for one.
        seed: of random weights.

    Returns:
        The model, where its weights come from, and the context to call it in.

    Raises:
        ImportError: what reads it (timm, the Hub, onnxruntime, transformers) is not installed.
        ValueError: a string that names nothing.
    """
    path, colon, factory = name.rpartition(":")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if colon and path.endswith(".py"):
            made, around = load_factory(Path(path), factory)
            return Named(made, name, "as the factory made them", around.importable)
        if name.startswith("timm:"):
            weights = "pretrained" if pretrained else "random"
            return Named(_timm(name[5:], pretrained, size), name, weights)
        if name.startswith("hub:"):
            from wavevit.interop.hub import from_pretrained

            return Named(from_pretrained(name[4:]), name, "of the checkpoint")
        if is_model_file(name):
            return Named(read_model_file(name), name, "of the file")
        if name not in list_models() and is_model_folder(name):
            return Named(read_model_folder(name), name, "of the folder")
        if colon or "/" in name or name.endswith(".py"):
            fail("model", SYNTAX, repr(name))
        if name not in list_models():
            close = nearest(name, list_models())
            hint = f" (nearest: {', '.join(close)})" if close else ""
            fail("model", SYNTAX + hint, f"{name!r} (a model of timm is timm:{name})")
        arguments: dict[str, Any] = {} if size is None else {"img_size": size}
        return Named(create_model(name, **arguments), name, "random")


def _timm(name: str, pretrained: bool, size: int | None) -> nn.Module:
    timm: Any = import_timm()
    elsewhere = name.startswith(_OF_TIMMS_HUB)
    if not elsewhere and not timm.is_model(name.partition(".")[0]):
        close = nearest(name, timm.list_models())
        hint = f" (nearest: {', '.join(close)})" if close else ""
        fail("model", f"the name of a model of timm{hint}", repr(name))
    arguments: dict[str, Any] = {} if size is None else {"img_size": size}
    try:
        try:
            model: nn.Module = timm.create_model(name, pretrained=pretrained, **arguments)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            # A network of convolutions takes any size, and no such argument.
            model = timm.create_model(name, pretrained=pretrained)
    except Exception as error:
        # No network, nothing there, or of another shape: one line is enough to see which.
        got = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        if elsewhere:
            fail("model", f"a configuration that timm can read or download for {name}", got)
        if pretrained and isinstance(error, OSError | RuntimeError):
            fail("pretrained", f"weights that timm can download for {name}", got)
        fail("model", f"a name, tag and size that timm can build, for {name}", got)
    return model
