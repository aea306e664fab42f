"""Kernels of tokens on the CPU: the values and derivatives of torch's operations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from experiments.benchmarks.training_steps import held_bytes
from tests.tensors import error
from wavevit.layers.decimation import Decimation, chained
from wavevit.layers.padding import DepthwiseConv
from wavevit.layers.tokenizers import (
    AliasFreeTokenizer,
    DTCWTTokenizer,
    ScatteringTokenizer,
    SWTTokenizer,
)
from wavevit.wavelets import dwt2, idwt2, kernels, scattering2, smooth_magnitude

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5}
WIDE = list(TOLERANCE)


def tokens(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Maps (B, C, h, w) with channels innermost in memory."""
    batch, channels, height, width = shape
    return torch.randn(batch, height, width, channels, dtype=dtype).permute(0, 3, 1, 2)


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("padding", ["circular", "zeros"])
@pytest.mark.parametrize(
    ("channels", "side", "height", "width", "bias"),
    [(36, 3, 8, 8, True), (5, 3, 3, 4, False), (64, 5, 2, 7, True), (8, 7, 6, 3, False)],
)
def test_depthwise_convolution_equals_torch(
    dtype: torch.dtype, padding: str, channels: int, side: int, height: int, width: int, bias: bool
) -> None:
    conv = DepthwiseConv(channels, side, padding, bias=bias).to(dtype)
    x = tokens(2, channels, height, width, dtype=dtype).requires_grad_()
    given = tokens(2, channels, height, width, dtype=dtype)

    def results() -> list[Tensor]:
        y = conv(x)
        return [y, *torch.autograd.grad(y, [x, *conv.parameters()], given)]

    found = results()
    with kernels(False):
        expected = results()
    assert max(map(error, found, expected)) < TOLERANCE[dtype]


