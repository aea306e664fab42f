"""The benchmark of filters runs, refuses wrong contenders, and its page shows its record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from experiments.benchmarks import filters
from experiments.benchmarks.filters import (
    PAGE,
    RECORD,
    Case,
    Options,
    benchmark,
    contenders,
    main,
    page_with,
    render,
)

TINY = (
    Case("decimated", "db2", "periodization", 1, (1, 2, 16, 8)),
    Case("decimated", "bior4.4", "symmetric", 2, (1, 2, 16, 18)),
    Case("undecimated", "haar", "periodic", 1, (1, 2, 8, 6)),
    Case("undecimated", "haar", "periodic", 2, (1, 2, 8, 6)),
    Case("dual tree", "near_sym_a", "symmetric", 2, (1, 2, 16, 8)),
)
# Who has what: the text at the top of the benchmark says why.
OPPONENTS = (
    {"pytorch-wavelets"},
    {"pytorch-wavelets", "ptwt"},
    {"pytorch-wavelets", "ptwt", "grouped dilated convolution"},
    {"pytorch-wavelets", "grouped dilated convolution"},
    {"pytorch-wavelets"},
)


@pytest.fixture(autouse=True)
def _no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    # The real compiler is timed by the command itself; here it would take longer than the test.
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


def test_measures_and_records(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "filters.json"
    monkeypatch.setattr("sys.argv", ["filters", "--quick", "--threads", "1", "--out", str(out)])
    monkeypatch.setattr(benchmark, "__defaults__", (TINY,))
    before = torch.get_num_threads()
    main()
    assert torch.get_num_threads() == before
    cells = json.loads(out.read_text())["cells"]
    assert len(cells) == 2 * len(TINY)
    for index, cell in enumerate(cells):
        ours = {"wavevit", "wavevit compiled"}
        assert set(cell["milliseconds"]) == ours | {"clone"} | OPPONENTS[index // 2]
        assert set(cell["times_faster_than_best_library"]) == ours
        assert cell["rounds"] == 3
    assert "dual tree near_sym_a symmetric level 2 1x2x16x8" in capsys.readouterr().out
    tables = render({"cells": cells})
    assert [line for line in tables.splitlines() if line.endswith(":")] == [
        "Decimated:",
        "Undecimated:",
        "Dual tree:",
    ]


def test_several_levels_are_timed_on_the_first_number_of_threads_only() -> None:
    cells = benchmark(Options(quick=True, threads=(1, 2)), TINY[2:4])["cells"]
    assert [(cell["level"], cell["threads"]) for cell in cells[::2]] == [(1, 1), (2, 1), (1, 2)]


@pytest.mark.parametrize("wrong", [lambda x: (2 * x,), lambda x: (x[..., ::2],)])
def test_wrong_coefficients_are_refused(monkeypatch: pytest.MonkeyPatch, wrong: object) -> None:
    """Negative control: neither other values nor other shapes are timed."""
    found = {"wavevit": lambda x: (x,), "wrong": wrong}
    monkeypatch.setattr(filters, "contenders", lambda case, x: found)
    with pytest.raises(ValueError, match="wrong: expected"):
        benchmark(Options(quick=True, threads=(1,)), TINY[:1])


def test_a_missing_library_is_said_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(filters, "import_module", missing)
    assert set(contenders(TINY[0], torch.zeros(TINY[0].shape))) == {"wavevit", "wavevit compiled"}
    assert "ptwt is left out" in capsys.readouterr().out


def test_bad_options_are_named() -> None:
    with pytest.raises(ValueError, match="threads: expected an integer of at least 1"):
        benchmark(Options(threads=(0,)), TINY)


def test_the_page_shows_the_record() -> None:
    page = PAGE.read_text()
    assert page == page_with(json.loads(RECORD.read_text()), page)
