"""Run a script of timm with our models: ``python -m wavevit.interop.timm_script train.py …``.

timm's scripts (``train.py``, ``validate.py``, …) build any model of timm's registry by its name,
but nothing in them imports a package that adds models. Needs the extra ``timm``.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from wavevit.checks import fail
from wavevit.interop.timm_import import import_timm
from wavevit.interop.timm_registry import register

__all__ = ["run_script"]


def run_script(arguments: Sequence[str]) -> None:
    """Registers our models in timm, then runs a script as ``python SCRIPT …`` does.

    Args:
        arguments: the path of the script, and what it finds behind its name in `sys.argv`.

    Raises:
        ValueError: no path, or no file there.
        ImportError: timm is not installed; the message names the extra.

    Guarantees:
        timm's own ``train.py`` trains our models, and its ``validate.py`` reads what was trained
        (tests/contract/test_timm_scripts.py).

    Example:
        >>> run_script(["train.py", "photos/", "--model", "haar_vit_tiny"])  # doctest: +SKIP
    """
    script = _checked_script(arguments)
    # As for `python SCRIPT`: in a clone of timm, its scripts run with the clone's timm.
    sys.path.insert(0, str(script.resolve().parent))
    sys.argv = list(arguments)
    import_timm()
    register()
    runpy.run_path(str(script), run_name="__main__")


def _checked_script(arguments: Sequence[str]) -> Path:
    if not arguments:
        fail("arguments", "the path of a script, then its arguments", "nothing")
    script = Path(arguments[0])
    if not script.is_file():
        fail("script", "an existing Python file", repr(arguments[0]))
    return script


if __name__ == "__main__":
    try:
        _checked_script(sys.argv[1:])
    except ValueError as error:
        sys.stderr.write(f"wavevit: {error}\n")
        sys.exit(2)  # wrong usage, see `wavevit.cli`
    run_script(sys.argv[1:])
