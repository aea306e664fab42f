"""Complaints name the argument, what was expected and what came."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wavevit import checks
from wavevit.wavelets import (
    Pyramid,
    dwt2,
    dwt_max_level,
    idtcwt2,
    idwt2,
    iwavepacket2,
    wavedec2,
    wavepacket2,
    waverec2,
)

IMAGE = torch.zeros(1, 1, 8, 8)


def test_extra_is_named() -> None:
    with pytest.raises(ImportError, match=r"pip install 'wavevit\[timm\]'"):
        checks.require_extra("no_such_module_at_all", "timm")
    assert checks.require_extra("json", "timm").dumps([]) == "[]"


def test_an_extra_that_is_broken_says_what_it_lacks(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_extra.py").write_text("import surely_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="surely_not_installed"):
        checks.require_extra("broken_extra", "timm")


@pytest.mark.parametrize("function", [dwt2, wavedec2, wavepacket2])
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(8, 8), r"x: expected 4 dimensions \(B, C, H, W\), got 2"),
        (IMAGE.long(), r"x: expected a floating dtype .*, got torch.int64"),
        (
            IMAGE.to(torch.float8_e4m3fn),
            r"x: expected a floating dtype of 16 bits or more .*, got torch.float8_e4m3fn",
        ),
        (torch.zeros(1, 1, 0, 4), r"x: expected sides of at least 1 pixel"),
        ([[1.0]], r"x: expected a torch.Tensor .*, got list"),
    ],
)
def test_transforms_refuse_bad_images(function, image, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(image)


@pytest.mark.parametrize("function", [dwt2, wavedec2, wavepacket2])
def test_transforms_refuse_unknown_names(function) -> None:
    with pytest.raises(ValueError, match=r"wavelet: .*got 'haarr' \(unknown; nearest: haar\)"):
        function(IMAGE, "haarr")
    with pytest.raises(ValueError, match=r"wavelet: expected a name, a FilterBank, .*, got int 4"):
        function(IMAGE, 4)
    with pytest.raises(ValueError, match=r"mode: .*nearest: periodization.*'periodisation'"):
        function(IMAGE, mode="periodisation")


def test_levels() -> None:
    with pytest.raises(ValueError, match="level: expected at most 3 for a side of 8 pixels, got 4"):
        wavedec2(IMAGE, level=4)
    with pytest.raises(ValueError, match="level: expected an integer of at least 0, got -1"):
        wavepacket2(IMAGE, level=-1)


def test_deepest_level_of_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="height: expected an integer of at least 1, got -8"):
        dwt_max_level(-8, 8)
    with pytest.raises(ValueError, match="width: expected an integer of at least 1, got '8'"):
        dwt_max_level(8, "8")


def test_inverses_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="coefficients: expected 4 subbands on axis 2"):
        idwt2(torch.zeros(1, 1, 3, 4, 4))
    with pytest.raises(ValueError, match="coefficients: expected a tensor of shape"):
        idwt2(IMAGE)
    with pytest.raises(ValueError, match="coefficients: expected a floating dtype"):
        idwt2(torch.zeros(1, 1, 4, 4, 4, dtype=torch.int32))
    with pytest.raises(ValueError, match=r"output_size: .*\(8, 8\), got \(6, 8\)"):
        idwt2(torch.zeros(1, 1, 4, 4, 4), output_size=(6, 8))
    for wrong, words in ((8, "8"), ((8, 8, 8), r"\(8, 8, 8\)")):
        with pytest.raises(ValueError, match=f"output_size: expected 2 sides, got {words}"):
            idwt2(torch.zeros(1, 1, 4, 4, 4), output_size=wrong)
    with pytest.raises(ValueError, match=r"packets: expected shape \(B, C, 4\*\*level, h, w\)"):
        iwavepacket2(torch.zeros(1, 1, 8, 4, 4))
    with pytest.raises(ValueError, match="output_size: expected a size that 1 halvings"):
        iwavepacket2(torch.zeros(1, 1, 4, 4, 4), output_size=(12, 8))
    with pytest.raises(ValueError, match=r"pyramid.details\[0\]: expected details of \(4, 4\)"):
        waverec2(Pyramid(torch.zeros(1, 1, 4, 4), (torch.zeros(1, 1, 3, 6, 6),)))
    with pytest.raises(ValueError, match=r"pyramid.details\[0\]: expected 3 subbands"):
        waverec2(Pyramid(torch.zeros(1, 1, 4, 4), (torch.zeros(1, 1, 4, 4, 4),)))
    with pytest.raises(ValueError, match=r"pyramid: expected a pair .* got list of Tensor, tuple"):
        waverec2([IMAGE, (IMAGE,), (IMAGE,)])  # PyWavelets' form
    with pytest.raises(ValueError, match=r"pyramid: expected a pair .* got list of Tensor, Tensor"):
        waverec2([IMAGE, IMAGE])
    with pytest.raises(ValueError, match=r"pyramid: expected a pair .* got NoneType"):
        idtcwt2(None)


@pytest.mark.parametrize(
    ("value", "bounds", "expected"),
    [
        ("a", {}, "a finite number"),
        (True, {}, "a finite number"),
        (float("nan"), {}, "a finite number"),
        (None, {"above": 0}, "a positive number"),
        (0, {"above": 0}, "a positive number"),
        (-1, {"least": 0}, "a number of at least 0"),
        (1, {"least": 0, "below": 1}, "a number of at least 0 and below 1"),
        (1.5, {"above": 0, "most": 1}, "a number above 0 and at most 1"),
    ],
)
def test_numbers_within_bounds(value, bounds: dict[str, float], expected: str) -> None:
    with pytest.raises(ValueError, match=f"^x: expected {expected}, got {value!r}$"):
        checks.check_number("x", value, **bounds)
    good = np.float32(0.5)
    assert checks.check_number("x", good, **bounds) == good


@pytest.mark.parametrize("value", [3, "ab", (1,), (1, 2, 3), (1, 0.5), (True, 2), (1, 0)])
def test_pairs(value: object) -> None:
    with pytest.raises(ValueError, match=r"^x: expected two sides, got "):
        checks.check_pair("x", value, "two sides", least=1)
    checks.check_pair("x", [np.int64(1), 2], "two sides", least=1)


def test_callables_modules_seeds_and_generators() -> None:
    for check, good, bad in (
        (checks.check_callable, len, "a"),
        (checks.check_module, torch.nn.Identity(), len),
        (checks.check_seed, -1, 0.5),
        (checks.check_seed, 2**64 - 1, 2**64),
        (checks.check_generator, None, 0),
        (checks.check_generator, torch.Generator(), "a"),
    ):
        check("x", good)
        with pytest.raises(ValueError, match=r"^x: expected "):
            check("x", bad)
