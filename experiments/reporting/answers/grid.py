"""A grid of small pictures: one row a model, with a frame and a note below each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Transform

from experiments.reporting.answers.canvas import Canvas

RIGHT, WRONG = "#009E73", "#D55E00"  # told apart with every common colour blindness
_NOTE, _LABEL = 8.5, 10.0  # points
_NAMES, _GAP = 1.2, 0.09  # inches: for the names of the rows, between pictures
_LINE = 0.17  # inches of a line of a note
_WIDTH = 13  # letters in a line of a row's name
_FRAME = 4.0  # points


@dataclass(frozen=True)
class Cell:
    """One picture.

    Attributes:
        picture: grey levels (H, W) or colours (H, W, 3), uint8.
        note: one line below it.
        frame: colour around it; empty for none.
        draw: draws on top of it, with the transform from its pixels to the page; what reaches
            beyond the picture is cut off.
    """

    picture: np.ndarray
    note: str = ""
    frame: str = ""
    draw: Callable[[Axes, Transform], None] | None = None


def picture_grid(
    rows: Sequence[tuple[str, Sequence[Cell | None]]],
    heads: Sequence[str] = (),
    side: float = 1.15,
    legend: Sequence[tuple[str, str]] = (),
) -> Figure:
    """Draws rows of pictures.

    Args:
        rows: name of a row, and its cells; None leaves a place empty.
        heads: above the columns, as many as cells; empty for none.
        side: of a picture in inches.
        legend: pairs of name and colour, below the pictures.
    """
    columns = max(len(cells) for _, cells in rows)
    noted = [any(cell and cell.note for cell in cells) for _, cells in rows]
    heights = [side + _GAP + _LINE * lines for lines in noted]
    top = _LINE + 0.08 if heads else _GAP / 2
    bottom = 0.3 if legend else 0.0
    canvas = Canvas(_NAMES + columns * (side + _GAP), top + sum(heights) + bottom)
    lefts = [_NAMES + index * (side + _GAP) for index in range(columns)]
    for left, head in zip(lefts, heads, strict=bool(heads)) if heads else ():
        canvas.text(left + side / 2, top / 2, head, _LABEL, ha="center")
    for (name, cells), height in zip(rows, heights, strict=True):
        label = "\n".join(line for part in name.split("\n") for line in wrap(part, _WIDTH))
        canvas.text(_NAMES - 0.1, top + side / 2, label, _LABEL, ha="right")
        for left, cell in zip(lefts, cells, strict=False):
            if cell is not None:
                _draw(canvas, cell, left, top, side)
        top += height
    place = _NAMES
    for name, colour in legend:
        canvas.axis.plot([place, place + 0.25], [top + 0.12] * 2, color=colour, linewidth=3)
        place = canvas.text(place + 0.32, top + 0.12, name, _LABEL) + 0.3
    return canvas.figure


def _draw(canvas: Canvas, cell: Cell, left: float, top: float, side: float) -> None:
    pixels = canvas.picture(cell.picture, left, top, side)
    height, width = cell.picture.shape[:2]
    if cell.draw is not None:
        before = {*canvas.axis.get_children()}
        cell.draw(canvas.axis, pixels)
        for artist in {*canvas.axis.get_children()} - before:
            artist.set_clip_path(Rectangle((0, 0), width, height, transform=pixels))
            artist.set_clip_on(True)
    if cell.frame:
        edge = Rectangle((0, 0), width, height, fill=False, edgecolor=cell.frame)
        edge.set(linewidth=_FRAME, transform=pixels)
        canvas.axis.add_patch(edge)
    if cell.note:
        canvas.text(left + side / 2, top + side + 0.03 + _LINE / 2, cell.note, _NOTE, ha="center")
