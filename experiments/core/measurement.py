"""Measurements: experiments on models as they are, trained by a study or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.core.experiment import Experiment, View
from experiments.core.records import RECORDS, noted, write_json
from experiments.core.table import Table
from wavevit.files import check_output_folder, write_whole


@dataclass
class MeasurementOptions:
    """Measure models as they are and write the record."""

    runs: Path = Path("runs")
    """Folder of the studies' folders, whose trained models are measured."""
    out: Path = RECORDS
    """Folder of the records; the measurement gets a subfolder by its name."""
    module: tuple[Path, ...] = ()
    """Python files to import first: they may define the measurement."""


@dataclass(frozen=True, kw_only=True)
class Measurement(Experiment):
    """A question about models as they are, answered photograph by photograph or seed by seed.

    Attributes:
        measure: from the folder of the studies' folders to plain data.
        table: of the record; it is printed, and kept beside the record.
    """

    kind: ClassVar[str] = "measurement"
    verb: ClassVar[str] = "run"

    measure: Callable[[Path], dict[str, Any]]
    table: Callable[[Mapping[str, Any]], Table] | None = None

    @property
    def options(self) -> type[MeasurementOptions]:
        """Where the runs are, and where the record goes."""
        return MeasurementOptions

    def commands(self) -> dict[str, str]:
        """One record."""
        return {f"{self.name}/measurement.json": self.command()}

    def views(self, record: str, data: Any) -> tuple[View, ...]:
        """The table, if it has one."""
        return self._views(RECORDS / Path(record).parent)

    def _views(self, folder: Path) -> tuple[View, ...]:
        if self.table is None:
            return ()
        table = self.table
        return (View(folder / "table.md", lambda data: table(data).markdown() + "\n"),)

    def measured(self, options: Any) -> tuple[str, str, dict[str, Any]]:
        """The record's path below ``--out``, what was typed for it, and what was found."""
        return f"{self.name}/measurement.json", "", self.measure(options.runs)

    def run(self, options: MeasurementOptions) -> int:
        """Measures, and writes the record."""
        check_output_folder("out", options.out)
        print(f"{self.name} …", flush=True)
        start = time.monotonic()
        record, words, found = self.measured(options)
        path = options.out / record
        found = {"measurement": self.name, **found}
        found = noted(found, self.command(words), time.monotonic() - start)
        write_json(path, found)
        for view in self._views(path.parent):
            text = view.render(found)
            write_whole(view.path, text.encode())
            print(text, end="")
        print(f"→ {path}", flush=True)
        return 0
