"""Diffusion: from noise to a sample, how near samples are to training crops, likelihoods, and
whether samples follow a shift of their noise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from experiments.core.batches import make_source
from experiments.core.config import RunConfig
from experiments.core.statistic import Statistic
from experiments.measurements.nearest_crops import Nearest, nearest_crops
from experiments.reporting.answers.base import Answers, Configs, Record, register_answers, table
from experiments.reporting.answers.examples import grey_levels, held_out_examples
from experiments.reporting.answers.grid import Cell, picture_grid
from experiments.reporting.answers.over_training import (
    SHOWN,
    over_training,
    over_training_figures,
)
from experiments.reporting.answers.packed import packed, unpacked
from experiments.reporting.figure import StudyFigure
from experiments.reporting.trained import TrainedRuns
from wavevit.data import RawCrops
from wavevit.progress import in_steps
from wavevit.tasks import Diffusion
from wavevit.tasks.flow import trajectory

_COUNT = 12  # samples of each seed
_SHOWN = 3
_STEPS, _QUARTERS = 16, 4  # of Heun's method; pictures on the way
_HELD_OUT = 48  # crops whose distances are the yardstick
_REFERENCES = 2048  # crops of a source that is not ours
_SCORED, _FOLLOWED = 8, 4  # held-out crops whose bits are computed; samples whose noise is shifted
_ALT_PATH = (
    "One row for each model: what it predicts for one noise on its way to a sample, in five "
    "pictures."
)
_ALT_SAMPLES = (
    "One row for each model: samples, each beside the training crop that is nearest to it, with "
    "the distance below."
)


@register_answers("diffusion")
class DrawnImages(Answers):
    """Steps of the sampler, samples beside their nearest training crops, samples over training, the
    distances, and the table of bits and of shifted noise."""

    def record(self, trained: TrainedRuns, config: RunConfig) -> dict[str, Any]:
        examples = held_out_examples(config)
        held = examples.crops(0, min(_HELD_OUT, config.data.test_crops))
        search = _Search.of(config)
        models: dict[str, Any] = {}
        distances, contrasts, flows = {}, {}, {}
        for name in in_steps(trained.seeds):
            tasks = list(trained.of_seeds(name))
            drawn = [_drawn(task, held) for task in tasks]
            flows[name] = [_flow(task, held) for task in tasks]
            nearest = [search(own.samples) for own in drawn]
            models[name] = {
                "path": packed(_bytes(drawn[0].path)),
                "samples": packed(_bytes(drawn[0].samples[:_SHOWN])),
                "nearest": packed(_bytes(nearest[0][0][:_SHOWN])),
                "distances": [round(d, 1) for d in nearest[0][1][:_SHOWN].tolist()],
            }
            distances[name] = Statistic.of([float(found.mean()) for _, found in nearest])
            contrasts[name] = Statistic.of([_contrast(own.samples) for own in drawn])
        real = grey_levels(held["images"])
        return {
            "models": models,
            **over_training(trained, partial(_first_samples, held=held), 8),
            "searched": search.words,
            "tables": {
                "memorisation": _memorisation(
                    distances, contrasts, torch.from_numpy(real).float(), search
                ),
                "likelihood": _likelihood(flows),
            },
        }

    def figures(self, record: Record, configs: Configs) -> list[StudyFigure]:
        path = (
            "The picture that each model predicts for one noise, the same for all (first seed), on "
            f"its way to a sample in {_STEPS} steps of Heun's method: after none, a quarter, half "
            "and three quarters of them; then the sample."
        )
        samples = (
            f"Samples (first seed), each with the nearest of {record['searched']}. Number: root "
            "mean square distance of the two, in grey levels from 0 to 255. A copy has 0; the "
            "table has the same of held-out crops."
        )
        return [
            StudyFigure(
                "path",
                "Predictions on the way from noise to a sample",
                path,
                partial(path_picture, record),
                "picture",
                _ALT_PATH,
            ),
            StudyFigure(
                "samples",
                "Samples and the nearest training crops",
                samples,
                partial(samples_picture, record),
                "picture",
                _ALT_SAMPLES,
            ),
            *over_training_figures(record, "A column starts from the same noise in every row."),
        ]


class _Drawn(NamedTuple):
    path: Tensor  # (5, H, W), grey levels of the predictions for one noise, and of its sample
    samples: Tensor  # (N, H, W), grey levels


def _started(task: Diffusion, held: Mapping[str, Any]) -> tuple[Tensor, Tensor | None]:
    """The noise of the samples, the same for every model; and the held-out crops' classes, if
    any."""
    size = tuple(held["images"].shape[-2:])
    shape = (_COUNT, task.backbone.in_chans, *size)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    labels = None
    if task.options.classes:
        labels = held["labels"].repeat(-(-_COUNT // len(held["labels"])))[:_COUNT]
    return noise, labels


def _first_samples(task: Diffusion, held: Mapping[str, Any]) -> Any:
    """The first of the samples of `_drawn`, as grey levels (N, H, W), uint8."""
    noise, labels = _started(task, held)
    labels = None if labels is None else labels[:SHOWN]
    drawn = task.sample(SHOWN, _STEPS, labels=labels, noise=noise[:SHOWN])
    return _bytes(_levels(drawn["values"]))


def _drawn(task: Diffusion, held: Mapping[str, Any]) -> _Drawn:
    """Samples, and the way of the first one."""
    noise, labels = _started(task, held)
    states = list(trajectory(lambda z, t: task.velocity(z, t, labels), noise, _STEPS))
    times = torch.arange(_QUARTERS) / _QUARTERS
    some = torch.stack([state[0] for state in states[: -1 : _STEPS // _QUARTERS]])
    first = None if labels is None else labels[:1].expand(_QUARTERS)
    path = torch.cat([task.denoise(some, times, first), states[-1][:1]])
    return _Drawn(_levels(path), _levels(states[-1]))


class Flow(NamedTuple):
    """Figures of the probability-flow equation of a model.

    Attributes:
        bits: per dimension of held-out crops (`Diffusion.bits`), their mean.
        patch: change of samples beside the shift, if their noise is shifted by the coarsest stride
            (`followed`).
        pixel: the same for a shift by one pixel.
    """

    bits: float
    patch: float
    pixel: float


def _flow(task: Diffusion, held: Mapping[str, Any]) -> Flow:
    some = {name: held[name][:_SCORED] for name in ("images", *task.keys)}
    bits = task.bits(some, torch.Generator().manual_seed(0), _STEPS)
    size = tuple(held["images"].shape[-2:])
    shape = (_FOLLOWED, task.backbone.in_chans, *size)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    labels = held["labels"][:_FOLLOWED] if task.options.classes else None
    return Flow(
        float(bits.mean()),
        followed(task, noise, task.multiple, labels),
        followed(task, noise, 1, labels),
    )


def followed(task: Diffusion, noise: Tensor, shift: int, labels: Tensor | None = None) -> float:
    """Distance of the samples of circularly shifted noise from the shifted samples, over the
    distance of the samples from their mean.

    Args:
        task: trained.
        noise: (N, C, H, W).
        shift: in pixels, down and to the left.
        labels: classes (N,), where there are classes.
    """
    still, moved = (
        task.sample(len(noise), _STEPS, labels=labels, noise=own)["values"]
        for own in (noise, noise.roll((shift, -shift), (-2, -1)))
    )
    spread = still - still.mean((-2, -1), keepdim=True)
    return float((moved - still.roll((shift, -shift), (-2, -1))).norm() / spread.norm())


def _likelihood(flows: Mapping[str, list[Flow]]) -> dict[str, Any]:
    rows = [
        [
            name,
            *(
                Statistic.of(values).shown(digits)
                for values, digits in zip(zip(*found, strict=True), (1, 3, 3), strict=True)
            ),
        ]
        for name, found in flows.items()
    ]
    return table(
        "Likelihood, and samples of shifted noise",
        f"Bits per dimension of {_SCORED} held-out crops by the probability-flow equation in "
        f"{_STEPS} steps of Heun's method (an upper bound; Hutchinson's estimate). Change of "
        f"samples: if the noise is shifted circularly, the distance of the new samples from the "
        "shifted old ones, over that of the old ones from their means; 0 for a sampler that "
        "follows. Mean ± standard deviation over seeds.",
        [
            "variant",
            "bits per dimension by the flow",
            "change of samples for noise moved by a patch",
            "change of samples for noise moved by 1 px",
        ],
        rows,
    )


def _levels(values: Tensor) -> Tensor:
    """Numbers from −1 to 1, (N, C, H, W), as grey levels (N, H, W)."""
    return ((values + 1) * 128).floor().clamp(0, 255).mean(1)


def _bytes(levels: Tensor) -> Any:
    return levels.round().to(torch.uint8).numpy()


def _contrast(levels: Tensor) -> float:
    """Mean over images of the standard deviation of their pixels."""
    return float(levels.flatten(1).std(dim=1, correction=0).mean())


class _Search(NamedTuple):
    """What samples are compared with: photographs at any place, or crops that were drawn."""

    photographs: list[Tensor]
    words: str

    @classmethod
    def of(cls, config: RunConfig) -> _Search:
        source = make_source(config, config.data.trained_on, 0)
        if isinstance(source, RawCrops):
            pages = []
            for label in range(len(source.scenes.classes)):
                top, bottom, left, right = source.scenes.region(label)
                page = source.scenes.photograph(label)[top:bottom, left:right]
                pages.append((255 * page).round())
            return cls(pages, "all crops of the training halves, at any place")
        batch = source.crop(source.sample(_REFERENCES, torch.Generator().manual_seed(1)))
        crops = torch.from_numpy(grey_levels(batch["images"])).float()
        return cls(list(crops), f"{len(crops)} training crops")

    def __call__(self, levels: Tensor) -> Nearest:
        """The nearest crop of each image, and its distance."""
        return nearest_crops(levels, self.photographs)


def _memorisation(
    distances: Mapping[str, Statistic],
    contrasts: Mapping[str, Statistic],
    held: Tensor,
    search: _Search,
) -> dict[str, Any]:
    base, contrast = float(search(held)[1].mean()), _contrast(held)
    rows = [
        [
            name,
            own.text(1),
            Statistic.of([value / base for value in own.values]).text(2),
            contrasts[name].text(1),
        ]
        for name, own in distances.items()
    ]
    rows.append(["held-out crops", f"{base:.1f}", "1.00", f"{contrast:.1f}"])
    return table(
        "Memorisation",
        f"Mean root mean square distance of {_COUNT} samples of each seed to the nearest of "
        f"{search.words}, in grey levels from 0 to 255, mean ± standard deviation over seeds; the "
        f"last row has the same of {len(held)} held-out crops. A ratio far below 1 means copies or "
        "flat samples: the contrast (standard deviation of an image's pixels) tells which.",
        ["variant", "nearest training distance", "ratio to held-out crops", "contrast"],
        rows,
    )


def path_picture(record: Mapping[str, Any]) -> Figure:
    """One row for each model: its predictions for a noise on the way to a sample."""
    rows = [
        (name, [Cell(picture) for picture in unpacked(own["path"])])
        for name, own in record["models"].items()
    ]
    heads = [*(f"t = {i}/{_QUARTERS}" for i in range(_QUARTERS)), "sample"]
    return picture_grid(rows, heads)


def samples_picture(record: Mapping[str, Any]) -> Figure:
    """One row for each model: samples beside their nearest training crops."""
    rows = []
    for name, own in record["models"].items():
        cells: list[Cell | None] = []
        for sample, crop, distance in zip(
            unpacked(own["samples"]),
            unpacked(own["nearest"]),
            own["distances"],
            strict=True,
        ):
            cells += [Cell(sample), Cell(crop, f"distance {distance:.0f}")]
        rows.append((name, cells))
    return picture_grid(rows, ["sample", "nearest"] * _SHOWN)
