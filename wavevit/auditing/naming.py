"""MODEL on the command line: ours, timm's, the Hub's, or a factory in a file; and an alignment."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wavevit.alignment import METHODS
from wavevit.checks import check_choice, fail, nearest
from wavevit.interop.timm_import import import_timm
from wavevit.models import create_model, list_models

__all__ = ["SYNTAX", "model_of", "split_method"]

SYNTAX = "a name of `wavevit models`, timm:NAME, hub:ID or path/to/file.py:factory"


def split_method(name: str) -> tuple[str, str | None]:
    """``"MODEL+METHOD"`` in two; the method is None where there is none.

    Raises:
        ValueError: what stands behind the plus is no alignment.
    """
    base, plus, method = name.rpartition("+")
    # A plus inside a path is followed by more than a word.
    if not plus or re.fullmatch(r"\w+", method) is None:
        return name, None
    return base, check_choice("alignment", method, [m for m in METHODS if m != "none"])


def model_of(name: str, *, pretrained: bool, size: int | None, seed: int) -> tuple[Any, str]:
    """Builds what a MODEL string (without alignment) names.

    Args:
        name: see `SYNTAX`.
        pretrained: timm's weights, which are downloaded, instead of random ones.
        size: side of the input in pixels, for models that are built for one.
        seed: of random weights.

    Returns:
        The model, and where its weights come from.

    Raises:
        ImportError: the extra that brings timm or the Hub is not installed.
        ValueError: a string that names nothing.
    """
    path, colon, factory = name.rpartition(":")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if colon and path.endswith(".py"):
            return _from_file(Path(path), factory), "as the factory made them"
        if name.startswith("timm:"):
            return _timm(name[5:], pretrained, size), "pretrained" if pretrained else "random"
        if name.startswith("hub:"):
            from wavevit.interop.hub import from_pretrained

            return from_pretrained(name[4:]), "of the checkpoint"
        if colon or "/" in name or name.endswith(".py"):
            fail("model", SYNTAX, repr(name))
        check_choice("model", name, list_models())
        arguments: dict[str, Any] = {} if size is None else {"img_size": size}
        return create_model(name, **arguments), "random"


def _timm(name: str, pretrained: bool, size: int | None) -> nn.Module:
    timm: Any = import_timm()
    if not timm.is_model(name.partition(".")[0]):
        close = nearest(name, timm.list_models())
        fail("model", f"a model of timm's (nearest: {', '.join(close) or 'none'})", repr(name))
    arguments: dict[str, Any] = {} if size is None else {"img_size": size}
    try:
        try:
            model: nn.Module = timm.create_model(name, pretrained=pretrained, **arguments)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            # A network of convolutions takes any size, and no such argument.
            model = timm.create_model(name, pretrained=pretrained)
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        # No network, none published, or of another shape: one line is enough to see which.
        expected = f"weights that timm can fetch for {name}"
        fail("pretrained", expected, " ".join(f"{type(error).__name__}: {error}".split())[:300])
    return model


def _from_file(path: Path, factory: str) -> Any:
    """What `factory` of a Python file returns, or is. This runs the file."""
    if not path.is_file():
        fail("model", "an existing file before ':'", repr(str(path)))
    spec = importlib.util.spec_from_file_location(f"_audited_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        made = getattr(module, factory)
        return made if isinstance(made, nn.Module) else made()
    except Exception as error:  # somebody else's code: whatever it throws, the argument is at fault
        got = f"{type(error).__name__}: {error}"
        raise ValueError(f"model: expected {path}:{factory} to build a model, got {got}") from error
