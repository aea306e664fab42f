"""`hf`: pictures with classes from a data set of Hugging Face `datasets`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from wavevit.checks import fail
from wavevit.data.hub_reading import class_names, hub_columns, open_hub, read_example, split_names
from wavevit.data.labelled import TRAINED, LabelledPictures
from wavevit.data.sources import register_source
from wavevit.data.splits import part_of, take_share

__all__ = ["HubPictures"]


@register_source("hf")
class HubPictures(LabelledPictures):
    """Pictures of a data set that `datasets` opens: on the Hub, parquet, or folders of pictures.

    Where the data set has parts for test and validation, these are the splits; a part that it
    lacks is divided off the training part by a seeded hash, each class in equal shares
    (`FolderPictures` says how). Data sets that do not fit on the disk: source ``hf_stream``.

    Args:
        split, crop_size, margin: see `Source`.
        path: a name on the Hub, a folder of parquet files or pictures, or a parquet file.
        name: of a configuration of the data set.
        revision: of a data set on the Hub.
        image, label: names of columns; by default the only ones of their kinds.
        train, test, validation: names of the data set's parts; by default the usual ones.
        seed: of the division into splits.
        share: of the pictures of each class that are trained on, above 0 and at most 1.
        cache: folder of the data that `datasets` prepares; by default its own.
        **options: see `LabelledPictures`.

    Raises:
        ImportError: `datasets` is missing (extra ``datasets``).
        ValueError: a data set that cannot be opened, parts or columns that it lacks, or labels that
            are no classes.

    Guarantees:
        As `LabelledPictures`; tested on parquet files (tests/unit/test_data_hub.py).
    """

    def __init__(
        self,
        split: str,
        crop_size: int = 64,
        margin: int = 0,
        path: str | Path | None = None,
        name: str | None = None,
        revision: str | None = None,
        image: str = "",
        label: str = "",
        train: str = "",
        test: str = "",
        validation: str = "",
        seed: int = 0,
        share: float = 1.0,
        cache: str | None = None,
        **options: Any,
    ) -> None:
        parts = open_hub(path, name, revision, cache)
        found = split_names(parts, train=train, test=test, validation=validation)
        own = found["train" if split in TRAINED else split] or found["train"]
        data, columns = parts[own], hub_columns(parts[found["train"]].features, image, label)
        values = list(data[columns.label])
        classes = class_names(data.features[columns.label])
        if not classes:
            named = set(parts[found["train"]][columns.label])
            if None in named:
                fail("label", f"a class for each picture in {found['train']!r}", "some without one")
            known = sorted(named)
            classes = tuple(map(str, known))
            places = {value: index for index, value in enumerate(known)}
            if not set(values) <= places.keys():
                fail("label", f"classes of the part {found['train']!r}", f"others in {own!r}")
            values = [places[value] for value in values]
        if any(value is None or value < 0 for value in values):
            fail("label", f"a class for each picture in {own!r}", "pictures without one")
        names, rows = [f"{own}/{row}" for row in range(len(values))], list(range(len(values)))
        whole = {"train": bool(found["test"]), "fit": bool(found["validation"])}
        if own == found["train"] and not whole.get(split, False):
            rows = part_of(split, names, values, seed, tested=bool(found["test"]))
        if split in TRAINED:
            chosen = take_share([names[r] for r in rows], [values[r] for r in rows], share, seed)
            rows = [rows[index] for index in chosen]
        super().__init__(split, crop_size, margin, classes, [values[r] for r in rows], **options)
        self.rows, self.part, self.image = rows, own, columns.image
        decoded = data.features[columns.image]
        self.data = data.cast_column(columns.image, type(decoded)(decode=False))

    def read(self, index: int) -> Tensor:
        return read_example(self.data[self.rows[index]][self.image], self.name(index))

    def name(self, index: int) -> str:
        return f"{self.part}/{self.rows[index]}"
