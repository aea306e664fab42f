"""The trained models of a study, loaded from its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.core.checkpoint import load_weights
from experiments.core.config import RunConfig
from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.snapshots import Snapshots
from experiments.core.training import make_model


@dataclass(frozen=True)
class TrainedRuns:
    """The complete runs of a study whose models answer in its report.

    Attributes:
        folder: of the study.
        seeds: of each variant, in order.
        snapshots: variants whose weights the study keeps on the way.
    """

    folder: StudyFolder
    seeds: Mapping[str, Sequence[int]]
    snapshots: Snapshots = field(default_factory=Snapshots)

    def _run(self, variant: str, seed: int) -> RunFolder:
        return self.folder.run(variant, seed)

    def away(self) -> list[str]:
        """Variants whose weights of the first seed did not come along from another machine."""
        return [
            name for name, own in self.seeds.items() if not self._run(name, own[0]).weights.exists()
        ]

    def config(self, variant: str) -> RunConfig:
        """Of the variant's first seed."""
        return self._run(variant, self.seeds[variant][0]).load_config()

    def models(self) -> dict[str, Any]:
        """By variant, the model of the first seed, in eval mode."""
        return {name: _loaded(self._run(name, own[0])) for name, own in self.seeds.items()}

    def of_seeds(self, variant: str) -> Iterator[Any]:
        """The variant's models of all seeds whose weights are there, in eval mode."""
        runs = (self._run(variant, seed) for seed in self.seeds[variant])
        return (_loaded(run) for run in runs if run.weights.exists())

    def over_training(self) -> dict[str, dict[int, Path]]:
        """By variant of `snapshots`, files of the first seed's weights after each of their steps.

        Variants that lack a file are left out, and named on the standard output: such a run was
        trained without `snapshots`, or elsewhere, or is not the first seed of the study.
        """
        found = {}
        for name in self.snapshots.variants:
            if name not in self.seeds:
                continue
            run, total = self._run(name, self.seeds[name][0]), self.config(name).optimizer.steps
            files = {
                step: run.weights if step == total else run.snapshot(step)
                for step in self.snapshots.steps(total)
            }
            missing = [file.name for file in files.values() if not file.exists()]
            if missing:
                print(
                    f"No pictures of {name} over training: {run.path} has no {missing[0]}. To make "
                    "them, delete the folder and run the study again with its first seed."
                )
            else:
                found[name] = files
        return found

    def at(self, variant: str, weights: Path) -> Any:
        """The variant's model with the weights of a file, in eval mode."""
        return _loaded(self._run(variant, self.seeds[variant][0]), weights)


def _loaded(run: RunFolder, weights: Path | None = None) -> Any:
    model = make_model(run.load_config()).eval()
    load_weights(weights or run.weights, model)
    return model
