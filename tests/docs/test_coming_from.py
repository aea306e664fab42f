"""The page "Coming from …": every call in its table runs, and calls side by side agree."""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import pywt
import torch
import torchwavelets

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
SIGNALS, VOLUMES = IMAGE.flatten(2), IMAGE.reshape(2, 3, 16, 16, 14)[..., :12]


def table(title: str = "task") -> list[list[str]]:
    """The rows of a table, the titles of its columns first."""
    start = PAGE.index(f"| {title} |")
    titles, _, *rows = PAGE[start:].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in (titles, *rows)]


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
    for row in table()[1:]:
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


@pytest.mark.filterwarnings("ignore:Sparse")
def test_the_matrices_of_ptwt_exchange_horizontal_and_vertical() -> None:
    """Haar and sides that two levels divide: no border, so that only the order can differ."""
    approx, details = wavevit.wavelets.wavedec2(IMAGE, "haar", level=2)
    their_approx, *theirs = ptwt.MatrixWavedec2("haar", 2)(IMAGE)
    torch.testing.assert_close(their_approx, approx)
    for (first, second, third), our in zip(theirs, details, strict=True):
        torch.testing.assert_close(torch.stack([second, first, third], dim=2), our)
        assert not torch.allclose(first, second)


@pytest.mark.filterwarnings("ignore:Sparse")
def test_the_matrices_of_ptwt_keep_the_default_level_of_their_first_input() -> None:
    small, large = (IMAGE[..., :side, :side] for side in (8, 32))
    theirs = ptwt.MatrixWavedec2("haar")
    assert [len(theirs(image)[1:]) for image in (small, large)] == [3, 3]
    ours = [wavevit.wavelets.wavedec2(image, "haar")[1] for image in (small, large)]
    assert [len(details) for details in ours] == [3, 5]


def test_only_the_import_changes() -> None:
    for name in re.findall(r"from wavevit.wavelets.compat import (.*?)  #", PAGE)[0].split(", "):
        assert hasattr(compat, name)
        assert hasattr(pytorch_wavelets, name)


def calls(title: str, column: str, **names: Any) -> dict[str, Any]:
    """Results of a column of the tables of signals and volumes, by task."""
    titles, *rows = table(title)
    results: dict[str, Any] = {}
    for task, *cells in rows:
        code = re.findall(r"`([^`]+)`", cells[titles.index(column) - 1])
        if code and task not in ("its parts", "order of levels"):
            results[task] = eval(code[0], names | {"coeffs": results.get("several levels")})
    return results


def test_signals_side_by_side() -> None:
    where = {"s": SIGNALS, "t": SIGNALS.numpy(), "L": SIGNALS.shape[-1]}
    ours = calls("signals", "wavevit", **where, **vars(wavevit.wavelets))
    torch.testing.assert_close(ours["inverse"], SIGNALS)
    for column, names in (("PyWavelets", {"pywt": pywt}), ("ptwt", {"ptwt": ptwt})):
        theirs = calls("signals", column, **where, **names)
        torch.testing.assert_close(torch.as_tensor(theirs["inverse"]), SIGNALS)
        # Of several undecimated levels ptwt has one flat list, PyWavelets a pair for each.
        coarsest = theirs["undecimated"][:2] if column == "ptwt" else theirs["undecimated"][0]
        for parts, expected in (
            (theirs["one level"], ours["one level"]),
            (coarsest, ours["undecimated"][:, :, 0]),
        ):
            stacked = torch.stack([torch.as_tensor(part) for part in parts], dim=2)
            torch.testing.assert_close(stacked, expected)


def test_torchwavelets_side_by_side() -> None:
    where = {"s": SIGNALS, "L": SIGNALS.shape[-1]}
    ours = calls("signals", "wavevit", **where, **vars(wavevit.wavelets))
    theirs = calls("signals", "torchwavelets", **where, **vars(torchwavelets))
    torch.testing.assert_close(theirs["inverse"], SIGNALS)
    low, (high,) = theirs["one level"]
    torch.testing.assert_close(torch.stack([low, high], dim=2), ours["one level"])
    _, fine_to_coarse = theirs["several levels"]
    for their, our in zip(fine_to_coarse[::-1], ours["several levels"].details, strict=True):
        torch.testing.assert_close(their, our[:, :, 0])
    undecimated = torch.stack(theirs["undecimated"][0], dim=2)
    torch.testing.assert_close(undecimated, ours["undecimated"][:, :, 0])


def test_volumes_side_by_side() -> None:
    sides = dict(zip("DHW", VOLUMES.shape[2:], strict=True))
    where = {"v": VOLUMES, "u": VOLUMES.numpy(), **sides}
    ours = calls("volumes", "wavevit", **where, **vars(wavevit.wavelets))
    keys = re.findall("`(aaa, .*)`", PAGE)[0].split(", ")
    theirs = calls("volumes", "PyWavelets", **where, pywt=pywt)
    assert sorted(theirs["one level"]) == keys
    for result, bands in (
        (theirs["one level"], ours["one level"]),
        (theirs["undecimated"][0], ours["undecimated"][:, :, 0]),
    ):
        stacked = torch.stack([torch.from_numpy(result[key]) for key in keys], dim=2)
        torch.testing.assert_close(stacked, bands)
    approx, details = calls("volumes", "ptwt", **where, ptwt=ptwt)["one level"]
    stacked = torch.stack([approx, *(details[key] for key in keys[1:])], dim=2)
    torch.testing.assert_close(stacked, ours["one level"])
    for back in (ours["inverse"], torch.from_numpy(theirs["inverse"])):
        torch.testing.assert_close(back, VOLUMES)


def test_default_modes_are_those_of_the_page() -> None:
    """In the page's order: ours, PyWavelets', torchwavelets', ptwt's two, pytorch-wavelets'."""
    (said,) = re.findall(r"^\* \*\*Defaults\.\*\*.*?(?=^\* )", PAGE, re.S | re.M)
    functions = (
        wavevit.wavelets.wavedec2,
        pywt.wavedec2,
        torchwavelets.dwt2d,
        ptwt.wavedec2,
        ptwt.wavedec3,
        pytorch_wavelets.DWTForward,
    )
    modes = [inspect.signature(function).parameters["mode"].default for function in functions]
    assert modes == ["periodization", "symmetric", "symmetric", "reflect", "zero", "zero"]
    named = [word for word in re.findall(r'`"(\w+)"`', said) if word in pywt.Modes.modes]
    # torchwavelets' mode is said by "too".
    assert named == [modes[0], modes[1], *modes[3:]]
    for function in (ptwt.wavedec, ptwt.fswavedec2, ptwt.fswavedec3):
        assert inspect.signature(function).parameters["mode"].default == "reflect"
