"""What a transform allocates at its peak, results included, in images of its own size.

"Output and one level" is 2 where a level has as many numbers as the image. The profiler sees every
allocation of torch, those inside operators too, and those that convolutions make for themselves.
It does not see numba's: the kernels' only own arrays are two strips of at most 16 rows of one
channel for each thread, `scratch` in `wavevit/wavelets/haar_cpu.py`.
"""

from __future__ import annotations

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from wavevit.wavelets import dtcwt2, dwt2, idwt2, swt2, wavedec2, wavepacket2, waverec2
from wavevit.wavelets.haar_maps import kernels

IMAGES = torch.zeros(4, 8, 128, 128)
BANDS = IMAGES.view(4, 2, 4, 128, 128)
PYRAMID = wavedec2(IMAGES, level=3)


def peak(function) -> float:
    """Most bytes alive at once that `function` allocated, over the bytes of `IMAGES`."""
    with torch.no_grad():
        function()  # filters are made once
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            result = function()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    alive = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        alive += event.nbytes()
        most = max(most, alive)
    del result
    return round(most / IMAGES.nbytes, 2)  # scalars and filters left out


def test_the_measure_sees_what_is_freed_again() -> None:
    assert peak(lambda: IMAGES + 1) == 1
    assert peak(lambda: (IMAGES + 1).sum()) == 1
    assert peak(lambda: (IMAGES + 1) + (IMAGES + 2)) == 3


HAAR = {
    "dwt2": lambda: dwt2(IMAGES),
    "idwt2": lambda: idwt2(BANDS),
    "wavedec2": lambda: wavedec2(IMAGES, level=3),
    "waverec2": lambda: waverec2(PYRAMID),
    "wavepacket2": lambda: wavepacket2(IMAGES, level=3),
}


@pytest.mark.parametrize("name", HAAR)
def test_haar_with_its_kernel_allocates_its_output(name: str) -> None:
    """Odd sides, which are first extended, cost a copy of the image beside it."""
    assert peak(HAAR[name]) == 1
    assert peak(lambda: dwt2(IMAGES[..., 1:, 1:])) < 2


# Without a kernel, half an image of sums and differences lives beside output and level.
PLAIN = {"dwt2": 1.5, "idwt2": 1.5, "wavedec2": 1.5, "waverec2": 2.75, "wavepacket2": 2.5}


@pytest.mark.parametrize("name", HAAR)
def test_haar_without_its_kernel(name: str) -> None:
    with kernels(False):
        assert peak(HAAR[name]) <= PLAIN[name]


@pytest.mark.parametrize(
    ("function", "bound"),
    [
        # The extended image, the rows' result, that extended, the columns' result: and one more
        # that the convolution lays out for itself. The output is one of them.
        (lambda: dwt2(IMAGES, "db4", "symmetric"), 4.5),
        (lambda: idwt2(BANDS, "db4"), 4.5),
        (lambda: wavedec2(IMAGES, "db4", level=3), 4.5),
        (lambda: wavepacket2(IMAGES, "db4", level=3), 4.5),
        (lambda: swt2(IMAGES), 4),  # its output, and nothing else
        (lambda: swt2(IMAGES, "db4"), 11),
        # 4 for the trees, of which the approximation is copied out of quads; the convolution's own.
        (lambda: dtcwt2(IMAGES, 3), 9.5),
    ],
)
def test_longer_filters_take_more_than_one_level(function, bound: float) -> None:
    """Not "output and one level" but by so much more: torch's convolutions copy what they read."""
    assert peak(function) <= bound
