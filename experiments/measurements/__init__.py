"""Claims that need no study of their own: measured on models as they are, photograph by photograph.

Each module has one question, ``measure(options) -> dict`` with plain data, and is run by
``python -m experiments.measurements NAME``. Values are kept for each photograph (mean over its
crops and over seeds), or for each seed where a figure is of all photographs together, so that
differences are paired.
"""
