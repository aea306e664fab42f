"""Measurements: models as they are, photograph by photograph, for claims that need no study.

A module holds one `experiments.core.measurement.Measurement`; nothing else lists it. Values are
kept for each photograph (mean over its crops and over seeds), or for each seed where a figure is of
all photographs together, so that differences are paired.
"""

from __future__ import annotations

from experiments.core.measurement import Measurement
from experiments.core.registry import found_in

MEASUREMENTS = found_in(__name__, Measurement)
