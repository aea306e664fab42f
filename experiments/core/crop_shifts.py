"""Crop shifts by which the answers of tasks are compared."""

from __future__ import annotations

__all__ = ["DIRECTIONS", "SHIFTS"]

SHIFTS = (1, 2, 4, 8)  # pixels
DIRECTIONS = ((0, 1), (1, 0), (0, -1), (-1, 0))
