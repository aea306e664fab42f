"""MixUp and CutMix of training batches, by torchvision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from experiments.core.config import RunConfig
from wavevit.checks import fail
from wavevit.interop.timm_import import import_timm

__all__ = ["mixer"]

# What decides how a step's images are mixed is another stream than what its crops and loss draw.
_SEEDS = 2**41


def mixer(config: RunConfig) -> Callable[[Mapping[str, Any], int], dict[str, Any]] | None:
    """What mixes the batches of a run; None for a run that mixes nothing.

    The labels of a mixed batch are shares of the classes. The whole batch of a step is mixed,
    before ranks take their parts: it is the same on any number of ranks.

    Raises:
        ValueError: a task without classes of images.
        ImportError: torchvision is missing (the extra ``timm`` brings it).

    Source:
        Zhang et al. 2018 (mixup); Yun et al. 2019 (CutMix); a coin between them as in Touvron et
        al. 2021 (DeiT).
    """
    data, classes = config.data, config.model.num_classes
    if not (data.mixup or data.cutmix):
        return None
    if config.task != "classification":
        given = f"mixup={data.mixup}, cutmix={data.cutmix} for {config.task!r}"
        fail("data", "no mixing for tasks other than classification", given)
    import_timm()  # it imports torchvision, even one that was built for another torch
    from torchvision.transforms import v2

    kinds = {v2.MixUp: data.mixup, v2.CutMix: data.cutmix}
    used = [kind(alpha=alpha, num_classes=classes) for kind, alpha in kinds.items() if alpha]

    def mix(batch: Mapping[str, Any], seed: int) -> dict[str, Any]:
        torch.manual_seed(_SEEDS + seed)
        chosen = used[int(torch.randint(len(used), ()))]
        images: Tensor = batch["images"]
        images, labels = chosen(images, batch["labels"].long())
        return {**batch, "images": images, "labels": labels}

    return mix
