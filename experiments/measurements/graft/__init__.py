"""Measurement `graft`: trained models made shift-robust by a graft, and by distillation alone."""

from experiments.measurements.graft.measurement import MEASUREMENT

__all__ = ["MEASUREMENT"]
