"""Arguments ``device`` and ``dtype`` for modules that contain other modules."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch

from wavevit.checks import fail
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
        if not isinstance(config, BackboneConfig):
            expected = "a BackboneConfig (wavevit.create_model takes the name of a model)"
            fail("config", expected, f"{type(config).__name__} {config!r}")
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            fail("dtype", "a floating torch.dtype, such as torch.bfloat16", repr(dtype))
        with contextlib.nullcontext() if device is None else _named_device(device):
            build(self, config)
        if dtype is not None:
            self.to(dtype=dtype)

    __init__.__doc__ = build.__doc__
    __init__.__qualname__ = build.__qualname__
    return __init__


def _named_device(device: torch.device | str) -> torch.device:
    """The device of that name; whether this machine has it is seen when the weights are made."""
    try:
        return torch.device(device)
    except RuntimeError as error:
        fail("device", "a device of torch, such as 'cpu'", f"{device!r} ({error})")
