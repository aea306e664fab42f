"""The same study on other data: a folder of photographs, or another data source."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.core.config import RunConfig
from experiments.core.sources import check_repeats, make_source, source_name
from wavevit.checks import check_choice, fail
from wavevit.data import WindowCutter, list_sources
from wavevit.data.sources import source_class

if TYPE_CHECKING:
    from experiments.core.study import Study

# Tasks whose classes are those of the source; others bring their own.
_CLASSES_OF_SOURCE = ("classification", "segmentation")
# Options of sources that may name a place on the user's machine.
_PATHS = ("path", "photographs")
# Arguments of every source, which are no options.
_OF_STUDY = ("split", "crop_size", "margin")
# Sources of a user's pictures with classes, and their options that say how a picture is prepared:
# they stay when a study reads another of these sources.
_OF_PICTURES = ("folder", "hf", "hf_stream")
_PREPARING = tuple(inspect.signature(WindowCutter).parameters)


@dataclass(kw_only=True)
class DataChoice:
    """Options for other data than the study's own."""

    photographs: Path | None = None
    """Folder of photographs in place of the bundled ones: each is a class, with its left half
    for training and its right half for tests."""
    source: str = ""
    """Another data source, such as folder, hf, elpv or fashion_mnist."""
    source_options: tuple[str, ...] = ()
    """Options of the data source: NAME=VALUE, the value in JSON or as text."""
    repeats: int | None = None
    """How often a picture comes in an epoch of training, each time augmented anew. Default: as the
    study has it. A stream can only have 1."""

    @property
    def words(self) -> str:
        """What was typed."""
        parts = [f"--photographs {shlex.quote(str(self.photographs))}"] if self.photographs else []
        parts += [f"--source {self.source}"] if self.source else []
        if self.source_options:
            parts.append("--source-options " + " ".join(map(shlex.quote, self.source_options)))
        parts += [f"--repeats {self.repeats}"] if self.repeats is not None else []
        return " ".join(parts)

    @property
    def label(self) -> str:
        """A word for the names of folders."""
        parts = [self.photographs.resolve().name] if self.photographs else []
        parts += [self.source] if self.source else []
        # Other options, other runs: a share of the data belongs to the name, a path does not.
        parts += [
            option.replace("=", "")
            for option in self.source_options
            if re.fullmatch(r"\w+=[\w.]+", option)
        ]
        parts += [f"repeats{self.repeats}"] if self.repeats is not None else []
        return re.sub(r"[^A-Za-z0-9_.]+", "-", "_".join(parts)).strip("-") or "data"


def on_data(study: Study, choice: DataChoice) -> Study:
    """The study with every run on other data; the study itself where nothing was chosen.

    The runs have as many classes and channels as the data, and a folder of their own. Where the
    data are a user's files, their digest is part of the configuration: a run that is continued
    after the files changed is refused.

    Raises:
        ValueError: an unknown source or option, photographs for a study that shows none, repeats
            below 1, or a measure that the data do not allow.
    """
    if not choice.words:
        return study
    options = read_source_options(choice.source_options)
    if choice.source:
        check_choice("source", choice.source, list_sources())
    if choice.photographs is not None:
        options["photographs"] = str(choice.photographs)
    own = study.configs()
    configs = {name: _placed(run, choice, options) for name, run in own.items()}
    first = configs[study.baseline]
    name = source_name(first)
    if choice.photographs is not None and not source_class(name).of_photographs:
        fail(
            "photographs", "a study whose pictures are made of photographs", f"the source {name!r}"
        )
    if "zoom" in study.measures and name != "scenes":
        fail("source", f"'scenes' for {study.name}, which measures zoom", repr(name))
    # Of other data the task itself compares moved masks.
    measures = tuple(m for m in study.measures if m != "mask_jitter" or name == "composites")
    source = make_source(first, first.data.trained_on, 0)
    if source.fingerprint():
        options["digest"] = source.fingerprint()

    def changed(run: RunConfig) -> RunConfig:
        fields: dict[str, Any] = {"in_chans": source.in_chans}
        if run.task in _CLASSES_OF_SOURCE:
            fields["num_classes"] = source.num_classes
        model = dataclasses.replace(run.model, **fields)
        return dataclasses.replace(_placed(run, choice, options), model=model)

    variants = {name: changed(run) for name, run in own.items()}
    if study.fitted is not None:
        variants = study.fitted(variants, source)
    return dataclasses.replace(
        study,
        name=f"{study.name}_{choice.label}",
        typed=f"{study.words} {choice.words}",
        variants=lambda: variants,
        measures=measures,
    )


def check_own_data(run: RunConfig) -> None:
    """Refuses a run whose data source needs a path and has none, or cannot repeat pictures as the
    run asks for, before anything is computed.

    Raises:
        ValueError: what the source says.
    """
    check_repeats(run)
    takes = inspect.signature(source_class(source_name(run))).parameters
    if "path" in takes and "path" not in dict(run.data.source_options):
        make_source(run, run.data.trained_on, 0)


def without_folders(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's configuration as plain data for a record: of a path on this machine its last part.

    Args:
        config: as `RunConfig.to_dict` gives it.
    """
    options = [
        (name, Path(value).name if name in _PATHS and _is_path(value) else value)
        for name, value in config["data"]["source_options"]
    ]
    return {**config, "data": {**config["data"], "source_options": options}}


def data_in_words(config: Mapping[str, Any]) -> str:
    """What a run of classification was trained and tested on, in words.

    Args:
        config: as `RunConfig.to_dict` gives it.

    Returns:
        The words; empty where the configuration does not say it.
    """
    data = config["data"]
    source, options = data.get("source", ""), dict(data.get("source_options", ()))
    if "photographs" in options:
        classes = config["model"]["num_classes"]
        return f"crops of {classes} photographs ({Path(options['photographs']).name})"
    if source == "elpv":
        return "solar cells (ELPV)"
    if source == "fashion_mnist":
        return f"Fashion-MNIST ({100 * options.get('share', 1.0):g} % of its training pictures)"
    if source in ("folder", "hf", "hf_stream", "pairs"):
        return f"{source} {options.get('path', '')}".strip()
    return ""


def _is_path(value: object) -> bool:
    """Whether a value names a place on this machine: not one of a data set on the Hub."""
    text = str(value)
    return text.startswith(("/", "~", ".")) or Path(text).exists()


def _placed(run: RunConfig, choice: DataChoice, options: dict[str, Any]) -> RunConfig:
    source, held = choice.source, dict(run.data.source_options)
    if {source, run.data.source} <= set(_OF_PICTURES) and source != run.data.source:
        held = {name: value for name, value in held.items() if name in _PREPARING}
    elif source not in ("", run.data.source):
        held = {}
    data = dataclasses.replace(
        run.data,
        source=source or run.data.source,
        source_options=tuple(sorted((held | options).items())),
        repeats=run.data.repeats if choice.repeats is None else choice.repeats,
    )
    return dataclasses.replace(run, data=data)


def read_source_options(words: Sequence[str]) -> dict[str, Any]:
    """Options of a data source from words NAME=VALUE.

    Raises:
        ValueError: a word of another form, or a name that the study sets.
    """
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name.isidentifier() and equals):
            fail("source_options", "NAME=VALUE", repr(word))
        if name in _OF_STUDY:
            fail("source_options", f"no {name}, which the study sets", repr(word))
        if name in _PATHS and value.startswith("~"):  # not every shell expands it behind a "="
            value = str(Path(value).expanduser())
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found
