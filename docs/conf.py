"""Sphinx: ``make docs`` builds this folder, offline, warnings as errors."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import wavevit

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "wavevit"
author = "The wavevit authors"
copyright = f"2026, {author}"
version = release = wavevit.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "mathml",
]
# Pages of source code take a quarter of Sphinx's time, and no fault of the docs is in them.
if os.environ.get("WAVEVIT_DOCS_SOURCE") != "0":
    extensions.append("sphinx.ext.viewcode")
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_generated"]
# attrs_inline: the sizes of the small figures in the claims ledger.
myst_enable_extensions = ["attrs_inline", "deflist", "dollarmath"]
myst_heading_anchors = 3

# One page per package: what is public is what `__all__` says.
autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": False}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# "Guarantees" and "Source" are sections of ours: what holds, by which test; where it is from.
napoleon_custom_sections = ["Guarantees", "Source"]
default_role = "code"

html_theme = "furo"
html_title = "wavevit"
# What `make docs` builds from the records comes beside what is in git.
html_static_path = ["_static", "_generated/static"]
html_css_files = ["tables.css", "site.css"]
html_show_sourcelink = False
html_math_renderer = "mathml"
