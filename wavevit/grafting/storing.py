"""Save grafts as safetensors files and load them onto the model that they were made for."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from wavevit.checks import check_bool, fail
from wavevit.files import as_path, check_output_file, write_whole
from wavevit.grafting.digests import tensor_digest
from wavevit.grafting.embedding import find_embedding
from wavevit.grafting.grafted import find_grafted
from wavevit.grafting.surgery import graft, ungraft

__all__ = ["load_graft", "read_graft", "save_graft"]

Model = TypeVar("Model", bound=nn.Module)

_KEY = "wavevit.graft"  # of the metadata, which safetensors keeps as strings


def save_graft(
    grafted: nn.Module,
    path: str | Path,
    base: str,
    licence: str,
    *,
    original: nn.Module | None = None,
) -> Path:
    """Saves a grafted model as one safetensors file, with the name and licence of its base model.

    Args:
        grafted: a model of `wavevit.graft`.
        path: output file, ``.safetensors``, in an existing folder.
        base: name of the base model, such as ``"timm/vit_small_patch14_dinov2.lvd142m"``.
        licence: its licence, such as ``"Apache-2.0"``. Weights that were trained from it are
            under its terms too.
        original: the base model before the graft. If given, only the branch and the tensors that
            differ from its own are saved: a small file, which `load_graft` then adds to the same
            weights. By default all tensors are saved.

    Returns:
        The path.

    Raises:
        ValueError: a model without a graft, an empty name or licence, another suffix, or an
            `original` of another architecture.

    Guarantees:
        `load_graft` returns bit-equal tensors (tests/unit/test_graft_files.py).
    """
    path = as_path("path", path)
    for argument, value in (("base", base), ("licence", licence)):
        if not isinstance(value, str) or not value.strip():
            fail(argument, "a name, such as 'timm/vit_small_patch16_224' or 'Apache-2.0'", value)
    if path.suffix != ".safetensors":
        fail("path", "a file that ends in .safetensors", path)
    check_output_file("path", path)
    name, embedding = find_grafted(grafted)
    if original is not None and not isinstance(original, nn.Module):
        got = type(original).__name__
        fail("original", "the base model before the graft, or None", got)
    plain = ungraft(grafted)
    states = {key: t.detach().cpu().contiguous() for key, t in grafted.state_dict().items()}
    own = plain.state_dict()
    kept: dict[str, str] = {}
    if original is not None:
        base_state = original.state_dict()
        _check_fits("original", _shapes(own), base_state)
        kept = {key: tensor_digest(t) for key, t in own.items() if _equal(t, base_state[key])}
    card = {
        "base": base,
        "licence": licence,
        "model": type(plain).__qualname__,
        "embedding": name,
        "options": embedding.graft.options.to_dict(),
        "shapes": _shapes(own),
        "kept": kept,
        "version": importlib.metadata.version("wavevit"),
    }
    written = {key: t.clone() for key, t in states.items() if key not in kept}
    metadata = {"format": "pt", _KEY: json.dumps(card), "base": base, "licence": licence}
    write_whole(path, save(written, metadata=metadata))
    return path


def read_graft(path: str | Path) -> dict[str, Any]:
    """Reads the metadata of a file of `save_graft`, without its tensors.

    Returns:
        ``base``, ``licence``, ``model`` (its class), ``embedding``, ``options``, ``shapes`` of the
        base model's tensors, ``kept`` (digests of those that are not in the file), ``version``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another kind.
    """
    return _read(as_path("path", path))[0]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    path.stat()  # a missing file is an error of its own, which names it
    if path.is_dir():
        fail("path", "a safetensors file of wavevit.grafting.save_graft", f"the folder {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        fail("path", "a safetensors file of wavevit.grafting.save_graft", f"{path} ({error})")
    if _KEY not in metadata:
        fail("path", "a safetensors file of wavevit.grafting.save_graft", path)
    return json.loads(metadata[_KEY]), tensors


def load_graft(path: str | Path, model: Model, *, strict: bool = True) -> Model:
    """Grafts a model as a file of `save_graft` says, and loads the file's tensors.

    Nothing is pickled, and no code from the file is executed. A tokenizer of your own has to be
    registered before.

    Args:
        path: the file.
        model: the base model, without a graft; it is not changed.
        strict: refuse a model whose own weights are not those of the base model, where the file
            does not hold them, and one of another class. False only asks that the file's tensors
            fit, for example for a model with another head.

    Returns:
        A grafted copy of the model.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another kind, a model of another architecture, or other weights.
    """
    card, tensors = _read(as_path("path", path))
    check_bool("strict", strict)
    name, _ = find_embedding(model)
    if name != card["embedding"]:
        got = f"{type(model).__name__} with one at {name}"
        fail("model", f"{card['model']} with a patch embedding at {card['embedding']}", got)
    state = model.state_dict()
    branch = f"{name}.graft."
    if strict:
        if type(model).__qualname__ != card["model"]:
            fail("model", f"{card['model']}, as {card['base']} is", type(model).__qualname__)
        _check_fits("model", card["shapes"], state)
        _check_weights(card, state)
    else:
        own = {key: list(t.shape) for key, t in tensors.items() if not key.startswith(branch)}
        _check_fits("model", own, {key: t for key, t in state.items() if key in own})
    grafted = graft(model, **card["options"])
    grafted.load_state_dict({**grafted.state_dict(), **tensors})
    return grafted


def _shapes(state: Mapping[str, Tensor]) -> dict[str, list[int]]:
    return {key: list(tensor.shape) for key, tensor in state.items()}


def _check_fits(
    argument: str, shapes: Mapping[str, list[int]], state: Mapping[str, Tensor]
) -> None:
    """Refuses tensors of other names or shapes."""
    found = _shapes(state)
    differ = [
        f"{key} of shape {shapes.get(key)} (here {found.get(key)})"
        for key in dict.fromkeys([*shapes, *found])
        if shapes.get(key) != found.get(key)
    ]
    if differ:
        more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
        got = f"{len(differ)} tensors that differ: {'; '.join(differ[:3])}{more}"
        fail(argument, "a model of the same architecture", got)


def _check_weights(card: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Refuses other values where the file relies on the base model's own."""
    differ = [key for key, digest in card["kept"].items() if tensor_digest(state[key]) != digest]
    if differ:
        expected = f"the weights of {card['base']}, on which the file builds (or strict=False)"
        got = f"{len(differ)} tensors with other values, such as {differ[0]}"
        fail("model", expected, got)


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and tensor_digest(one) == tensor_digest(other)
