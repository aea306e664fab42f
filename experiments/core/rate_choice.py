"""The peak learning rate of each variant, chosen on validation data with one budget for all."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from experiments.core.config import RunConfig, changed
from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.records import read_json
from experiments.core.snapshots import Snapshots
from wavevit.checks import check_at_least, check_choice, fail
from wavevit.tasks import TASKS

if TYPE_CHECKING:
    from experiments.core.study import Study


@dataclass(frozen=True, kw_only=True)
class RateChoice:
    """How a study chooses the peak learning rate of each variant before its runs.

    Every variant is trained once at each rate, on the ``"fit"`` split and for a part of the steps.
    The rate with the best score on the ``"validation"`` split is taken; the study's own wins a tie.
    The test split is not read.

    Attributes:
        factors: on the study's own rate.
        shorter: the study's steps and warm-up are divided by this.
        same_as: variants that are not tried but take the rate of another one, given by name.
        seed: of these trainings.

    Raises:
        ValueError: no factor 1, repeated factors or factors that are not positive; a divisor
            below 1; a negative seed.
    """

    factors: tuple[Fraction, ...] = (Fraction(1, 3), Fraction(1), Fraction(3))
    shorter: int = 3
    same_as: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        good = 1 in self.factors and min(self.factors) > 0
        if not good or len(set(self.factors)) < len(self.factors):
            fail("factors", "positive ones, all different, 1 among them", self.factors)
        check_at_least("shorter", self.shorter, 1)
        check_at_least("seed", self.seed, 0)

    def runs(self, run: RunConfig) -> dict[str, RunConfig]:
        """The shorter run of a variant at each rate, by the rate in words."""
        optimizer = run.optimizer
        shared = {
            "optimizer.steps": max(optimizer.steps // self.shorter, 1),
            "optimizer.warmup_steps": optimizer.warmup_steps // self.shorter,
            "data.held_out": "validation",
            "data.margin": 0,  # nothing moves, and the validation part of a photograph is small
        }
        rates = sorted(float(factor) * optimizer.lr for factor in self.factors)
        return {_words(rate): changed(run, shared | {"optimizer.lr": rate}) for rate in rates}


@dataclass(frozen=True, kw_only=True)
class ChosenRates:
    """What the validation data said.

    Attributes:
        scores: by variant that was tried, and by peak learning rate in words: the score.
        core_minutes: that it took on CPUs.
    """

    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    core_minutes: float = 0.0


def _words(rate: float) -> str:
    """A rate, to three digits: ``"0.003"``."""
    return f"{rate:.3g}"


def _variant(name: str, rate: str) -> str:
    return f"{name}, rate {rate}"


def _tried(study: Study, names: Collection[str]) -> tuple[str, ...]:
    """The variants that are trained at each rate, for the rates of the named ones."""
    return tuple(dict.fromkeys(_source(study, name) for name in names))


def _source(study: Study, name: str) -> str:
    """The variant whose rate a variant takes: the one whose weights it has, the one that `same_as`
    names, or itself."""
    assert study.rates is not None
    name = study.applied.get(name, name)
    return study.rates.same_as.get(name, name)


def rate_folder(folder: StudyFolder) -> StudyFolder:
    """Where a study's trainings for the choice are kept: beside its own folder."""
    path = folder.path.with_name(f"{folder.path.name}_rates")
    return StudyFolder(path, f"{folder.study}_rates")


def rate_study(study: Study, names: Collection[str]) -> Study:
    """The study that tries the rates.

    Args:
        study: one with a `RateChoice`.
        names: variants whose rates are wanted.

    Raises:
        ValueError: a variant that takes the rate of an unknown one, or a task other than
            classification, whose score is all that a validation run measures.
    """
    choice, configs = study.rates, study.configs()
    assert choice is not None
    for name, source in choice.same_as.items():
        check_choice("same_as", name, configs)
        check_choice(f"same_as[{name!r}]", source, configs.keys() - choice.same_as.keys())
    task = configs[study.baseline].task
    if task != "classification":
        fail("rates", "a study of classification", f"one of {task}")

    def variants() -> dict[str, RunConfig]:
        return {
            _variant(name, rate): run
            for name in _tried(study, names)
            for rate, run in choice.runs(configs[name]).items()
        }

    return dataclasses.replace(
        study,
        name=f"{study.name}_rates",
        question="Which peak learning rate suits each variant, judged on validation data?",
        variants=variants,
        baseline=next(iter(variants())),
        contrasts=(),
        seeds=(choice.seed,),
        applied={},
        measures=(),
        pictured=(),
        snapshots=Snapshots(),
        data_sets=(),
        rates=None,
    )


def with_chosen_rates(study: Study, folder: StudyFolder, names: Collection[str]) -> Study:
    """The study with the rates that the validation data chose for the named variants.

    A study without a `RateChoice` stays what it is.

    Args:
        study: before the choice.
        folder: of the study; the trainings of the choice are beside it (`rate_folder`).
        names: variants whose rates are wanted.

    Raises:
        ValueError: a training of the choice is not complete; its folder is named.
    """
    choice = study.rates
    if choice is None:
        return study
    configs, tried = study.configs(), rate_folder(folder)
    kind = TASKS.get(configs[study.baseline].task)
    scores: dict[str, dict[str, float]] = {}
    seconds = 0.0
    for name in _tried(study, names):
        for rate in choice.runs(configs[name]):
            run = tried.run(_variant(name, rate), choice.seed)
            result = _result(run, study)
            scores.setdefault(name, {})[rate] = float(result[kind.score])
            threads = read_json(run.environment)["threads"]
            seconds += threads * sum(result["seconds"].values())
    best = {
        name: best_rate(found, _words(configs[name].optimizer.lr), kind.higher_is_better)
        for name, found in scores.items()
    }

    def chosen(name: str, run: RunConfig) -> RunConfig:
        if name not in names:
            return run
        source = _source(study, name)
        lr = choice.runs(configs[source])[best[source]].optimizer.lr
        return changed(run, {"optimizer.lr": lr})

    return dataclasses.replace(
        study,
        variants=lambda: {name: chosen(name, run) for name, run in configs.items()},
        chosen=ChosenRates(scores=scores, core_minutes=round(seconds / 60, 1)),
    )


def best_rate(scores: Mapping[str, float], own: str, higher_is_better: bool = True) -> str:
    """The rate with the best score; the study's own where no other is better.

    Args:
        scores: by rate.
        own: the study's own rate, one of them.
        higher_is_better: the direction of the score.
    """
    check_choice("own", own, scores)
    sign = 1 if higher_is_better else -1
    return max(scores, key=lambda rate: (sign * scores[rate], rate == own))


def _result(run: RunFolder, study: Study) -> dict[str, Any]:
    if not run.complete():
        expected = f"complete runs in {run.path.parents[1]} (made by: {study.command()})"
        fail("out", expected, f"none in {run.path}")
    result: dict[str, Any] = read_json(run.result)
    return result
