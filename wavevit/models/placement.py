"""``device`` and ``dtype`` for a module that is made of others, as torch's modules take them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch

from wavevit.models.config import BackboneConfig

__all__ = ["placed"]


def placed(build: Callable[[Any, BackboneConfig], None]) -> Callable[..., None]:
    """An ``__init__(self, config)`` that also takes ``device`` and ``dtype``.

    Everything that it builds is built there: on ``"meta"`` a model of any size costs nothing, and
    `torch.nn.utils.skip_init` leaves its memory unfilled for a checkpoint.
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
