"""Options of a command line: tyro reads them, and one line says what is wrong with them."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from types import UnionType
from typing import Any

from wavevit.checks import fail, require_extra

__all__ = ["read_options"]

_KINDS = {"INT": "an integer", "FLOAT": "a number", "STR": "text", "PATH": "a path"}
_RULE = re.compile(r"^[\s│]*[-─]{6,}[\s│]*$|^[╭╰].*[╮╯]$")


def read_options(
    kind: Any, *, prog: str, description: str | None = None, arguments: Sequence[str] | None = None
) -> Any:
    """Reads the options of a command.

    Args:
        kind: a dataclass, or a union of them: then the first word is the command.
        prog: the program's name in the help.
        description: of the program, for the help.
        arguments: the words; None for those that were typed.

    Returns:
        An instance of `kind`.

    Raises:
        SystemExit: after the help, with status 0.
        ValueError: an unknown option, a value of another type, a missing value. An option that
            takes several values needs one: ``--fail-under $LIMITS`` with an empty variable would
            otherwise be no limit.
    """
    tyro: Any = require_extra("tyro", "audit")
    words = list(sys.argv[1:] if arguments is None else arguments)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found = tyro.cli(kind, prog=prog, description=description, args=words)
    except SystemExit as end:
        if not end.code:
            raise
        command = words[0] if isinstance(kind, UnionType) and words else ""
        raise ValueError(_in_one_line(said.getvalue(), f"{prog} {command}".rstrip())) from None
    typed = {word.partition("=")[0].replace("_", "-") for word in words}
    for name, value in vars(found).items():
        if value == () and f"--{name.replace('_', '-')}" in typed:
            fail(name.replace("_", "-"), "at least one value", "none")
    return found


def _in_one_line(text: str, prog: str) -> str:
    """What tyro says in a box of lines, as one line of the form of all our messages."""
    parts: list[list[str]] = [[]]
    for line in text.splitlines():
        if _RULE.match(line):
            parts.append([])
        elif line.strip(" │"):
            parts[-1].append(line.strip(" │"))
    sections = [" ".join(part) for part in parts if part]
    whole = " ".join(sections)
    if match := re.search(r"Error parsing (?:--)?(\S+): (.*)", whole):
        return _wrong_value(match[1], match[2])
    if match := re.search(r"Expected one of \{(.*?)\}", whole):
        return f"command: expected one of {match[1]}, got none"
    if match := re.search(r"Unrecognized options: (.*?) Available subcommands: (.*?) For ", whole):
        return f"command: expected one of {match[2]}, got {match[1]}"
    if match := re.search(
        r"Unrecognized options: (.*?)(?: Perhaps you meant:| For full |$)", whole
    ):
        near = re.findall(r"^(--\S+)", "\n".join(line for part in parts for line in part), re.M)
        hint = f" (nearest: {', '.join(dict.fromkeys(near))})" if near else ""
        got = match[1].replace(",", "")
        return f"option: expected one that `{prog} --help` lists{hint}, got {got}"
    if match := re.search(r"Missing value for argument '(\S+?)'", whole):
        return f"{match[1]}: expected a value, got none"
    if match := re.search(r"Missing from .*?: (\S+) (.*?) \(required\)", whole):
        described = match[2].rstrip(".")
        return f"{match[1]}: expected {described[:1].lower()}{described[1:]}, got none"
    return whole


def _wrong_value(name: str, said: str) -> str:
    """A value that is not of the option's type."""
    helped = re.search(rf"Argument helptext: --{re.escape(name)} (.*?)(?: For full |$)", said)
    metavar = re.search(r"INT|FLOAT|PATH|STR", helped[1] if helped else "")
    got = re.search(r"\[('.*?')\]|: ('.*?')", said)
    if metavar is None or got is None:
        return f"{name}: {said}"
    many = "[" in helped[1].split(metavar[0])[0] if helped else False
    expected = _KINDS[metavar[0]] + (" or several" if many else "")
    return f"{name}: expected {expected}, got {got[1] or got[2]}"
