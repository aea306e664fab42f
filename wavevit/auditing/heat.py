"""Maps of token change for the audit page: one pixel for each token, below the moved picture."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from wavevit.checks import require_extra
from wavevit.measure import shifted

__all__ = ["heat_table"]

_TITLES = {
    "circular": "Circular shift to the right",
    "crop": "Crop shift: another crop of a larger picture",
}
_THUMBNAIL = 128  # pixels a side


def _data(pixels: np.ndarray[Any, Any], kind: str) -> str:
    require_extra("PIL", "data")
    from PIL import Image

    buffer = io.BytesIO()
    options = {"quality": 82} if kind == "jpeg" else {}
    Image.fromarray(pixels).save(buffer, format=kind, **options)
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()


def _photograph(picture: Tensor) -> str:
    require_extra("PIL", "data")
    from PIL import Image

    values = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).expand(-1, -1, 3)
    small = Image.fromarray(values.cpu().numpy()).resize((_THUMBNAIL, _THUMBNAIL))
    return _data(np.asarray(small), "jpeg")


def _heat(tokens: list[list[float]]) -> tuple[str, float]:
    """PNG of a map, black for no change to white for a whole token's size, and its mean."""
    require_extra("matplotlib", "audit")
    from matplotlib import colormaps

    values = np.asarray(tokens)
    return _data(colormaps["magma"](values.clip(0, 1), bytes=True)[..., :3], "png"), values.mean()


def heat_table(
    kind: str, found: Mapping[str, Mapping[str, Any]], picture: Tensor, size: int
) -> str:
    """HTML of the pictures and maps of one kind of shift.

    Args:
        kind: ``"circular"`` or ``"crop"``.
        found: model name to the figures of its token section.
        picture: (C, W, W) window around the crop.
        size: side of the crop.
    """
    shifts = next(iter(found.values()))[kind]["map_shifts"]
    margin = (picture.shape[-1] - size) // 2
    middle = slice(margin, margin + size)
    source = picture[None] if kind == "crop" else picture[None, :, middle, middle]
    cells = []
    for shift in shifts:
        moved = shifted(source, (0, shift), kind, (size, size))[0]
        cells.append(
            f'<span><img src="{_photograph(moved)}" alt="the picture moved by {shift} px">'
            f"<small>{shift} px</small></span>"
        )
    rows = [f'<p class="heat-name">{html.escape(_TITLES[kind])}</p><div class="heat">', *cells]
    rows.append("</div>")
    for name, figures in found.items():
        rows.append(f'<p class="heat-name">{html.escape(name)}</p><div class="heat">')
        for shift, tokens in zip(shifts, figures[kind]["maps"], strict=True):
            image, mean = _heat(tokens)
            rows.append(
                f'<span><img class="tokens" src="{image}" alt="change of each token at {shift} px">'
                f"<small>{100 * mean:.0f} %</small></span>"
            )
        rows.append("</div>")
    return "".join(rows)
