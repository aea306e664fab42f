"""Diagrams of the audit page, one panel each; a narrow screen shows them below each other."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from wavevit.auditing.style import FIGURE_STYLE, line_styles
from wavevit.checks import require_extra

__all__ = ["attention_panel", "scale_panel", "sensitivity_panels", "spectrum_panel"]

Found = Mapping[str, Mapping[str, Any]]  # model name to figures of one section
_KINDS = {
    "circular": "Circular shift",
    "crop": "Crop shift (as from a moving camera)",
    "subpixel": "Circular shift by half pixels (sub-pixel)",
}


class _Panel:
    """One small diagram and, when closed, its SVG."""

    def __init__(self, names: list[str]) -> None:
        from matplotlib.figure import Figure

        self.styles = line_styles(names)
        self.figure = Figure(figsize=(4.4, 3.1))
        self.axes: Any = self.figure.subplots()
        self.svg = ""

    def curve(self, name: str, x: list[float], y: list[float], **options: Any) -> None:
        self.axes.plot(x, y, label=name, markersize=4.5, **self.styles[name] | options)

    def band(self, name: str, x: list[float], y: list[float], half: list[float]) -> None:
        """95 % of a mean: 1.96 standard errors to both sides."""
        low = [value - 1.96 * error for value, error in zip(y, half, strict=True)]
        high = [value + 1.96 * error for value, error in zip(y, half, strict=True)]
        colour = self.styles[name]["color"]
        self.axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)

    def ticks(self, values: list[float], labels: list[str]) -> None:
        from matplotlib.ticker import NullLocator

        self.axes.set_xticks(values, labels)
        self.axes.xaxis.set_minor_locator(NullLocator())


@contextmanager
def _panel(names: Any, x: str, y: str) -> Iterator[_Panel]:
    require_extra("matplotlib", "audit")
    import matplotlib

    # Text stays text: it can be searched, and a screen's own letters are drawn.
    with matplotlib.rc_context(FIGURE_STYLE | {"svg.fonttype": "none"}):
        panel = _Panel(list(names))
        yield panel
        panel.axes.set_xlabel(x)
        panel.axes.set_ylabel(y)
        buffer = io.StringIO()
        panel.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    # Names of groups that every figure of matplotlib has: a page may not hold them twice.
    panel.svg = re.sub(r'<g id="[\w.]+"', "<g", text[text.index("<svg") :])


def _shift_label(shift: float) -> str:
    whole = int(shift)
    return ("½" if whole == 0 else f"{whole}½") if shift != whole else str(whole)


def sensitivity_panels(found: Found) -> list[tuple[str, str]]:
    """Title and SVG for each kind of shift; all have the same vertical axis."""
    every = [
        value + 1.96 * error  # with the bands
        for f in found.values()
        for kind in _KINDS
        for value, error in zip(f[kind]["values"], f[kind]["stderr"], strict=True)
    ]
    top = 1.08 * max(*every, 1e-3)
    panels = []
    for kind, title in _KINDS.items():
        with _panel(found, "shift in pixels", "change of the embedding") as panel:
            for name, figures in found.items():
                f = figures[kind]
                panel.band(name, f["shifts"], f["values"], f["stderr"])
                panel.curve(name, f["shifts"], f["values"])
            shifts = sorted({s for f in found.values() for s in f[kind]["shifts"]})
            panel.axes.set_xscale("log", base=2)
            panel.ticks(shifts, [_shift_label(s) for s in shifts])
            panel.axes.set_ylim(-0.03 * top, top)
        panels.append((title, panel.svg))
    return panels


def scale_panel(found: Found) -> str:
    """SVG of the change under zoom; it is 0 at zoom 1."""
    with _panel(found, "zoom", "change of the embedding") as panel:
        zooms: list[float] = []
        for name, f in found.items():
            points = sorted(
                [*zip(f["zooms"], f["values"], f["stderr"], strict=True), (1.0, 0.0, 0.0)]
            )
            zooms, values, errors = (list(column) for column in zip(*points, strict=True))
            panel.band(name, zooms, values, errors)
            panel.curve(name, zooms, values)
        panel.axes.set_xscale("log", base=2)
        panel.ticks(zooms, [f"{zoom:g}" for zoom in zooms])
    return panel.svg


def attention_panel(found: Found) -> str:
    """SVG of the attention distance by depth: a dot for each head, a line for their mean."""
    with _panel(found, "depth (first to last attention)", "mean distance in pixels") as panel:
        for name, f in found.items():
            count = len(f["pixels"])
            depth = [index / max(count - 1, 1) for index in range(count)]
            for place, heads in zip(depth, f["pixels"], strict=True):
                colour = panel.styles[name]["color"]
                panel.axes.plot(
                    [place] * len(heads), heads, ".", color=colour, alpha=0.35, markersize=4
                )
            panel.curve(name, depth, f["by_layer"])
        uniform = max(f["uniform"] for f in found.values())
        panel.axes.axhline(uniform, color="#5b6775", linewidth=1, linestyle=(0, (1, 2)))
        panel.axes.annotate(
            "uniform attention",
            (0.0, uniform),
            (0, 3),
            textcoords="offset points",
            fontsize=8,
            color="#5b6775",
        )
        panel.axes.set_ylim(0, 1.12 * uniform)
        panel.ticks([0, 0.5, 1], ["first", "½", "last"])
    return panel.svg


def spectrum_panel(found: Found) -> str:
    """SVG of the leading singular values of the Jacobian at the first picture."""
    with _panel(found, "singular value", "‖J v‖ for ‖v‖ = 1 (0 to 1 pixels)") as panel:
        most = 1
        for name, f in found.items():
            values = f["singular_values"]
            most = max(most, len(values))
            panel.curve(name, [float(i + 1) for i in range(len(values))], values)
        every = [v for f in found.values() for v in f["singular_values"]]
        if min(every) > 0 and math.log10(max(every) / min(every)) > 1:
            panel.axes.set_yscale("log")
        else:
            panel.axes.set_ylim(bottom=0)
        places = [float(i) for i in range(1, most + 1, 1 if most <= 5 else 3)]
        panel.ticks(places, [f"{place:g}" for place in places])
    return panel.svg
