"""Pictures with lines of text beside them, one line a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from experiments.reporting.answers.canvas import MISSING, Canvas, text_width
from experiments.reporting.answers.packed import unpacked

_WIDTH, _PICTURE = 9.2, 1.5  # inches
_HIGH, _BETWEEN = 0.2, 0.22  # inches of a line of text, between blocks
_TEXT = 9.0  # points
# Left ends in inches; the last two stand further right beside longer names.
_NAME, _FIGURE, _ANSWER = _PICTURE + 0.2, _PICTURE + 1.35, _PICTURE + 2.35
_ROOM, _GAP = _WIDTH - _ANSWER - 0.05, 0.18
_WRAP = 66  # characters on one line
_SOFT = "#5b6775"


class Line(NamedTuple):
    """What one model says.

    Attributes:
        name: of the model.
        figure: a number beside it.
        answer: a text.
        after: a text behind it, of the moved crop.
        colour: of the answer.
    """

    name: str
    figure: str
    answer: str
    after: str
    colour: str

    @property
    def long(self) -> bool:
        """Whether the two texts need a line each."""
        return len(self.answer) + len(self.after) + 3 > _WRAP


def picture_with_lines(
    record: Mapping[str, Any],
    line_of: Callable[[str, Mapping[str, Any], int, str], Line],
    heads: tuple[str, str, str],
) -> Figure:
    """Draws a block for each crop: its true text above a line for each model.

    Args:
        record: ``crops``, their ``texts``, and ``models`` by name.
        line_of: from a model's name, its part of the record, the number of the crop and its text.
        heads: above the columns.
    """
    crops, texts, models = unpacked(record["crops"]), record["texts"], record["models"]
    blocks = [
        (crop, truth, [line_of(name, own, index, truth) for name, own in models.items()])
        for index, (crop, truth) in enumerate(zip(crops, texts, strict=True))
    ]
    heights = [
        max(_PICTURE, _HIGH * (2 + sum(1 + line.long for line in lines))) + _BETWEEN
        for *_, lines in blocks
    ]
    longest = max(text_width(name, _TEXT) for name in models)
    wider = max(_NAME + longest + _GAP - _FIGURE, 0.0)
    width, figure, said = (place + wider for place in (_WIDTH, _FIGURE, _ANSWER))
    canvas = Canvas(width, sum(heights))
    start = _BETWEEN / 2
    for (picture, truth, lines), height in zip(blocks, heights, strict=True):
        canvas.picture(picture, 0.05, start, _PICTURE)
        place = start + _HIGH / 2
        canvas.text(_NAME, place, truth, _TEXT + 1, width - _NAME, fontweight="bold")
        place += _HIGH
        for left, head in zip((_NAME, figure, said), heads, strict=True):
            canvas.text(left, place, head, _TEXT, color=_SOFT)
        for line in lines:
            place += _HIGH
            canvas.text(_NAME, place, line.name, _TEXT)
            canvas.text(figure, place, line.figure, _TEXT)
            answer, after = (_one_line(text) for text in (line.answer, line.after))
            end = canvas.text(said, place, answer, _TEXT, _ROOM, color=line.colour) + 0.12
            if line.long:
                place, end = place + _HIGH, said
            canvas.text(end, place, after, _TEXT, said + _ROOM - end, color=_SOFT)
        start += height
    return canvas.figure


def _one_line(text: str) -> str:
    """A model may write ends of lines too."""
    return "".join(c if c.isprintable() else MISSING for c in text)
