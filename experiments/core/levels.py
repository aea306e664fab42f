"""Small pictures in a JSON record: arrays of 8-bit levels, compressed, as text."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def encode_levels(levels: np.ndarray) -> dict[str, Any]:
    """A uint8 array as plain data: its shape, and its bytes by zlib and base64."""
    data = zlib.compress(np.ascontiguousarray(levels, np.uint8).tobytes(), 9)
    return {"shape": list(levels.shape), "zlib": base64.b64encode(data).decode()}


def decode_levels(data: Mapping[str, Any]) -> np.ndarray:
    """The array that `encode_levels` was given."""
    flat = np.frombuffer(zlib.decompress(base64.b64decode(data["zlib"])), np.uint8)
    return flat.reshape(data["shape"])
