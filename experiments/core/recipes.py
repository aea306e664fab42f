"""Published training recipes as configurations."""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments.core.config import ExecutionConfig, OptimizerConfig, RunConfig
from wavevit.checks import check_at_least

AUGMENTATION = ("flip", "three", "jitter")
REPEATS = 3  # of a picture in an epoch


def deit3(run: RunConfig, images: int, epochs: int, batch_size: int = 2048) -> RunConfig:
    """A run of the task `classification` with the recipe of DeiT III.

    LAMB at a peak rate of 3e-3 for batches of 2048, weight decay 0.02, five epochs of warm-up and a
    cosine, binary cross-entropy without smoothing, mixup 0.8 and CutMix 1.0, horizontal flips,
    3-Augment and colour jitter 0.3, each picture three times an epoch (repeated augmentation),
    gradients clipped to norm 1; LayerScale that starts at 1e-4 (`BackboneConfig.layer_scale`);
    bfloat16 and compiled blocks. Stochastic depth is a field of the model.

    Args:
        run: the model, the source and all that the recipe does not say. The source has colour, and
            fixed `mean` and `std` among its options: 3-Augment needs pixels in [0, 1]. It is read
            in epochs and is no stream: repeated augmentation needs its order.
        images: of the training split: they turn epochs into steps.
        epochs: of training.
        batch_size: images per step; the rate follows it linearly.

    Raises:
        ValueError: no image, no epoch, or a batch of fewer than two pictures with their repeats.

    Source:
        Touvron et al. 2022, "DeiT III: Revenge of the ViT", table 1 (ImageNet-1k).
    """
    check_at_least("images", images, 1)
    check_at_least("epochs", epochs, 1)
    check_at_least("batch_size", batch_size, 1)
    per_epoch = max(images // batch_size, 1)
    options: dict[str, Any] = {"loss": "bce", "label_smoothing": 0.0}
    return dataclasses.replace(
        run,
        task="classification",
        task_options=options,
        model=dataclasses.replace(run.model, layer_scale=1e-4),
        data=dataclasses.replace(
            run.data, augmentation=AUGMENTATION, mixup=0.8, cutmix=1.0, repeats=REPEATS
        ),
        optimizer=OptimizerConfig(
            name="lamb",
            steps=epochs * per_epoch,
            warmup_steps=min(5, epochs) * per_epoch,
            batch_size=batch_size,
            lr=3e-3 * batch_size / 2048,
            weight_decay=0.02,
            betas=(0.9, 0.999),
            clip=1.0,
        ),
        execution=ExecutionConfig(precision="bf16", compile=True),
        checkpoint_every=per_epoch,
    )
