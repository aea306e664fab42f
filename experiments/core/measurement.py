"""Measurements: experiments on models as they are, trained by a study or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.core.experiment import Experiment
from experiments.core.records import RECORDS, noted, write_json
from wavevit.files import check_output_folder


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
    """

    kind: ClassVar[str] = "measurement"
    verb: ClassVar[str] = "run"

    measure: Callable[[Path], dict[str, Any]]

    @property
    def options(self) -> type[MeasurementOptions]:
        """Where the runs are, and where the record goes."""
        return MeasurementOptions

    def commands(self) -> dict[str, str]:
        """One record."""
        return {f"{self.name}/measurement.json": self.command()}

    def run(self, options: MeasurementOptions) -> int:
        """Measures, and writes the record."""
        check_output_folder("out", options.out)
        print(f"{self.name} …", flush=True)
        start = time.monotonic()
        found = {"measurement": self.name, **self.measure(options.runs)}
        path = options.out / self.name / "measurement.json"
        write_json(path, noted(found, self.command(), time.monotonic() - start))
        print(f"→ {path}", flush=True)
        return 0
