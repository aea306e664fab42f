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
from matplotlib.figure import Figure

from experiments.folder import write_bytes

__all__ = ["figure_style", "line_styles", "save_figure"]

# Okabe & Ito: distinguishable with every common colour blindness.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def line_styles(variants: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour by what stands before a ``+`` (the backbone), dashes for what was added to it."""
    bases = list(dict.fromkeys(name.split(" + ")[0] for name in variants))
    return {
        name: {
            "color": _COLOURS[bases.index(name.split(" + ")[0]) % len(_COLOURS)],
            "linestyle": "--" if " + " in name else "-",
            "marker": "s" if " + " in name else "o",
        }
        for name in variants
    }


@contextmanager
def figure_style() -> Iterator[None]:
    """Fonts, grid and sizes."""
    settings: Any = {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "svg.hashsalt": "wavevit",  # equal figures are equal files
    }
    with plt.rc_context(settings):
        yield


def save_figure(figure: Figure, folder: Path, name: str) -> str:
    """Writes ``name.svg`` and ``name.png``, closes the figure and returns the SVG's text."""
    for suffix, options in (("png", {"dpi": 160}), ("svg", {"metadata": {"Date": None}})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, **options)
        write_bytes(folder / f"{name}.{suffix}", buffer.getvalue())
    plt.close(figure)
    text = buffer.getvalue().decode()
    return text[text.index("<svg") :]
