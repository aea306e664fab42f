"""Studies: experiments that train and measure several configurations."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
import tyro

from experiments.core.config import RunConfig, changed, differing_fields
from experiments.core.data_choice import DataChoice, check_own_data, on_data
from experiments.core.device import pick_device
from experiments.core.distributed import (
    PARALLEL,
    call_ranks,
    launched_ranks,
    process_group,
    rank_device,
)
from experiments.core.experiment import Experiment, View
from experiments.core.folder import StudyFolder
from experiments.core.job import default_workers, follow, plan, run_environment, run_jobs
from experiments.core.latency import measure_latency
from experiments.core.markdown import answer_views, study_views
from experiments.core.rate_choice import (
    ChosenRates,
    RateChoice,
    rate_folder,
    rate_study,
    with_chosen_rates,
)
from experiments.core.records import RECORDS
from experiments.core.reuse import reuse_equal_runs
from experiments.core.scale import SCALE_HELP, SCALES, at_scale
from experiments.core.snapshots import Snapshots
from experiments.core.summary import StudySummary
from wavevit.checks import check_at_least, check_choice, fail
from wavevit.data import Source
from wavevit.files import check_output_folder
from wavevit.tasks.gathering import alone, rank_and_world


@dataclass(frozen=True)
class Contrast:
    """Two variants of a study that differ in one field.

    Attributes:
        variant: the changed one.
        baseline: what it is compared with.
        field: dotted path of the field that differs, such as ``"model.alignment"``.
    """

    variant: str
    baseline: str
    field: str

    @classmethod
    def each(cls, baseline: str, fields: Mapping[str, str]) -> tuple[Contrast, ...]:
        """Several variants of one baseline: fields by variant."""
        return tuple(cls(variant, baseline, field) for variant, field in fields.items())


@dataclass
class StudyOptions(DataChoice):
    """Train and measure the variants of a study, several seeds each, several runs in parallel.

    Complete runs are skipped and killed runs resume: run the same command again to continue.
    """

    seeds: tuple[int, ...] = field(
        default=(), metadata={"help": "Seeds of the runs; by default those of the study."}
    )
    variants: tuple[str, ...] = ()
    """Variants by name; by default all."""
    scale: Annotated[str, tyro.conf.arg(help=SCALE_HELP)] = "default"
    out: Path | None = None
    """Folder of the runs. Default: runs/STUDY, runs/STUDY_large for --scale large, or
    runs/STUDY_DATA on other data."""
    device: str = "auto"
    """cpu, cuda or cuda:1; auto takes the first GPU, if any. mps is not supported: no float64."""
    jobs: int | None = None
    """Runs in parallel. Default: one per core, or one on a GPU."""
    threads: int | None = None
    """CPU threads of each run. Default: the number of cores divided by the jobs."""
    parallel: str = "ddp"
    """How the processes of torchrun share a model: ddp (each has all of it), or fsdp (each has a
    part of it)."""
    accumulate: int | None = None
    """Parts of each batch, one after the other, to save memory. Default: as the study says."""
    cluster: str = ""
    """Address of a Ray cluster that runs the jobs: HOST:PORT, auto, or local for a new one."""
    minutes: float = math.inf
    """Time budget in minutes: no run starts later. Run the command again to continue."""
    timing: bool = True
    """Time the variants when all runs are complete. Use --no-timing on a busy machine."""
    module: tuple[Path, ...] = ()
    """Python files to import first: they may define the study, layers and models."""


@dataclass(frozen=True, kw_only=True)
class Study(Experiment):
    """A question and the runs that answer it.

    Attributes:
        variants: gives the configurations by variant name, seed left at 0.
        baseline: the variant that costs and accuracies are compared with.
        contrasts: what may be read as an ablation; `configs` checks that nothing else differs.
        seeds: default seeds.
        applied: names of variants that are not trained but measured with the weights of another
            one, given by name: an alignment added after training.
        measures: what is measured beside the standard (`experiments.core.evaluation.MEASURES`).
        pictured: variants that figures with a row or a bar each show; by default all.
        snapshots: variants whose weights are kept on the way, for pictures of the report.
        timed_batch: crops in the batch whose forward pass is timed.
        scale: the scale at which its runs are (`at_scale`).
        scales: the scales at which it can run.
        typed: what is typed for it behind ``run``, where its data are not its own (`on_data`).
        data_sets: other data of which the study has records; their files are named as they lie in
            the current folder.
        fitted: gives the variants for other data, where they have numbers that depend on pictures:
            from the variants and the source of the training pictures.
        rates: how the peak learning rate of each variant is chosen before its runs; by default the
            configurations have them.
        chosen: what was found by that choice (`with_chosen_rates`).
    """

    kind: ClassVar[str] = "study"
    verb: ClassVar[str] = "run"

    variants: Callable[[], dict[str, RunConfig]]
    baseline: str
    contrasts: tuple[Contrast, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    applied: Mapping[str, str] = field(default_factory=dict)
    measures: tuple[str, ...] = ()
    pictured: tuple[str, ...] = ()
    snapshots: Snapshots = field(default_factory=Snapshots)
    timed_batch: int = 32
    scale: str = "default"
    scales: tuple[str, ...] = tuple(SCALES)
    typed: str = ""
    data_sets: tuple[DataChoice, ...] = ()
    fitted: Callable[[Mapping[str, RunConfig], Source], dict[str, RunConfig]] | None = None
    rates: RateChoice | None = None
    chosen: ChosenRates = field(default_factory=ChosenRates)

    @property
    def options(self) -> type[StudyOptions]:
        """Seeds, variants, scale, device, jobs, time."""
        return StudyOptions

    @property
    def words(self) -> str:
        """What is typed for this study behind ``run`` or ``report``."""
        if self.typed:
            return self.typed
        if self.scale == "default":
            return self.name
        return f"{self.name.removesuffix(f'_{self.scale}')} --scale {self.scale}"

    def command(self, arguments: str = "") -> str:
        """The command that runs it, at its scale."""
        return f"python -m experiments run {self.words} {arguments}".rstrip()

    def report_command(self) -> str:
        """The command that writes its report."""
        return f"python -m experiments report {self.words}"

    def commands(self) -> dict[str, str]:
        """At each scale the summary, and what the models see, which the report draws; on other data
        the summary alone, since their pictures are not ours to pass on."""
        own = {
            f"{study.name}/{file}": f"{study.command()} && {study.report_command()} --record"
            for study in (at_scale(self, name) for name in self.scales)
            for file in ("summary.json", "pictures.json")
        }
        return own | self.data_commands()

    def data_commands(self) -> dict[str, str]:
        """By record of other data (`data_sets`), the commands that make it."""
        return {
            f"{self.name}_{data.label}/summary.json": (
                f"{self.command(data.words)} && {self.report_command()} {data.words} --record"
            )
            for data in self.data_sets
        }

    def views(self, record: str, data: StudySummary | Mapping[str, Any]) -> tuple[View, ...]:
        """The table, for alignments after training the sensitivity by shift, and the tables of what
        models answer."""
        folder = RECORDS / Path(record).parent
        if isinstance(data, StudySummary):
            return study_views(folder, data)
        return answer_views(folder, data)

    def run(self, options: StudyOptions) -> int:
        """Trains and measures what is not complete; returns the number of runs that are not."""
        check_choice("parallel", options.parallel, PARALLEL)
        device = pick_device(options.device)
        if options.cluster:
            if launched_ranks() > 1:
                fail("cluster", "none under torchrun", options.cluster)
            if options.minutes < math.inf:
                fail("minutes", "none with a cluster, which begins all runs", options.minutes)
        if launched_ranks() == 1:
            return self._chosen(options)._run(options, device)
        device = rank_device(device)
        with process_group(device):
            if rank_and_world()[0]:
                follow(device, options.threads or 1)
                return 0
            try:
                incomplete = self._chosen(options)._run(options, device)
            except ValueError:  # of the options: nothing runs
                call_ranks(None)
                raise
            call_ranks(None)
            return incomplete

    def _chosen(self, options: StudyOptions) -> Study:
        """The study at the scale, on the data and in the parts of batches of the options."""
        study, parts = on_data(at_scale(self, options.scale), options), options.accumulate
        if parts is None:
            return study
        return dataclasses.replace(
            study,
            variants=lambda: {
                name: changed(run, {"execution.accumulate": parts})
                for name, run in study.variants().items()
            },
        )

    def _run(self, options: StudyOptions, device: torch.device) -> int:
        if not options.minutes >= 0:  # nor NaN, after which no time would come
            fail("minutes", "a number of at least 0", options.minutes)
        folder = StudyFolder(options.out or Path("runs") / self.name, self.name)
        check_output_folder("out", folder.path)
        begun, names = time.monotonic(), options.variants or tuple(self.configs())
        for name in names:
            check_choice("variants", name, self.configs())
        if self.rates is not None:
            incomplete = self._try_rates(options, device, folder, names)
            if incomplete:
                return incomplete
        minutes = max(options.minutes - (time.monotonic() - begun) / 60, 0)
        study = with_chosen_rates(self, folder, names)
        jobs = plan(study, folder, options.seeds or self.seeds, options.variants or None)
        if jobs:
            check_own_data(self.configs()[self.baseline])
        workers, threads = default_workers(device, len(jobs))
        if options.jobs is not None:
            workers = check_at_least("jobs", options.jobs, 1)
            threads = max(torch.get_num_threads() // workers, 1)
        if options.threads is not None:
            threads = check_at_least("threads", options.threads, 1)
        ranks = rank_and_world()[1]
        if ranks > 1 or options.cluster:
            workers, threads = 1, options.threads or 1
        side_by_side = f"{workers} in parallel" if ranks == 1 else f"each on {ranks} ranks"
        if options.cluster:
            side_by_side = f"on the cluster {options.cluster}"
        print(f"{study.question}\n{len(jobs)} runs on {device}, {side_by_side} → {folder.path}")
        reused = reuse_equal_runs(jobs, folder, run_environment(device, threads, options.parallel))
        if reused:
            print(f"{reused} runs take weights and results from equal runs of other studies.")
        if any(not job.folder.weights.exists() for job in jobs):
            folder.latency.unlink(missing_ok=True)  # it belongs to the runs of before
        failed = run_jobs(
            jobs,
            device,
            workers,
            threads,
            minutes,
            options.parallel,
            options.cluster,
        )
        if options.timing and not folder.latency.exists():
            print("Timing the variants, interleaved …")
            with alone():
                measure_latency(study, folder, device)
        for job in failed:
            tried = job.folder.failed.exists()
            reason = f"the reason is in {job.folder.failed}" if tried else "it was not started"
            print(f"Not complete: {job.label}; {reason}", file=sys.stderr)
        return len(failed)

    def _try_rates(
        self,
        options: StudyOptions,
        device: torch.device,
        folder: StudyFolder,
        names: tuple[str, ...],
    ) -> int:
        """Trains the named variants at each rate; returns the number of runs that are missing."""
        path = rate_folder(folder).path
        tried = dataclasses.replace(options, out=path, seeds=(), variants=(), timing=False)
        return rate_study(self, names)._run(tried, device)

    def configs(self) -> dict[str, RunConfig]:
        """The variants, checked: every name is that of a variant, all learn one task, and a variant
        that takes another one's weights has the same ones, and a contrast names all that
        differs."""
        configs = self.variants()
        if len(tasks := {run.task for run in configs.values()}) != 1:
            fail("variants", "one task for all of them", sorted(tasks))
        check_choice("baseline", self.baseline, configs)
        for name in self.pictured:
            check_choice("pictured", name, configs)
        trained = [name for name in self.pictured or configs if name not in self.applied]
        for name in self.snapshots.variants:
            check_choice("snapshots.variants", name, trained)
        for name, source in self.applied.items():
            check_choice("applied", name, configs)
            check_choice(f"applied[{name!r}]", source, configs.keys() - self.applied.keys())
            for path in differing_fields(configs[source], configs[name]):
                if not path.startswith(("model.alignment", "data.")):
                    expected = f"{source!r} with another alignment or other test crops"
                    fail(f"applied[{name!r}]", expected, f"a difference in {path}")
        for contrast in self.contrasts:
            check_choice("contrast.variant", contrast.variant, configs)
            check_choice("contrast.baseline", contrast.baseline, configs)
            self._check_contrast(contrast, configs)
        return configs

    def snapshot_steps(self, variant: str, seed: int) -> tuple[int, ...]:
        """The steps after which a run of the study keeps its weights; the last is the end of its
        training, where every run does. Empty for most runs."""
        if variant not in self.snapshots.variants or seed != self.seeds[0]:
            return ()
        return self.snapshots.steps(self.configs()[variant].optimizer.steps)

    def _check_contrast(self, contrast: Contrast, configs: Mapping[str, RunConfig]) -> None:
        """The two variants differ in the field that the contrast names, and in no other one.

        Learning rates that were chosen for each variant (`rates`) may differ too. On other data
        (`typed`) the variants may also have numbers of their own (`fitted`): `on_data` has checked
        them as they were before.
        """
        if self.typed and self.fitted is not None:
            return
        found = differing_fields(configs[contrast.baseline], configs[contrast.variant])
        if self.chosen.scores:
            found = [path for path in found if path != "optimizer.lr"]
        field = contrast.field
        if not found or any(path != field and not path.startswith(f"{field}.") for path in found):
            between = f"{contrast.variant!r} and {contrast.baseline!r}"
            fail(
                "contrast.field",
                f"the one field in which {between} differ",
                f"{field!r}; they differ in {', '.join(found) or 'nothing'}",
            )
