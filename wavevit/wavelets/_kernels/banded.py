"""Banded matrices as two lists of their entries: by input, and by output."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Banded"]


class Banded(NamedTuple):
    """A matrix (outputs, inputs) of which few entries are not zero.

    Attributes:
        outputs: number of its rows.
        heads: where the list of each input begins in `into` and `shares`, and where the last ends.
        into: the outputs that an input has a part in,
        shares: and with what weight.
        tails: where the list of each output begins in `along` and `weights`, and the end.
        along: the inputs that an output reads,
        weights: and their weights.
    """

    outputs: int
    heads: np.ndarray
    into: np.ndarray
    shares: np.ndarray
    tails: np.ndarray
    along: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray) -> Banded:
        """The lists of a matrix (outputs, inputs)."""
        outputs, inputs = matrix.shape
        along_input, into = np.nonzero(matrix.T)
        along_output, along = np.nonzero(matrix)
        heads = np.searchsorted(along_input, np.arange(inputs + 1))
        tails = np.searchsorted(along_output, np.arange(outputs + 1))
        shares, weights = matrix[into, along_input], matrix[along_output, along]
        return cls(outputs, heads, into, shares, tails, along, weights)

    @property
    def transpose(self) -> Banded:
        """The lists of the transposed matrix."""
        inputs = len(self.heads) - 1
        return Banded(
            inputs, self.tails, self.along, self.weights, self.heads, self.into, self.shares
        )

    def dense(self) -> np.ndarray:
        """The matrix (outputs, inputs)."""
        result = np.zeros((self.outputs, len(self.heads) - 1))
        result[np.repeat(np.arange(self.outputs), np.diff(self.tails)), self.along] = self.weights
        return result
