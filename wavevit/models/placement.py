"""Arguments ``device`` and ``dtype`` for modules that contain other modules."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch

from wavevit.models.config import BackboneConfig

__all__ = ["placed"]


def placed(build: Callable[[Any, BackboneConfig], None]) -> Callable[..., None]:
    """Decorator: an ``__init__(self, config)`` also takes ``device`` and ``dtype``.

    The whole model is built on that device: on ``"meta"`` a model of any size needs no memory, and
    `torch.nn.utils.skip_init` leaves its weights uninitialised for a checkpoint.
    """

    def __init__(
        self: Any,
        config: BackboneConfig,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        with contextlib.nullcontext() if device is None else torch.device(device):
            build(self, config)
        if dtype is not None:
            self.to(dtype=dtype)

    __init__.__doc__ = build.__doc__
    __init__.__qualname__ = build.__qualname__
    return __init__
