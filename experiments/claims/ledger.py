"""All claims, in order: the modules ``cNN_name`` beside this one."""

from __future__ import annotations

import importlib
import pkgutil
import re

import experiments.claims
from experiments.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = tuple(
    importlib.import_module(f"experiments.claims.{module.name}").CLAIM
    for module in sorted(
        pkgutil.iter_modules(experiments.claims.__path__), key=lambda found: found.name
    )
    if re.fullmatch(r"c\d\d_\w+", module.name)
)
