"""One look for all figures: the same variant has the same colour and dash everywhere."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.core.records import write_bytes
from wavevit.auditing.style import FIGURE_STYLE

__all__ = ["bare", "figure_style", "save_figure", "svg_of"]

_OPTIONS: dict[str, dict[str, Any]] = {".png": {"dpi": 160}, ".svg": {"metadata": {"Date": None}}}


@contextmanager
def figure_style() -> Iterator[None]:
    """Fonts, grid and sizes."""
    with plt.rc_context(FIGURE_STYLE):
        yield


def bare(axes: np.ndarray) -> None:
    """Leaves of each axis what is drawn in it and its label: for pictures."""
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.grid(visible=False)
        for spine in axis.spines.values():
            spine.set_visible(False)


def save_figure(
    figure: Figure, folder: Path, name: str, suffixes: Sequence[str] = (".png", ".svg")
) -> None:
    """Writes ``name.png`` and ``name.svg`` and closes the figure."""
    for suffix in suffixes:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix[1:], **_OPTIONS[suffix])
        write_bytes(folder / f"{name}{suffix}", buffer.getvalue())
    plt.close(figure)


def svg_of(path: Path) -> str:
    """The drawing in an SVG file, to be put into a page."""
    text = path.read_text()
    return text[text.index("<svg") :]
