"""What a GPU computes, against the same in float64 on the CPU. Skipped where there is none.

The kernels' own laws run everywhere, in Triton's interpreter (test_haar_triton.py); here the
compiled ones, and what stands between them and the user, meet a real card.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from wavevit import create_model
from wavevit.testing import assert_close_relative, tolerance
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
from wavevit.wavelets._engine.haar_maps import HaarMap
from wavevit.wavelets._engine.kernel_choice import has_kernel, imported

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
SIZES = [(1, 1), (2, 2), (5, 7), (6, 3), (24, 260), (56, 56), (224, 224), (17, 1030), (96, 8)]
Parts = tuple[Tensor, ...]


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def maps() -> list[HaarMap]:
    found = [HaarMap(False, False, 1, size) for size in SIZES]
    for pyramid in (False, True):
        for level in (1, 2, 3):
            sides = [(a << level, b << level) for a, b in [(1, 1), (3, 5), (7, 28), (28, 28)]]
            found += [HaarMap(pyramid, False, level, size) for size in sides]
    return found


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("haar_map", maps(), ids=str)
def test_kernels_equal_float64_on_the_cpu(haar_map: HaarMap, dtype: torch.dtype) -> None:
    for which in (haar_map, haar_map.transpose):
        inputs = [noise(*shape).to(dtype) for shape in which.transpose.shapes(3, 5)]
        expected = which.plain([x.double() for x in inputs])
        assert has_kernel(inputs[0].cuda())
        for ours, theirs in zip(which.run([x.cuda() for x in inputs]), expected, strict=True):
            assert ours.dtype == dtype
            assert_close_relative(ours.cpu(), theirs, depth=haar_map.level)


def test_the_kernel_is_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    module = imported("wavevit.wavelets._kernels.haar_triton")
    run = module.run
    monkeypatch.setattr(module, "run", lambda *args: (calls.append(args[0]), run(*args)))
    x = noise(1, 1, 16, 16).cuda()
    wavedec2(x, level=3)
    assert [found.level for found in calls] == [3]  # all levels in one pass
    with kernels(False):
        dwt2(x)
    assert len(calls) == 1


def one(x: Tensor) -> Parts:
    return (dwt2(x),)


def back(x: Tensor) -> Parts:
    return (idwt2(x.unflatten(1, (-1, 4))),)


def pyramid(x: Tensor) -> Parts:
    approx, details = wavedec2(x, level=3)
    return (approx, *details)


def round_trip(x: Tensor) -> Parts:
    return (waverec2(wavedec2(x, level=3)),)


def packets(x: Tensor) -> Parts:
    return (wavepacket2(x, level=3),)


def packets_back(x: Tensor) -> Parts:
    return (iwavepacket2(x.unflatten(1, (-1, 4))),)


TRANSFORMS = [one, back, pyramid, round_trip, packets, packets_back]


def with_gradient(transform: Callable[[Tensor], Parts], x: Tensor) -> list[Tensor]:
    """Results, and the gradient of their product with fixed numbers."""
    leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    results = transform(leaf)
    weights = [noise(*part.shape).to(part) for part in results]
    (gradient,) = torch.autograd.grad(results, leaf, weights)
    return [*(part.detach() for part in results), gradient]


def assert_same(ours: Sequence[Tensor], theirs: Sequence[Tensor], depth: int = 3) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert a.is_cuda
        assert_close_relative(a.cpu(), b, depth=depth)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("size", [(16, 24), (33, 50), (14, 14)])
def test_values_and_gradients(
    transform: Callable[[Tensor], Parts], size: tuple[int, int], dtype: torch.dtype
) -> None:
    x = noise(2, 8, *size).to(dtype)
    assert_same(with_gradient(transform, x.cuda()), with_gradient(transform, x.double()))


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "every second column": lambda x: x[..., ::2],
    "transposed": lambda x: x.mT,
    "cut": lambda x: x[1:, :, 1:, 1:],  # its memory begins anywhere
    "expanded": lambda x: x[:, :1].expand(-1, 5, -1, -1),
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_layouts(transform: Callable[[Tensor], Parts], layout: str, dtype: torch.dtype) -> None:
    if layout == "expanded" and "back" in transform.__name__:
        pytest.skip("five channels are no four bands")
    x = LAYOUTS[layout](noise(3, 8, 20, 32).to(dtype))
    ours = transform(LAYOUTS[layout](noise(3, 8, 20, 32).to(dtype).cuda()))
    assert_same(ours, transform(x.double()))


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_compiled_in_one_graph(transform: Callable[[Tensor], Parts]) -> None:
    x = noise(2, 8, 24, 32).float()
    compiled = torch.compile(transform, fullgraph=True, dynamic=False)
    assert_same(with_gradient(compiled, x.cuda()), with_gradient(transform, x.double()))


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_autocast_leaves_values_alone(transform: Callable[[Tensor], Parts]) -> None:
    x = noise(2, 8, 24, 32).float()
    with torch.autocast("cuda", torch.bfloat16):
        ours = with_gradient(transform, x.cuda())
    assert all(part.dtype == torch.float32 for part in ours)
    assert_same(ours, with_gradient(transform, x.double()))


@pytest.mark.parametrize("transform", [one, pyramid, packets])
def test_derivatives_of_torch_func(transform: Callable[[Tensor], Parts]) -> None:
    x, tangent = noise(2, 4, 8, 16).cuda(), noise(2, 4, 8, 16).flip(-1).cuda()
    _, moved = torch.func.jvp(transform, (x,), (tangent,))
    assert_same(moved, transform(tangent.cpu()))
    mapped = torch.vmap(transform)(x[:, None])
    assert_same(mapped, [part[:, None] for part in transform(x.cpu())])
    assert torch.autograd.gradcheck(transform, x[:1, :1].clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "transform",
    [
        lambda x: (dwt2(x, "db2", mode="symmetric"),),
        lambda x: (idwt2(dwt2(x, "bior4.4", mode="periodization"), "bior4.4", "periodization"),),
        lambda x: (iswt2(swt2(x, "haar", level=1), "haar"),),
        lambda x: (swt2(x, "db2", level=2),),
        lambda x: (dtcwt2(x, level=2).approx, *dtcwt2(x, level=2).details),
        lambda x: (idtcwt2(dtcwt2(x, level=3)),),
        lambda x: (scattering2(x),),
    ],
    ids=["db2", "bior4.4", "iswt2", "swt2", "dtcwt2", "idtcwt2", "scattering2"],
)
def test_transforms_without_a_kernel_of_their_own(
    transform: Callable[[Tensor], Parts], dtype: torch.dtype
) -> None:
    x = noise(2, 3, 32, 48).to(dtype)
    for ours, theirs in zip(transform(x.cuda()), transform(x.double()), strict=True):
        assert_close_relative(ours.cpu(), theirs, bound=6 * tolerance(dtype))


def test_more_elements_than_32_bits_count() -> None:
    shape = (3, 1, 32768, 32768)
    if torch.cuda.mem_get_info()[0] < 2**35:
        pytest.skip("needs 32 GiB")
    x = torch.randn(shape, dtype=torch.bfloat16, device="cuda")
    assert x.numel() > 2**31
    bands = dwt2(x)
    corner = x[2:, :, -64:, -64:]
    assert torch.equal(bands[2:, ..., -32:, -32:], dwt2(corner))
    assert_close_relative(idwt2(bands)[2:, :, -64:, -64:], corner, bound=tolerance(x.dtype))
    odd = torch.empty(3, 1, 32767, 32767, dtype=torch.bfloat16, device="cuda")
    odd.copy_(x[..., 1:, 1:])
    bands = dwt2(odd)
    assert torch.equal(bands[2:, ..., -32:, -32:], dwt2(odd[2:, :, -63:, -63:]))


@pytest.mark.parametrize("name", ["test_haar_vit", "test_haar_pyramid", "test_dtcwt_pyramid"])
def test_models(name: str) -> None:
    model = create_model(name, img_size=64).eval()
    x = noise(2, 3, 64, 64).float()
    with torch.no_grad():
        expected = model.double()(x.double())
        assert_same([model.float().cuda()(x.cuda())], [expected], depth=100)


def test_negative_control_wrong_gpu_result_is_detected() -> None:
    """Negative control: the comparison that all of the above rests on can fail."""
    x = noise(1, 1, 8, 8).float()
    with pytest.raises(AssertionError, match="relative error"):
        assert_same([dwt2(x.flip(-1).cuda())], [dwt2(x.double())])