def test_depthwise_convolution_has_every_derivative() -> None:
    conv = DepthwiseConv(3, 3, "circular").double()
    x = torch.randn(1, 3, 3, 2, dtype=torch.float64, requires_grad=True)

    def run(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.func.functional_call(conv, {"weight": weight, "bias": bias}, (x,))

    inputs = (x, *conv.parameters())
    assert torch.autograd.gradcheck(run, inputs, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(run, inputs)
    batch = torch.randn(4, 2, 3, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(conv)(batch)[1], conv(batch[1]))


@pytest.mark.parametrize("channels", [8, 13, 36])
def test_haar_step_of_tokens_is_bit_equal_to_plain_operations(channels: int) -> None:
    x = tokens(2, channels, 6, 4, dtype=torch.float32)
    with kernels(False):
        bands = dwt2(x)
        image = idwt2(bands)
    assert torch.equal(dwt2(x), bands)
    assert dwt2(x).stride() == bands.stride()
    assert torch.equal(idwt2(bands), image)
    assert idwt2(bands).stride() == image.stride()


def test_haar_step_of_tokens_has_every_derivative() -> None:
    x = tokens(1, 8, 4, 2).requires_grad_()
    bands = dwt2(x).detach().requires_grad_()
    for function, leaf in ((dwt2, x), (idwt2, bands)):
        assert torch.autograd.gradcheck(function, (leaf,), check_forward_ad=True, fast_mode=True)
        assert torch.autograd.gradgradcheck(lambda x, f=function: f(x).square(), (leaf,))


@pytest.mark.parametrize("padding", ["circular", "replicate", "zeros"])
@pytest.mark.parametrize(
    ("taps", "size"),  # an even filter takes even sides only
    [(4, (8, 8)), (4, (16, 12)), (5, (8, 8)), (5, (7, 5)), (5, (2, 3)), (5, (16, 12))],
)
def test_decimation_of_tokens_equals_torch(taps: int, padding: str, size: tuple[int, int]) -> None:
    x = tokens(2, 9, *size).requires_grad_()
    decimation = Decimation(taps, padding)
    found = decimation(x)
    given = torch.randn_like(found)
    with kernels(False):
        expected = decimation(x)
    assert error(found, expected) < 1e-12
    gradients = (torch.autograd.grad(y, x, given)[0] for y in (found, expected))
    assert error(*gradients) < 1e-12


@pytest.mark.parametrize("fast", [True, False])
def test_autocast_rounds_a_decimation_as_timms_low_pass(fast: bool) -> None:
    from timm.layers import BlurPool2d

    x = tokens(2, 9, 8, 8).float()
    x = x if fast else x.contiguous()
    theirs = BlurPool2d(9, filt_size=5, pad_mode="replicate")
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = Decimation(5, "replicate")(x), theirs(x)
    assert found.dtype == expected.dtype == torch.bfloat16
    assert error(found, expected) < torch.finfo(torch.bfloat16).eps


def test_decimation_of_tokens_has_every_derivative() -> None:
    x = tokens(1, 8, 4, 4).requires_grad_()
    check, decimation = torch.autograd.gradcheck, Decimation(5, "circular")
    options = {"check_batched_grad": True, "check_forward_ad": True, "fast_mode": True}
    assert check(decimation, (x,), **options)
    assert torch.autograd.gradgradcheck(lambda x: decimation(x).square(), (x,))


def test_chained_decimations_are_one_matrix() -> None:
    steps = Decimation(4, "replicate"), Decimation(4, "circular")
    matrix = steps[1].matrix(8) @ steps[0].matrix(16)
    found = chained(steps, (16, 16))[0]
    assert np.array_equal(found.transpose.dense(), found.dense().T)
    np.testing.assert_allclose(found.dense(), matrix, atol=1e-15)


def test_smooth_magnitude_has_every_derivative() -> None:
    details = torch.randn(1, 2, 6, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    with kernels(False):
        expected = smooth_magnitude(details)
    assert error(smooth_magnitude(details), expected) < 1e-12
    assert torch.autograd.gradcheck(smooth_magnitude, (details,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(smooth_magnitude, (details,))


TOKENIZERS = {
    "dtcwt": DTCWTTokenizer,
    "swt": SWTTokenizer,
    "swt db4": lambda *args, **kwargs: SWTTokenizer(*args, wavelet="db4", **kwargs),
    "scattering": ScatteringTokenizer,
}


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("padding", ["circular", "zeros"])
@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize(
    ("channels", "size", "patch"), [(1, (64, 64), 8), (3, (32, 48), 4), (2, (12, 20), 2)]
)
def test_tokens_and_gradients_equal_plain_operations(
    name: str, padding: str, channels: int, size: tuple[int, int], patch: int, dtype: torch.dtype
) -> None:
    tokenizer = TOKENIZERS[name](channels, 16, patch, padding=padding).to(dtype)
    nn.init.normal_(tokenizer.norm.bias)
    x = torch.randn(2, channels, *size, dtype=dtype)
    written = tokenizer.write(x)
    assert written is not None
    assert error(written, tokenizer.analyse(x).permute(0, 2, 3, 1)) < TOLERANCE[dtype]

    def results() -> list[Tensor]:
        y = tokenizer(x)
        return [y, *torch.autograd.grad(y.square().sum(), list(tokenizer.parameters()))]

    found = results()
    with kernels(False):
        expected = results()
    assert max(map(error, found, expected)) < 10 * TOLERANCE[dtype]


def test_images_that_are_derived_take_plain_operations() -> None:
    tokenizer = DTCWTTokenizer(1, 8, 4)
    x = torch.randn(1, 1, 16, 16)
    assert tokenizer.write(x.clone().requires_grad_()) is None
    assert tokenizer.write(x.bfloat16()) is None
    torch.func.jvp(tokenizer, (x,), (x,))


def test_hooks_on_the_projection_still_run() -> None:
    tokenizer, seen = SWTTokenizer(1, 8, 4), []
    tokenizer.proj.register_forward_hook(lambda *args: seen.append(args))
    tokenizer(torch.randn(1, 1, 16, 16))
    assert len(seen) == 1


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # images have no gradient
def test_backward_hooks_run_too() -> None:
    """A kernel that computes a layer's result does not call the layer."""
    for tokenizer, layer in (
        (made := SWTTokenizer(1, 8, 4), made.proj),
        (made, made.norm),
        (made := AliasFreeTokenizer(1, 8, 4), made.stem[0]),
    ):
        for register in (layer.register_full_backward_hook, layer.register_full_backward_pre_hook):
            seen: list[object] = []
            handle = register(lambda *facts, seen=seen: seen.append(facts))
            tokenizer(torch.randn(1, 1, 16, 16)).sum().backward()
            handle.remove()
            assert len(seen) == 1, (layer, register)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kernel", [False, True])
def test_smooth_magnitude_of_half_precision_is_rounded_once(
    dtype: torch.dtype, kernel: bool
) -> None:
    """The squares of its largest coefficients, and of a small bias, are outside of float16."""
    sizes = torch.logspace(-6, 4, 24, dtype=torch.float64)[:, None, None, None, None, None]
    details = (torch.randn(24, 2, 6, 2, 3, 3, dtype=torch.float64) * sizes).to(dtype)
    for bias in (0.0, 1e-4, 1e-2, 0.3):
        with kernels(kernel):
            found = smooth_magnitude(details, bias)
            nothing = smooth_magnitude(torch.zeros_like(details), bias)
            derived = smooth_magnitude(details.clone().requires_grad_(), bias)
        expected = smooth_magnitude(details.double(), bias)
        # Rounded to float32 before the bias is subtracted, and to half precision at the end.
        bound = torch.finfo(dtype).eps * expected + torch.finfo(torch.float32).eps * bias
        bound = bound + torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
        assert found.dtype == dtype
        assert bool(((found.double() - expected).abs() <= bound).all())
        assert torch.equal(derived, found)
        assert float(found.min()) >= 0
        assert not bool(nothing.any())


@pytest.mark.parametrize("mode", ["symmetric", "periodic"])
def test_scattering_equals_plain_operations(mode: str) -> None:
    sizes, orders = ((64, 64), (50, 37), (23, 30)), (1, 2)
    for (height, width), scales, order in itertools.product(sizes, (1, 2, 3), orders):
        x = torch.randn(2, 3, height, width, dtype=torch.float64)
        found = scattering2(x, scales, order, mode=mode)
        with kernels(False):
            assert error(found, scattering2(x, scales, order, mode=mode)) < 1e-12


@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "plain"])
def test_scattering_holds_its_images_alone(kernel: bool) -> None:
    leaf = torch.randn(2, 3, 64, 64, requires_grad=True)
    inner = leaf * 2  # what is held is not a leaf
    with kernels(kernel):
        held = held_bytes(lambda: scattering2(inner))
    assert held <= inner.numel() * inner.element_size()


def test_scattering_has_every_derivative() -> None:
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(scattering2, (x,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(scattering2, (x,))
