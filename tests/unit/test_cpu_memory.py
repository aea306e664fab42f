"""Results on the CPU lie in large pages where Linux gives them."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
import torch

from wavevit.wavelets._kernels import cpu_memory
from wavevit.wavelets._kernels.cpu_memory import room

_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_LARGE_PAGES = _SETTING.exists() and "[never]" not in _SETTING.read_text()


def _faults(make) -> int:
    """Pages that the first write to a fresh result touches."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    make().fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(0,), (3, 5), (1 << 20, 3), (3, 1 << 20)])
def test_room_is_like_new_empty(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    like = torch.empty(1, dtype=dtype)
    result, expected = room(like, shape), like.new_empty(shape)
    assert (result.shape, result.dtype, result.stride()) == (
        expected.shape,
        expected.dtype,
        expected.stride(),
    )
    assert torch.equal(result.fill_(2), torch.full(shape, 2, dtype=dtype))


@pytest.mark.skipif(not _LARGE_PAGES, reason="this kernel has no large pages")
def test_large_pages_save_faults() -> None:
    like, shape = torch.empty(1), (16, 1 << 20)  # 64 MiB: beyond what malloc ever keeps
    small = _faults(lambda: like.new_empty(shape))
    if small < 4096:
        pytest.skip("every allocation is given large pages here")
    # Linux gives what it has at hand: where memory is in pieces just then, one try is no statement.
    assert min(_faults(lambda: room(like, shape)) for _ in range(5)) < small / 4
    assert min(_faults(lambda: like.new_empty(shape)) for _ in range(5)) > small / 2


def test_memory_works_without_madvise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_memory, "_advise", lambda: None)
    assert room(torch.empty(1), (1 << 21,)).shape == (1 << 21,)
