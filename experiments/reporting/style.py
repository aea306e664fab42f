"""One look for all figures: the same variant has the same colour and dash everywhere."""

from __future__ import annotations

import io
import re
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


_ADDED = "s^vDPX"  # six markers for seven colours: pairs of them come round after 42


def line_styles(variants: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Dashes for what was added to a backbone (behind a ``+``), dots for what was put on after
    training (behind ``then``). The colour is the backbone's; what is added to it second, third, …
    has its own, and its marker, in both cases.
    """
    parts = {name: re.split(r" (\+|then) ", name, maxsplit=1) for name in variants}
    bases = list(dict.fromkeys(part[0] for part in parts.values()))
    pairs = dict.fromkeys((part[0], part[2]) for part in parts.values() if len(part) > 1)
    firsts = dict(reversed(pairs))
    others = [pair for pair in pairs if firsts[pair[0]] != pair[1]]
    styles = {}
    for name, (base, *added) in parts.items():
        colour = bases.index(base)
        again = colour >= len(_COLOURS)  # the colours come round
        style = {"linestyle": "-.", "marker": "<"} if again else {"linestyle": "-", "marker": "o"}
        if added:
            later = (base, added[1]) in others
            place = others.index((base, added[1])) + 1 if later else 0
            colour = len(bases) + place - 1 if later else colour
            dash = "--" if added[0] == "+" else ":"
            style = {"linestyle": dash, "marker": _ADDED[place % len(_ADDED)]}
        styles[name] = style | {"color": _COLOURS[colour % len(_COLOURS)]}
    return styles


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
