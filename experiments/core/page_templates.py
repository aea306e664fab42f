"""Pages from Jinja2 templates in ``experiments/templates``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2


@cache
def _environment() -> jinja2.Environment:
    """Templates of HTML escape what they are given; a name that is not given is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parents[1] / "templates"),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def render(name: str, **values: Any) -> str:
    """The text of a template with its values.

    Args:
        name: of the template, such as ``"report.html.j2"``; ``.html`` templates escape values.
        **values: every name that the template reads.
    """
    return _environment().get_template(name).render(**values)
