"""What trained models of each task answer, as pictures and tables of the report.

One file a task, which registers an `Answers` under the task's name; nothing else lists it. A task
of a user's file may register one there with `register_answers`; a task without one has a report
without pictures of answers.
"""

from __future__ import annotations

import importlib
import pkgutil

from experiments.reporting.answers.base import Answers, answers_of, register_answers

__all__ = ["Answers", "answers_of", "register_answers"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
