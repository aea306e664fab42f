"""Trains and measures a study: ``python -m experiments.run patch_vs_wavelet``.

Complete runs are skipped and killed runs resume: run the same command again to continue.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro

from experiments.core.device import pick_device
from experiments.core.folder import StudyFolder, environment
from experiments.core.reuse import reuse_equal_runs
from experiments.core.scale import SCALES, at_scale
from experiments.core.scheduler import clear_latency, default_jobs, measure_latency, plan, run_cells
from experiments.core.usage import wrong_usage
from experiments.studies import STUDIES, get_study
from wavevit.checks import check_at_least, fail
from wavevit.files import check_output_folder
from wavevit.plugins import import_files

__all__ = ["Options", "main", "run_study"]


@dataclass
class Options:
    """Train and measure the variants of a study, several seeds each, several runs in parallel."""

    study: Annotated[str, tyro.conf.Positional, tyro.conf.arg(help=f"one of: {', '.join(STUDIES)}")]
    seeds: tuple[int, ...] = field(default=(), metadata={"help": "by default the study's own"})
    variants: tuple[str, ...] = ()
    """Variants by name; by default all."""
    scale: Annotated[str, tyro.conf.arg(help=f"one of: {', '.join(SCALES)}")] = "default"
    out: Path | None = None
    """Folder of the runs. Default: runs/STUDY, or runs/STUDY_large for --scale large."""
    device: str = "auto"
    """cpu, cuda or cuda:1; auto takes the first GPU, if any. mps is not supported: no float64."""
    jobs: int | None = None
    """Runs in parallel. Default: one per core, or one on a GPU."""
    threads: int | None = None
    """CPU threads of each run. Default: the number of cores divided by the jobs."""
    minutes: float = math.inf
    """Time budget in minutes: no run starts later. Run the command again to continue."""
    module: tuple[str, ...] = ()
    """Python files (or module names) to run first: they register parts, models or studies."""
    timing: bool = True
    """Time the variants when all runs are complete. Use --no-timing on a busy machine."""


def run_study(options: Options) -> int:
    """Does what the options say; returns the number of runs that are not complete."""
    import_files(options.module)
    study = at_scale(get_study(options.study), options.scale)
    device = pick_device(options.device)
    if not options.minutes >= 0:  # nor NaN, after which no time would come
        fail("minutes", "a number of at least 0", options.minutes)
    folder = StudyFolder(options.out or Path("runs") / study.name, study.name)
    check_output_folder("out", folder.path)
    cells = plan(study, folder, options.seeds or study.seeds, options.variants or None)
    jobs, threads = default_jobs(device, len(cells))
    if options.jobs is not None:
        jobs = check_at_least("jobs", options.jobs, 1)
        threads = max(torch.get_num_threads() // jobs, 1)
    if options.threads is not None:
        threads = check_at_least("threads", options.threads, 1)
    print(f"{study.question}\n{len(cells)} runs on {device}, {jobs} side by side → {folder.path}")
    reused = reuse_equal_runs(cells, folder, environment(device, threads))
    if reused:
        print(f"{reused} runs take weights and measures of equal runs beside this study.")
    fresh = any(not cell.complete for cell in cells)
    if fresh:
        clear_latency(folder)
    failed = run_cells(cells, device, jobs, threads, options.minutes)
    if options.timing and not folder.latency.exists():
        print("Timing the variants, interleaved …")
        measure_latency(study, folder, device)
    for cell in failed:
        tried = cell.folder.failed.exists()
        reason = f"the reason is in {cell.folder.failed}" if tried else "it was not begun"
        print(f"Not complete: {cell.label}; {reason}", file=sys.stderr)
    return len(failed)


def main() -> None:
    """The command line; complaints about arguments come without a traceback."""
    options = tyro.cli(Options, prog="python -m experiments.run", description=Options.__doc__)
    try:
        failed = run_study(options)
    except ValueError as error:
        wrong_usage("experiments.run", error)
    except KeyboardInterrupt:
        raise SystemExit("Stopped. The same command continues from the last checkpoints.") from None
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
