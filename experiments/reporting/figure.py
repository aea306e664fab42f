"""`StudyFigure`: a figure of a report with its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class StudyFigure:
    """A figure with what it shows in words.

    Attributes:
        name: of its file.
        title: heading above it; the text in place of the figure for those who cannot see it begins
            with it.
        caption: a sentence written from the numbers.
        draw: makes it.
        kind: ``"diagram"`` or ``"picture"`` (narrower).
        alt: what the figure shows, for those who cannot see it; empty for the title alone.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[], Figure]
    kind: str = "diagram"
    alt: str = ""

    @property
    def description(self) -> str:
        """Text in place of the figure."""
        return f"{self.title}. {self.alt}" if self.alt else self.title
