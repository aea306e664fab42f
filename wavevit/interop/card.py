"""Model card of a backbone, for the Hugging Face Hub."""

from __future__ import annotations

import dataclasses

import torch

from wavevit.measure import Cost, cost
from wavevit.models import Backbone

__all__ = ["model_card"]

_HEAD = """---
library_name: wavevit
tags:
- wavevit
- wavelets
- image-feature-extraction
---
"""


def model_card(model: Backbone, name: str) -> str:
    """Model card (README in Markdown), with the header that the Hub reads.

    Args:
        model: a complete backbone.
        name: title of the card, and name in the loading example: a repository ``"owner/name"`` or
            a folder.
    """
    config = model.config
    height, width = config.image_size
    counted, calls = _counted(model)
    period = model.symmetry.lockable_period
    shifts = f"circular shifts by multiples of {period} pixels" if period else "none exactly"
    if model.alignment is not None:
        shifts = f"{model.alignment.kept_shifts(period)} (alignment `{config.alignment}`)"
    table = {
        "parameters": f"{counted.parameters / 1e6:.2f} M",
        "multiply-accumulates": f"{counted.macs / 1e9:.2f} G at {height} × {width} pixels{calls}",
        "input": f"(B, {config.in_chans}, H, W), sides from {config.min_size} pixels",
        "outputs": f"{model.num_classes} classes" if model.num_classes else "pooled features",
        "tokenizer": f"`{config.tokenizer}`",
        "mixers": ", ".join(f"`{stage.mixer}`" for stage in config.stages),
        "channels": ", ".join(str(stage.embed_dim) for stage in config.stages),
        "strides": ", ".join(map(str, config.strides)),
        "shifts that pooled features keep": shifts,
    }
    rows = "\n".join(f"| {key} | {value} |" for key, value in table.items())
    return f"""{_HEAD}
# {name}

A backbone of wavevit: vision transformers and wavelet hybrids
as points of one configuration space.

| | |
|---|---|
{rows}

What it was trained on, and for what, is for its author to say here; the table is what the
configuration implies.

```python
from wavevit.interop.hub import from_pretrained

model = from_pretrained("{name}")
maps = from_pretrained("{name}", features_only=True)
```

`config.json` holds the whole configuration; `wavevit.BackboneConfig.from_dict` reads its `config`.
"""


def _counted(model: Backbone) -> tuple[Cost, str]:
    """What a pass costs, and in words how many there are if the image decides."""
    config, calls = model.config, ""
    with torch.device("meta"):  # shapes are enough to count
        size = config.image_size
        if model.alignment is not None and model.alignment.calls_vary:
            most = len(model.alignment.views(torch.zeros(1, config.in_chans, *size)).offset)
            calls = f" for each call; an image takes 1 to {most} calls"
            size = model.alignment.seen(size)
            config = dataclasses.replace(config, alignment="none", alignment_options=None)
        whole = Backbone(config)
        whole.reset_classifier(0, model.global_pool)  # the head's input depends on the pooling
        whole.reset_classifier(model.num_classes)
        return cost(whole, torch.zeros(1, config.in_chans, *size)), calls
