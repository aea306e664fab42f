"""The trained models of a study, loaded from its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.core.checkpoint import load_weights
from experiments.core.config import RunConfig
from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.training import make_model


@dataclass(frozen=True)
class TrainedRuns:
    """The complete runs of a study whose models answer in its report.

    Attributes:
        folder: of the study.
        seeds: of each variant, in order.
    """

    folder: StudyFolder
    seeds: Mapping[str, Sequence[int]]

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


def _loaded(run: RunFolder) -> Any:
    model = make_model(run.load_config()).eval()
    load_weights(run.weights, model)
    return model
