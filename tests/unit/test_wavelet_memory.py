"""What a transform allocates at its peak, results included, in images of its own size.

"Output and one level" is 2 where a level has as many numbers as the image. The profiler sees every
allocation of torch, those inside operators too, and those that convolutions make for themselves.
It does not see numba's: the kernels' only own arrays are two strips of at most 16 rows of one
channel for each thread, `scratch` in `wavevit/wavelets/_kernels/haar_cpu.py`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from wavevit.wavelets import (
    dtcwt2,
    dwt2,
    idtcwt2,
    idwt2,
    iswt2,
    iwavepacket2,
    kernels,
    scattering2,
    swt2,
    wavedec2,
    wavepacket2,
    waverec2,
)

IMAGES = torch.zeros(4, 8, 256, 256)
BANDS = IMAGES.view(4, 2, 4, 256, 256)


@cache
def coefficients(name: str) -> Any:
    """What an inverse is given. Made when it is asked for: every run imports this file."""
    made = {
        "pyramid": lambda: wavedec2(IMAGES, level=3),
        "deep": lambda: wavedec2(IMAGES, "db4", level=3),
        "packets": lambda: wavepacket2(IMAGES, "db4", level=3),
        "undecimated": lambda: swt2(IMAGES[:, :2], "db4", level=2),
        "trees": lambda: dtcwt2(IMAGES, 3),
    }
    return made[name]()


def peak(function) -> float:
    """Most bytes alive at once that `function` allocated, over the bytes of `IMAGES`."""
    with torch.no_grad():
        function()  # filters are made once
        with profile(
            activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True
        ) as profiler:
            result = function()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    alive = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        alive += event.nbytes()
        most = max(most, alive)
    del result
    return round(most / IMAGES.nbytes, 2)  # scalars and filters left out


def test_freed_memory_is_subtracted() -> None:
    assert peak(lambda: IMAGES + 1) == 1
    assert peak(lambda: (IMAGES + 1).sum()) == 1
    assert peak(lambda: (IMAGES + 1) + (IMAGES + 2)) == 3


HAAR = {
    "dwt2": lambda: dwt2(IMAGES),
    "idwt2": lambda: idwt2(BANDS),
    "wavedec2": lambda: wavedec2(IMAGES, level=3),
    "waverec2": lambda: waverec2(coefficients("pyramid")),
    "wavepacket2": lambda: wavepacket2(IMAGES, level=3),
}


@pytest.mark.parametrize("name", HAAR)
def test_haar_with_its_kernel_allocates_its_output(name: str) -> None:
    """Odd sides, which are first extended, cost a copy of the image beside it."""
    assert peak(HAAR[name]) == 1
    assert peak(lambda: dwt2(IMAGES[..., 1:, 1:])) < 2


def test_levels_of_undecimated_haar_with_its_kernel_allocate_their_output() -> None:
    quarter = IMAGES[:1]
    assert 4 * peak(lambda: swt2(quarter, level=2)) == 8


# Without one, of several levels also the larger one lives on.
PLAIN = {"dwt2": 1, "idwt2": 1, "wavedec2": 1.25, "waverec2": 1.25, "wavepacket2": 2}
PIECE = 0.25  # what is being worked on: a megabyte or two, here of 8


@pytest.mark.parametrize("name", HAAR)
def test_haar_without_its_kernel(name: str) -> None:
    with kernels(False):
        assert peak(HAAR[name]) <= PLAIN[name] + PIECE


# Output, and the largest level beside it, which may be the output itself.
LONGER = {
    "dwt2": (lambda: dwt2(IMAGES, "db4", "symmetric"), 1.1, 0),
    "idwt2": (lambda: idwt2(BANDS, "db4"), 1, 0),
    "wavedec2": (lambda: wavedec2(IMAGES, "db4", level=3), 1, 0.25),
    "waverec2": (lambda: waverec2(coefficients("deep"), "db4"), 1, 0.25),
    "wavepacket2": (lambda: wavepacket2(IMAGES, "db4", level=3), 1, 1),
    "iwavepacket2": (lambda: iwavepacket2(coefficients("packets"), "db4"), 1, 1),
    "swt2": (lambda: swt2(IMAGES, "db4"), 4, 0),
    "swt2 haar": (lambda: swt2(IMAGES), 4, 0),
    "swt2, two levels": (lambda: swt2(IMAGES, "db4", 2), 8, 4),
    "iswt2": (lambda: iswt2(coefficients("undecimated"), "db4"), 0.25, 1),
    "dtcwt2": (lambda: dtcwt2(IMAGES, 3), 4, 1.25),
    "idtcwt2": (lambda: idtcwt2(coefficients("trees")), 1, 2),
}


@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "plain"])
@pytest.mark.parametrize("name", LONGER)
def test_output_and_one_level(name: str, kernel: bool) -> None:
    function, output, level = LONGER[name]
    with kernels(kernel):
        assert peak(function) <= output + level + (0.05 if kernel else 2 * PIECE)


HALF = IMAGES.half()
CHANNELS_LAST = IMAGES.contiguous(memory_format=torch.channels_last)
SCATTERED = scattering2(IMAGES[:1].to("meta")).numel() / IMAGES[:1].numel()
# Second magnitudes start from six maps of a quarter of the pixels, each four times redundant.
SECOND = 6.0
WIDER = {
    "dwt2, half": (lambda: dwt2(HALF), 0.5, 0.5),
    "dwt2 db4, half": (lambda: dwt2(HALF, "db4"), 0.5, 0.5),
    "wavedec2, half": (lambda: wavedec2(HALF, level=3), 0.5, 0.5),
    "dwt2, channels last": (lambda: dwt2(CHANNELS_LAST), 1, 1),
    "scattering2": (lambda: scattering2(IMAGES), SCATTERED, SECOND),
}


@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "plain"])
@pytest.mark.parametrize("name", WIDER)
def test_output_and_one_level_of_what_is_wider_inside(name: str, kernel: bool) -> None:
    """Float32 inside half precision, four halves of a butterfly, magnitudes of magnitudes."""
    function, output, level = WIDER[name]
    with kernels(kernel):
        assert peak(function) <= output + level


@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "plain"])
def test_levels_that_are_derived_share_one_result(kernel: bool) -> None:
    leaf = IMAGES[:, :2].clone().requires_grad_()

    def two_levels() -> torch.Tensor:
        with torch.enable_grad():
            return swt2(leaf, "db4", 2)

    with kernels(kernel):  # of a quarter of the images: eight, and four of one level
        assert 4 * peak(two_levels) <= 8 + 4 + (0.2 if kernel else 8 * PIECE)


def test_a_convolution_takes_more() -> None:
    """Negative control: what torch's own operations would take for one level."""
    kernel = torch.ones(8, 1, 1, 8)
    assert peak(lambda: torch.nn.functional.conv2d(IMAGES, kernel, groups=8)) > 1.5
