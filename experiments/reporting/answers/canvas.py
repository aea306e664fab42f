"""A figure as one page measured in inches, for many small pictures and texts.

One axes for all: laying out an axes for each of a hundred pictures takes longer than drawing them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D, Transform

MISSING = "□"  # in place of a character that the font lacks


@cache
def _has(character: str) -> bool:
    return bool(get_font(findfont("DejaVu Sans")).get_char_index(ord(character)))


def printable(text: str) -> str:
    """The text, with a box for each character that the font of the figures lacks."""
    return "".join(c if c.isprintable() and _has(c) else MISSING for c in text)


def text_width(text: str, size: float) -> float:
    """Inches that one line of text takes, before there is a page.

    Args:
        text: as `Canvas.text` writes it.
        size: in points.
    """
    return float(TextPath((0, 0), printable(text), size=size).get_extents().x1) / 72


class Canvas:
    """A page; places are inches from its left and from its top.

    Args:
        width, height: in inches.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = plt.figure(figsize=(width, height))
        # Not ``layout="none"`` above: a figure without any engine gets that of the style when it
        # is saved, and a second file of it would have another layout.
        self.figure.set_layout_engine("none")
        self.axis: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axis.set(xlim=(0, width), ylim=(height, 0))
        self.axis.set_axis_off()

    def picture(self, picture: np.ndarray, left: float, top: float, side: float) -> Transform:
        """Draws a picture, (H, W) or (H, W, 3) uint8, whose longer side is `side`.

        Returns:
            From pixels, whose edges are whole numbers, to the page.
        """
        height, width = picture.shape[:2]
        scale = side / max(height, width)
        extent = (left, left + width * scale, top + height * scale, top)
        options: dict[str, Any] = {"extent": extent, "interpolation": "nearest", "aspect": "auto"}
        if picture.ndim == 2:
            options |= {"cmap": "gray", "vmin": 0, "vmax": 255}
        self.axis.imshow(picture, **options)
        # The limits are those of the page, whatever the picture covers.
        self.axis.set_autoscale_on(False)
        moved: Transform = Affine2D().scale(scale).translate(left, top) + self.axis.transData
        return moved

    def text(
        self, left: float, top: float, text: str, size: float, within: float = 0.0, **options: Any
    ) -> float:
        """Writes a text as it is, its middle line at `top`; gives its right end.

        Args:
            left, top: its place.
            text: ends of lines are kept; other characters that the font lacks become boxes.
            size: in points.
            within: inches that it may take: a longer one is cut; 0 for no limit.
            **options: of matplotlib.
        """
        lines = "\n".join(map(printable, text.split("\n")))
        options = {"va": "center", "ha": "left", "parse_math": False, **options}
        written = self.axis.text(left, top, lines, fontsize=size, **options)
        width, end = self._extent(written)
        if within and width > within:
            written.set_text(lines[: max(int(len(lines) * within / width) - 3, 0)] + "…")
            _, end = self._extent(written)
        return end

    def _extent(self, written: Text) -> tuple[float, float]:
        """Width and right end of a text."""
        box = written.get_window_extent().transformed(self.axis.transData.inverted())
        return float(box.width), float(box.x1)
