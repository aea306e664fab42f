"""timm's weights in our models. Needs the extra ``timm``."""

from __future__ import annotations

import re
from typing import cast

from torch import Tensor, nn

from wavevit.checks import fail, require_extra
from wavevit.models import Backbone

__all__ = ["load_timm_weights"]

_RENAMES = (
    (r"^patch_embed\.proj\.", "tokenizer.proj."),
    (r"^pos_embed$", "position.embedding"),
    (r"^blocks\.(\d+)\.attn\.", r"stages.0.blocks.\1.mixer."),
    (r"^blocks\.(\d+)\.", r"stages.0.blocks.\1."),
)


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMES:
        name, count = re.subn(pattern, replacement, name)
        if count:
            break
    return name


def load_timm_weights(model: Backbone, timm_model: nn.Module | str) -> Backbone:
    """Copies the weights of a timm ViT of the same architecture into `model`.

    Args:
        model: a columnar backbone with ``tokenizer="patch"`` and ``pool="token"``.
        timm_model: a timm VisionTransformer, or a name that timm creates with pretrained
            weights.

    Returns:
        `model`.

    Raises:
        ImportError: timm is not installed; the message names the extra.
        ValueError: an architecture that differs; the first tensors that do not fit are named.

    Guarantees:
        Equal outputs to 1e-4 for ``vit_*_patch16`` (tests/parity/test_timm_vit.py).
    """
    timm = require_extra("timm", "timm")
    source = timm_model
    if isinstance(source, str):
        source = cast("nn.Module", timm.create_model(source, pretrained=True))
    theirs: dict[str, Tensor] = {_renamed(k): v for k, v in source.state_dict().items()}
    ours = model.state_dict()
    misfits = [name for name in ours if name not in theirs]
    misfits += [name for name in theirs if name not in ours]
    misfits += [n for n in ours if n in theirs and ours[n].shape != theirs[n].shape]
    if misfits:
        listed = ", ".join(misfits[:4]) + (", …" if len(misfits) > 4 else "")
        fail("timm_model", "the architecture of `model`", f"other tensors: {listed}")
    model.load_state_dict(theirs)
    return model
