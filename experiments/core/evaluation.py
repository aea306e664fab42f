"""What is measured on a trained model: everything the report shows, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import torch
from torch import Tensor

from experiments.core.config import DataConfig
from experiments.core.sources import scenes_of, source_of
from experiments.core.zoom import zoom_accuracy
from wavevit.data import LabelledPictures, SceneBatch, Scenes, Source
from wavevit.layers.tokenizers import AdaptiveTokenizer
from wavevit.measure import (
    adversarial_shift_accuracy,
    center_crop,
    choice_turnover,
    cost,
    local_lipschitz,
    shift_consistency,
    shift_sensitivity,
    token_turnover,
)
from wavevit.measure.evaluation import in_batches
from wavevit.models import Backbone, token_counts

__all__ = ["MEASURES", "SHIFTS", "embed", "evaluate", "further", "held_out", "token_map"]

SHIFTS = (0.5, 1, 2, 4, 8, 16)
# One image in so many goes through the Jacobian, and so many calls of the model at a time: all
# calls of an image that an average over phases makes are kept until its gradient is known.
_LIPSCHITZ_SHARE, _LIPSCHITZ_CALLS = 8, 128


class Windows(NamedTuple):
    """Held-out windows with their classes.

    Attributes:
        images: (N, C, W, W).
        labels: (N,).
    """

    images: Tensor
    labels: Tensor


def held_out_windows(data: DataConfig, device: torch.device) -> tuple[Source, Windows]:
    """The held-out windows of a data source with classes: the same for every run of a study.

    A source of pictures gives each picture once at most.
    """
    source = source_of(data, data.source or "scenes", data.held_out, data.margin)
    count = data.test_crops
    if isinstance(source, LabelledPictures):
        count = min(count, len(source))
    batch = source.sample(count, torch.Generator().manual_seed(data.seed))
    return source, Windows(batch["images"].to(device), batch["labels"].to(device))


def held_out(data: DataConfig, device: torch.device) -> tuple[Scenes, SceneBatch]:
    """The held-out crops of scenes in their windows: the same for every run of a study."""
    scenes = scenes_of(data, data.held_out, data.margin)
    batch = scenes.sample(data.test_crops, torch.Generator().manual_seed(data.seed))
    return scenes, SceneBatch(*(tensor.to(device) for tensor in batch))


def embed(model: Backbone, images: Tensor) -> Tensor:
    """Pooled features before the head, (B, D)."""
    return model.forward_head(model.forward_features(images), pre_logits=True)


def token_map(model: Backbone, images: Tensor) -> Tensor:
    """The last tokens of each image as a map (B, D, h, w)."""
    return model.forward_intermediates(images, indices=1, norm=True, intermediates_only=True)[0]


def _most_calls(model: Backbone, images: Tensor) -> int:
    """How often the backbone behind an alignment runs for one image, at most."""
    return 1 if model.alignment is None else int(model.alignment.calls(images).max())


def _worst_case(model: Backbone, batch: Windows, data: DataConfig) -> dict[str, Any]:
    """Accuracy under the worst of the crops within 8 pixels, every second pixel, on a sixth of the
    held-out crops: 81 shifts of each."""
    count = len(batch.images) // 6
    result = adversarial_shift_accuracy(
        model,
        batch.images[:count],
        batch.labels[:count],
        8,
        kind="crop",
        step=2,
        crop_size=data.crop_size,
    )
    return asdict(result)


def _zoom(model: Backbone, batch: Windows, data: DataConfig) -> dict[str, Any]:
    """Accuracy from nearer and from farther away, at places of its own."""
    return zoom_accuracy(model, data, batch.images.device)


_BUDGETS = (0.25, 0.375, 0.5, 0.75, 1.0)


def _tokens(model: Backbone, batch: Windows, data: DataConfig) -> dict[str, Any]:
    """Tokens of an image that go through the blocks; of an adaptive model also how many of them a
    crop by one pixel changes, and accuracy with other budgets than it was trained with."""
    crops = center_crop(batch.images, (data.crop_size, data.crop_size))
    tokenizer = model.tokenizer
    if not isinstance(tokenizer, AdaptiveTokenizer):
        rows, columns = model.tokenize(crops[:1])[1]
        return {"mean": float(rows * columns)}

    def choose(x: Tensor) -> Tensor:
        return torch.cat([weight.flatten(1) for weight in tokenizer.weights_of(x)], dim=1)

    few = batch.images[: data.measured_crops]
    changed = choice_turnover(choose, few, crop_size=data.crop_size)
    trained, swept = tokenizer.options, {}
    try:
        for budget in _BUDGETS:
            tokenizer.options = dataclasses.replace(trained, budget=budget)
            right = in_batches(model, crops, 128).argmax(dim=1) == batch.labels
            swept[f"{budget:g}"] = {
                "top1": 100 * float(right.double().mean()),
                "tokens": float(token_counts(model, crops).double().mean()),
            }
    finally:
        tokenizer.options = trained
    mean = float(token_counts(model, crops).double().mean())
    return {"mean": mean, "changed": asdict(changed), "by_budget": swept}


MEASURES: dict[str, Callable[[Backbone, Windows, DataConfig], dict[str, Any]]] = {
    "tokens": _tokens,
    "worst_case": _worst_case,
    "zoom": _zoom,
}


def evaluate(
    model: Backbone, data: DataConfig, device: torch.device, measures: Sequence[str] = ()
) -> dict[str, Any]:
    """All measures of one trained model on the held-out crops; on validation crops, which choose
    between designs, the score alone.

    Args:
        model: trained.
        data: says which crops.
        device: where the model is.
        measures: names of `MEASURES` that are wanted beside the standard.

    Returns:
        Plain data, ready for JSON; percentages in [0, 100], the rest without unit.
    """
    source, batch = held_out_windows(data, device)
    crops, size = source.cut(batch.images, (0, 0)), data.crop_size
    logits = in_batches(model, crops, 128)
    correct = logits.argmax(dim=1) == batch.labels
    top1 = 100 * float(correct.double().mean())
    if data.held_out == "validation":
        return {"top1": top1, "test_crops": len(crops)}
    few = batch.images[: data.measured_crops]

    def images_for(kind: str, windows: Tensor) -> Tensor:
        return windows if kind == "crop" else source.cut(windows, (0, 0))

    shifts = [shift for shift in SHIFTS if shift <= data.margin]
    consistency = {
        kind: asdict(
            shift_consistency(
                model,
                images_for(kind, batch.images[: len(batch.images) // 3]),
                kind=kind,
                crop_size=size,
                pairs_per_image=2,
            )
        )
        for kind in ("circular", "crop", "subpixel")
    }
    sensitivity = {
        kind: asdict(
            shift_sensitivity(
                lambda x: embed(model, x), images_for(kind, few), shifts, kind=kind, crop_size=size
            )
        )
        for kind in ("circular", "crop")
    }
    turnover = {
        kind: asdict(
            token_turnover(
                lambda x: token_map(model, x),
                images_for(kind, few[:96]),
                (0, 1),
                kind=kind,
                crop_size=size,
            )
        )
        for kind in ("circular", "crop")
    }
    steepest = crops[: data.measured_crops // _LIPSCHITZ_SHARE]
    at_once = max(_LIPSCHITZ_CALLS // _most_calls(model, steepest), 1)
    lipschitz = local_lipschitz(
        lambda x: embed(model, x), steepest, iterations=8, batch_size=at_once
    )
    classes = range(len(source.classes))
    return {
        "top1": top1,
        "top1_by_class": {
            source.classes[c]: 100 * float(correct[batch.labels == c].double().mean())
            for c in classes
            if bool((batch.labels == c).any())
        },
        "test_crops": len(crops),
        "consistency": consistency,
        "sensitivity": sensitivity,
        "turnover": turnover,
        "lipschitz": {
            "absolute": lipschitz.median_absolute,
            "relative": lipschitz.median_relative,
            "images": len(lipschitz.absolute),
            "iterations": lipschitz.iterations,
        },
        "cost": asdict(cost(model, crops[:1])),
        **_named(measures, model, batch, data),
    }


def further(
    model: Backbone, data: DataConfig, device: torch.device, measures: Sequence[str]
) -> dict[str, Any]:
    """The measures of these names alone, as `evaluate` has them beside the standard."""
    return _named(measures, model, held_out_windows(data, device)[1], data)


def _named(
    measures: Sequence[str], model: Backbone, batch: Windows, data: DataConfig
) -> dict[str, Any]:
    return {name: MEASURES[name](model, batch, data) for name in measures}
