"""Benchmarks: experiments on the library itself, whose figures stand on pages of the docs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.core.experiment import Experiment, View
from experiments.core.records import RECORDS, load_record, noted, write_json
from experiments.core.usage import old_command
from wavevit.checks import fail
from wavevit.files import check_output_file, check_output_folder, write_whole

Save = Callable[[dict[str, Any]], None]  # writes the record as far as it is


@dataclass
class BenchmarkOptions:
    """Measure, write the record and the parts of the docs that follow from it."""

    out: Path | None = None
    """Another place for the record: a JSON file, or a folder. Nothing else is written then."""
    record: bool = True
    """Use --no-record to write nothing."""
    render: bool = False
    """Measure nothing: write the parts of the docs again, from the record."""
    module: tuple[Path, ...] = ()
    """Python files to import first: they may define the benchmark, layers and models."""


@dataclass(frozen=True, kw_only=True)
class Benchmark(Experiment):
    """A question about the library, and the pages that show the answer.

    Attributes:
        measure: from the options, and from a function that writes the record as far as it is, to
            plain data. Where options say "quick", nothing is written but to ``--out``.
        records: by record (its path below ``experiments/records``), the words behind the name that
            make it.
        shown: from a record's path to the parts of the docs that follow from it.
        command_line: the dataclass of the options.
        record_of: from the options to the record; by default the first.
    """

    kind: ClassVar[str] = "benchmark"
    verb: ClassVar[str] = "bench"

    measure: Callable[[Any, Save], dict[str, Any]]
    records: Mapping[str, str]
    shown: Callable[[str], tuple[View, ...]]
    command_line: type[BenchmarkOptions] = BenchmarkOptions
    record_of: Callable[[Any], str] | None = None

    @property
    def options(self) -> type[BenchmarkOptions]:
        """The dataclass of its options."""
        return self.command_line

    def commands(self) -> dict[str, str]:
        """Each record's."""
        return {record: self.command(words) for record, words in self.records.items()}

    def views(self, record: str, data: Any) -> tuple[View, ...]:
        """The parts of the docs that follow from a record."""
        return self.shown(record)

    def run(self, options: BenchmarkOptions) -> int:
        """Measures and writes; 0."""
        record = self.record_of(options) if self.record_of is not None else next(iter(self.records))
        if options.render:
            if not (RECORDS / record).exists():
                fail("render", "a record", f"none at {RECORDS / record}")
            self.write_views(record)
            return 0
        quick = getattr(options, "quick", False)
        path = RECORDS / record if options.record and not quick else None
        if options.out is not None:
            path = self._elsewhere(options.out, Path(record).name)
        start, command = time.monotonic(), self.command(self.records[record])

        def save(found: dict[str, Any]) -> None:
            if path is not None:
                write_json(path, noted(found, command, time.monotonic() - start))

        found = self.measure(options, save)
        save(found)
        for view in self.shown(record):
            print(view.render(found))
        if path is not None:
            print(f"→ {path}")
        if path == RECORDS / record:
            self.write_views(record)
        return 0

    def write_views(self, record: str) -> None:
        """Writes what of the docs follows from a committed record."""
        data = load_record(record)
        for view in self.shown(record):
            held = view.path.read_text() if view.path.exists() else ""
            write_whole(view.path, view.text(data, held).encode())

    def run_old_command(self, printed: bool = False) -> None:
        """What ``python -m experiments.benchmarks.NAME`` did before ``bench NAME`` came.

        Args:
            printed: whether it wrote no record without ``--out``.
        """
        words = sys.argv[1:]
        writes = any(word.split("=")[0] in ("--out", "--record", "--no-record") for word in words)
        old_command([self.verb, self.name, *words, *(["--no-record"] * (printed and not writes))])

    def _elsewhere(self, out: Path, name: str) -> Path:
        """The file that ``--out`` means, checked before anything is computed."""
        if out.suffix == ".json":
            check_output_file("out", out, make_folder=True)
            return out
        check_output_folder("out", out)
        return out / name
