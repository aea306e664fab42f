"""Every command on a page and in the README has options that exist, for experiments that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import VERBS, ReportOptions
from experiments.claims.__main__ import Options as ClaimsOptions
from experiments.core.data_choice import read_source_options
from experiments.core.registry import find_experiment
from experiments.core.study import Study
from experiments.explorer.__main__ import Options as ExplorerOptions
from wavevit.cli import Audit, Models, Transform
from wavevit.command_line import read_options

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FLAGS = re.DOTALL | re.MULTILINE
BLOCK = re.compile(r"^```(?:sh|console)\n(.*?)^```", FLAGS)
OURS = re.compile(r"(?:python -m|torchrun .*? -m) experiments (.*)|(wavevit) (.*)")
# Words that stand for a choice of the reader, such as STUDY; options are never written so.
PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]{2,}\b")


def commands_of(text: str) -> set[str]:
    """In blocks, with continued lines, and between single backticks; without the prompt."""
    blocks = "\n".join(BLOCK.findall(text)).replace("\\\n", " ")
    lines = [line.removeprefix("$ ") for line in blocks.splitlines()]
    spans = re.findall(r"`((?:python -m experiments|wavevit \w+) [^`]+)`", text)
    parts = (part for line in [*lines, *spans] for part in line.split("&&"))
    cleaned = (" ".join(re.split(r"#|\\?\|", part)[0].split()) for part in parts)
    return {command for command in cleaned if OURS.fullmatch(command)}


def is_form(command: str) -> bool:
    """Whether the reader fills in a name, such as STUDY."""
    words = shlex.split(command)
    return bool(PLACEHOLDER.fullmatch(words[min(4, len(words) - 1)])) or words[-1] == "…"


WRITTEN = set().union(*(commands_of(page.read_text()) for page in PAGES))
COMMANDS = sorted(command for command in WRITTEN if not is_form(command))


def experiment(verb: str, name: str, words: list[str]) -> Any:
    """Of that name: one of ours, or the study in a file that a page shows and `--module` names."""
    for file in words[words.index("--module") + 1 :] if "--module" in words else ():
        start = re.escape(f"# {file}")
        for page in PAGES:
            for code in re.findall(rf"^```python\n({start}\n.*?)^```", page.read_text(), FLAGS):
                made: dict[str, Any] = {}
                exec(compile(code, str(page), "exec"), made)
                for one in made.values():
                    if isinstance(one, Study) and one.name == name:
                        return one
    return find_experiment(verb, name)


def read(command: str) -> Any:
    """The options of a command; a ValueError for one that does not exist."""
    found = OURS.fullmatch(command)
    assert found is not None
    if found[2]:
        return read_options(Audit | Transform | Models, prog="", arguments=shlex.split(found[3]))
    verb, *words = shlex.split(found[1])
    assert verb in VERBS, verb
    if verb == "claims":
        return read_options(ClaimsOptions, prog="", arguments=words)
    if verb == "explorer":
        return read_options(ExplorerOptions, prog="", arguments=words)
    if verb == "report":
        name, *words = words or ["smoke"]
        experiment("run", name, words)
        return read_options(ReportOptions, prog="", arguments=words)
    if words == ["--help"]:  # lists the names
        return None
    one = experiment(verb, words[0], words)
    options = read_options(one.options, prog="", arguments=words[1:])
    if isinstance(one, Study):
        assert set(options.variants) <= one.configs().keys()
        read_source_options(options.source_options)
    return options


def test_pages_have_commands() -> None:
    assert len(COMMANDS) > 60
    assert any(command.startswith("torchrun") for command in COMMANDS)
    assert any(command.startswith("wavevit audit") for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_exists(command: str) -> None:
    read(command)


@pytest.mark.parametrize(
    "command",
    [
        "python -m experiments run tokenisers",
        "python -m experiments run tokenizers --seed 0",
        "python -m experiments run backbones --variants haar",
        "python -m experiments report tokenizers --recorded",
        "wavevit audit test_vit --fast",
    ],
)
def test_negative_control(command: str) -> None:
    with pytest.raises((ValueError, AssertionError, KeyError)):
        read(command)
