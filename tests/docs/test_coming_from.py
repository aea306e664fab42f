"""The page "Coming from …": every call in its table runs, and calls side by side agree."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import pywt
import torch

import wavevit.wavelets
from wavevit.wavelets import compat

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # they import what is deprecated
    import ptwt
    import pytorch_wavelets
    from pytorch_wavelets.dwt.transform2d import SWTForward

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from.md").read_text()
IMAGE = torch.randn(2, 3, 64, 56, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LIBRARIES = ("PyWavelets", "pytorch-wavelets", "ptwt", "wavevit")


def table() -> list[list[str]]:
    start = PAGE.index("| task |")
    rows = PAGE[start:].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def names_of(library: str) -> dict[str, Any]:
    names: dict[str, Any] = {"a": IMAGE.numpy(), "x": IMAGE, "H": 64, "W": 56, "pywt": pywt}
    if library == "wavevit":
        names |= vars(wavevit.wavelets)
        bank = wavevit.wavelets.filter_bank("db4")
        names |= {field: getattr(bank, field) for field in ("dec_lo", "dec_hi", "rec_lo", "rec_hi")}
    return names | {"ptwt": ptwt, "SWTForward": SWTForward, **vars(pytorch_wavelets)}


def run(library: str) -> dict[str, Any]:
    """Results by task, the calls of one column run from top to bottom as a reader would."""
    names, results = names_of(library), {}
    column = 1 + LIBRARIES.index(library)
    for row in table():
        for code in re.findall(r"`([^`]+)`", row[column]):
            if "…" in code:
                continue
            try:
                value = eval(code, names)
            except SyntaxError:
                exec(code, names)
                value = None
            results.setdefault(row[0] if row[0] not in results else f"{row[0]} again", value)
            if row[0] == "one level" and library == "ptwt":
                names["coeffs"] = [names["cA"], (names["cH"], names["cV"], names["cD"])]
            if row[0] == "several levels" and library == "pytorch-wavelets":
                names["yl"], names["yh"] = value
            elif row[0] == "several levels":
                names["coeffs"] = value
    return results


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    torch.set_default_dtype(torch.float64)  # pytorch-wavelets builds its filters in it
    try:
        return {library: run(library) for library in LIBRARIES}
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("library", LIBRARIES)
def test_inverse_restores_the_image(library: str, results) -> None:
    for task in ("inverse", "inverse again"):
        torch.testing.assert_close(torch.as_tensor(results[library][task]), IMAGE)


@pytest.mark.parametrize("library", ["PyWavelets", "pytorch-wavelets", "ptwt"])
def test_the_same_call_gives_the_same(library: str, results) -> None:
    ours = results["wavevit"]["its approximation"]
    torch.testing.assert_close(torch.as_tensor(results[library]["its approximation"]), ours)


def test_undecimated_levels_agree(results) -> None:
    ours = results["wavevit"]["undecimated"]
    for index, (approx, _) in enumerate(results["PyWavelets"]["undecimated"]):
        torch.testing.assert_close(ours[:, :, index, 0], torch.from_numpy(approx))


def test_only_the_import_changes() -> None:
    for name in re.findall(r"from wavevit.wavelets.compat import (.*?)  #", PAGE)[0].split(", "):
        assert hasattr(compat, name)
        assert hasattr(pytorch_wavelets, name)
