"""One look for all figures: the same variant has the same colour and dash everywhere."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from wavevit.auditing.style import FIGURE_STYLE
from wavevit.files import write_whole

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


def band(
    axis: Axes, x: Sequence[float], mean: np.ndarray, std: np.ndarray, style: Mapping[str, Any]
) -> None:
    """A line of means in a variant's style, one standard deviation around it shaded."""
    axis.plot(x, mean, markersize=4.5, **style)
    colour = style["color"]
    axis.fill_between(x, mean - std, mean + std, color=colour, alpha=0.15, linewidth=0)


def log2_axis(axis: Axes, ticks: Sequence[float], labels: Sequence[str], title: str) -> None:
    """A logarithmic x axis with these ticks alone."""
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticklabels(labels)
    axis.set_xlabel(title)


def labelled_below(figure: Figure, axis: Axes, columns: int = 3, **options: Any) -> None:
    """One legend below the figure, of what an axis shows."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, **options)


def save_figure(
    figure: Figure, folder: Path, name: str, suffixes: Sequence[str] = (".png", ".svg")
) -> None:
    """Writes ``name.png`` and ``name.svg`` and closes the figure."""
    for suffix in suffixes:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix[1:], **_OPTIONS[suffix])
        write_whole(folder / f"{name}{suffix}", buffer.getvalue())
    plt.close(figure)


def svg_of(path: Path) -> str:
    """The drawing in an SVG file, to be put into a page."""
    text = path.read_text()
    return text[text.index("<svg") :]
