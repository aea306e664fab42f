"""Open data sets of Hugging Face `datasets`: splits, columns, classes, undecoded pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from wavevit.checks import check_choice, fail, require_extra
from wavevit.data.picture_files import UnreadablePictureError, read_picture

__all__ = ["HubColumns", "class_names", "hub_columns", "open_hub", "read_example", "split_names"]

# Resuming a stream twice was wrong before.
_LEAST_VERSION = (5, 0, 1)
_VALIDATION = ("validation", "val", "valid", "dev")
_HELD_OUT = {"test": ("test", *_VALIDATION), "validation": _VALIDATION}


class HubColumns(NamedTuple):
    """The columns of pictures and classes.

    Attributes:
        image: name of the pictures' column.
        label: name of the classes' column.
    """

    image: str
    label: str


def open_hub(
    path: str | Path | None,
    name: str | None = None,
    revision: str | None = None,
    cache: str | None = None,
    streaming: bool = False,
) -> Mapping[str, Any]:
    """The parts of a data set, by their names in it.

    Args:
        path: a name on the Hub, a folder of parquet files or pictures, or a parquet file.
        name: of a configuration of the data set.
        revision: of a data set on the Hub: a commit, so that the data stay what they are.
        cache: folder of the data that `datasets` prepares; by default its own.
        streaming: read from the files while training.

    Raises:
        ImportError: `datasets` is missing.
        ValueError: a version of it below 5.0.1, or a path that it cannot open.
    """
    datasets = require_extra("datasets", "datasets")
    version = tuple(int(part) for part in re.findall(r"\d+", datasets.__version__)[:3])
    if version < _LEAST_VERSION:
        fail("datasets", "version 5.0.1 or newer", datasets.__version__)
    if path is None:
        fail("path", "a name on the Hub, a folder or a parquet file", None)
    local = Path(path)
    files = {"data_files": {"train": str(local)}} if local.suffix == ".parquet" else {}
    try:
        found = datasets.load_dataset(
            "parquet" if files else str(path),
            name,
            revision=revision,
            cache_dir=cache,
            streaming=streaming,
            **files,
        )
    except (OSError, ValueError) as error:  # not found, offline, an unknown configuration
        said = " ".join(str(error).split())[:200]
        got = f"{path!s} ({type(error).__name__}: {said})"
        fail("path", "a data set that `datasets` opens", got)
    return dict(found)


def split_names(parts: Mapping[str, Any], **wanted: str) -> dict[str, str]:
    """The names of the parts for training, test and validation; empty where there is none.

    Args:
        parts: of the data set, by name.
        **wanted: ``train``, ``test`` and ``validation``: names that the user gave, or empty.

    Raises:
        ValueError: a name that the data set has not, or one part for two purposes.
    """
    found = {"train": wanted.get("train") or "train"}
    check_choice("train", found["train"], parts)
    for role in _HELD_OUT:  # names that were given come first: none is taken for another purpose
        given = wanted.get(role, "")
        if not given:
            continue
        check_choice(role, given, parts)
        if given in found.values():
            fail(role, f"another part than those for {' and '.join(found)}", f"{given!r} again")
        found[role] = given
    for role, known in _HELD_OUT.items():
        if role not in found:
            free = [name for name in known if name in parts and name not in found.values()]
            found[role] = next(iter(free), "")
    return found


def hub_columns(features: Mapping[str, Any] | None, image: str, label: str) -> HubColumns:
    """The columns of a data set, checked.

    Args:
        features: of the data set, by column.
        image: name of the pictures' column; empty for the only one that holds pictures.
        label: name of the classes' column; empty for the only one of type ``ClassLabel``.

    Raises:
        ValueError: no such column, or none or several to choose from.
    """
    features = features or {}
    found = []
    for argument, given, kind in (("image", image, "Image"), ("label", label, "ClassLabel")):
        own = [name for name, feature in features.items() if type(feature).__name__ == kind]
        if given:
            check_choice(argument, given, own if argument == "image" else features)
        elif len(own) != 1:
            fail(argument, f"the name of a column, since {len(own)} hold {kind}", "none")
        found.append(given or own[0])
    return HubColumns(*found)


def class_names(feature: Any) -> tuple[str, ...]:
    """Names of the classes that a feature declares; empty if it declares none."""
    return tuple(getattr(feature, "names", None) or ())


def read_example(picture: Any, name: str) -> Tensor:
    """The pixels of an undecoded picture of a data set, (3, H, W) in [0, 1].

    Args:
        picture: ``{"bytes": …, "path": …}``, as a column of pictures gives without decoding.
        name: for messages.

    Raises:
        UnreadablePictureError: it cannot be read.
    """
    held = picture or {}
    content: bytes | None = held.get("bytes")
    if content is None:
        content = _content(held.get("path"), name)
    return read_picture(content, name).pixels


def _content(path: str | None, name: str) -> bytes:
    """The bytes of a picture that a data set has by its path, which may be an address."""
    if path is None:
        raise UnreadablePictureError(name, "neither bytes nor a path")
    import fsspec  # comes with datasets

    try:
        with fsspec.open(path, "rb") as file:
            content: bytes = file.read()
    except (OSError, ValueError) as error:
        raise UnreadablePictureError(name, f"{type(error).__name__}: {error}") from error
    return content
