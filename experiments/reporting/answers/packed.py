"""Grey pictures in a JSON record, small: 64 or fewer levels of grey in one PNG, as text."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from wavevit.checks import fail

_STEP = 4  # grey levels that become one: nobody sees it, and it saves a third


def packed(pictures: np.ndarray, step: int = _STEP) -> dict[str, Any]:
    """Pictures as plain data; `unpacked` gives them back to half a step.

    Args:
        pictures: (N, H, W), uint8.
        step: grey levels that become one, a power of two up to 64.

    Raises:
        ValueError: another step: white would not come back.
    """
    if step not in (1, 2, 4, 8, 16, 32, 64):
        fail("step", "a power of two up to 64", step)
    strip = pictures.reshape(-1, pictures.shape[2]) // step
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(strip, np.uint8)).save(buffer, "PNG", optimize=True)
    png = base64.b64encode(buffer.getvalue()).decode()
    own = {} if step == _STEP else {"step": step}
    return {"shape": list(pictures.shape), **own, "png": png}


def unpacked(data: Mapping[str, Any]) -> np.ndarray:
    """The pictures of `packed`, (N, H, W), uint8."""
    strip = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["png"]))))
    step = data.get("step", _STEP)
    return (strip * np.uint8(step) + np.uint8(step // 2)).reshape(data["shape"])
