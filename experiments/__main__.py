"""The command line: ``python -m experiments run|report|bench|claims|explorer``.

What a command needs is imported when it is typed: a worker process of a study, or a benchmark, does
not load the reports.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path
from typing import Annotated

import tyro

from experiments.core.data_choice import DataChoice, on_data
from experiments.core.records import RECORDS
from experiments.core.registry import experiments_by_verb, find_experiment
from experiments.core.scale import SCALE_HELP, at_scale
from experiments.core.usage import stopped_by_files, wrong_usage
from wavevit.checks import check_choice, fail
from wavevit.command_line import read_options
from wavevit.plugins import import_files

_PROGRAM = "python -m experiments"


@dataclass
class ReportOptions(DataChoice):
    """Write the report of a study: tables, figures and one page."""

    scale: Annotated[str, tyro.conf.arg(help=SCALE_HELP)] = "default"
    out: Path | None = None
    """Folder of the runs. Default: that of "run" for this study, scale and data. The report is
    written to its subfolder report."""
    record: bool = False
    """Also write summary and figures to experiments/records/STUDY (or STUDY_large)."""
    module: tuple[Path, ...] = ()
    """Python files to import first: they may define the study, layers and models."""


def _named(verb: str, words: Sequence[str]) -> str:
    """The first word, which names an experiment; help and complaints list all names."""
    found = experiments_by_verb(verb)
    if not words or words[0].startswith("-"):
        lines = [f"usage: {_PROGRAM} {verb} NAME [options]   (NAME --help: the options)\n"]
        lines += [f"  {name:18} {one.kind:12} {one.question}" for name, one in found.items()]
        text = "\n".join(lines)
        if {"-h", "--help"} & {*words}:
            print(text)
            raise SystemExit(0)
        print(text, file=sys.stderr)
        fail("name", "the name of an experiment first", words[0] if words else "none")
    check_choice("name", words[0], found)
    return words[0]


def _run(words: Sequence[str], verb: str = "run") -> int:
    """Train and measure a study, or make the record of a measurement."""
    name = _named(verb, words)
    one = find_experiment(verb, name)
    program = f"{_PROGRAM} {verb} {name}"
    about = f"{one.question}\n\n{cleandoc(one.options.__doc__ or '')}"
    options = read_options(one.options, prog=program, description=about, arguments=words[1:])
    return one.run(options)


def _bench(words: Sequence[str]) -> int:
    """Measure cost, speed and exactness of the library."""
    return _run(words, "bench")


def _report(words: Sequence[str]) -> int:
    """Write a study's report; without a name, every table and figure of the docs."""
    program = f"{_PROGRAM} report"
    if words and words[0] in ("-h", "--help"):
        read_options(ReportOptions, prog=f"{program} [STUDY]", arguments=words[:1])
    if not words:
        from experiments.reporting.regenerate import regenerate

        for path in regenerate():
            print(f"→ {path.relative_to(RECORDS.parents[1])}")
        return 0
    from experiments.reporting.study_report import write_report
    from experiments.studies import get_study

    study = get_study(_named("run", words))
    name = f"{program} {study.name}"
    options = read_options(ReportOptions, prog=name, arguments=words[1:])
    scaled = on_data(at_scale(study, options.scale), options)
    record = RECORDS / scaled.name if options.record else None
    page = write_report(scaled, options.out or Path("runs") / scaled.name, record)
    print(f"Open {page.resolve()}")
    return 0


def _claims(words: Sequence[str]) -> int:
    """Show the verdict of each claim, or make all records again (--run)."""
    from experiments.claims.__main__ import main as claims

    claims(words)
    return 0


def _explorer(words: Sequence[str]) -> int:
    """Store trained models for the page of the Shift Explorer."""
    from experiments.explorer.__main__ import main as explorer

    explorer(words)
    return 0


VERBS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": _run,
    "report": _report,
    "bench": _bench,
    "claims": _claims,
    "explorer": _explorer,
}


def _files(words: Sequence[str]) -> list[Path]:
    """What stands behind ``--module``, up to the next option: the files may define the name."""
    found, taking = [], False
    for word in words:
        if word.startswith("-"):
            option, equals, value = word.partition("=")
            taking = option == "--module"
            found += [value] if taking and equals else []
        elif taking:
            found.append(word)
    return [Path(word) for word in found]


def main() -> None:
    """The command line; complaints about arguments come without a traceback."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print(f"usage: {_PROGRAM} COMMAND [options]\n")
        for verb, function in VERBS.items():
            print(f"  {verb:10} {function.__doc__}")
        raise SystemExit(0 if words else 2)
    program = "experiments"
    try:
        check_choice("command", words[0], VERBS)
        program = f"experiments {words[0]}"
        import_files(_files(words[1:]))
        incomplete = VERBS[words[0]](words[1:])
    except (ValueError, ImportError) as error:  # ImportError: an extra that is not installed
        wrong_usage(program, error)
    except OSError as error:
        stopped_by_files(program, error)
    except KeyboardInterrupt:
        raise SystemExit("Stopped. Run the command again to resume.") from None
    raise SystemExit(1 if incomplete else 0)


if __name__ == "__main__":
    main()
