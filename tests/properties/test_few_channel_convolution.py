"""Convolution of images of few channels: the kernel equals torch's operations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.tensors import error
from wavevit.layers.padding import pad_map
from wavevit.layers.tokenizers import AliasFreeTokenizer
from wavevit.wavelets import kernels
from wavevit.wavelets._engine.convolution import convolution

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5}


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, padding: str = "circular") -> Tensor:
    def plain(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(pad_map(x, weight.shape[-1] // 2, padding), weight, bias)

    return convolution(x, weight, bias, padding == "circular", plain)


def must_not_run(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    raise AssertionError("plain operations ran, not the kernel")


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("padding", ["circular", "zeros"])
@pytest.mark.parametrize(
    ("channels", "outputs", "side", "size", "bias"),
    [
        (1, 8, 3, (16, 20), True),
        (8, 8, 3, (9, 40), True),
        (3, 5, 5, (7, 6), False),
        (2, 1, 3, (1, 2), True),  # a kernel that goes round the circle more than once
        (4, 12, 1, (8, 8), True),
    ],
)
def test_values_and_gradients_equal_torch(
    dtype: torch.dtype,
    padding: str,
    channels: int,
    outputs: int,
    side: int,
    size: tuple[int, int],
    bias: bool,
) -> None:
    x = torch.randn(3, channels, *size, dtype=dtype, requires_grad=True)
    conv = nn.Conv2d(channels, outputs, side, bias=bias).to(dtype)
    given = torch.randn(3, outputs, *size, dtype=dtype)

    def results() -> list[Tensor]:
        y = convolve(x, conv.weight, conv.bias, padding)
        with torch.no_grad():
            assert error(convolve(x, conv.weight, conv.bias, padding), y) < TOLERANCE[dtype]
        return [y, *torch.autograd.grad(y, [x, *conv.parameters()], given)]

    found = results()
    with kernels(False):
        expected = results()
    assert max(map(error, found, expected)) < TOLERANCE[dtype]


def test_every_derivative() -> None:
    double = {"dtype": torch.float64, "requires_grad": True}
    inputs = tuple(torch.randn(*shape, **double) for shape in ((1, 2, 3, 4), (3, 2, 3, 3), (3,)))
    options = {"check_forward_ad": True, "check_batched_grad": True}
    assert torch.autograd.gradcheck(convolve, inputs, **options)
    assert torch.autograd.gradgradcheck(convolve, inputs)
    x, weight, bias = (part.detach() for part in inputs)
    batch = torch.stack([x, 2 * x])
    mapped = torch.func.vmap(lambda x: convolve(x, weight, bias))(batch)
    torch.testing.assert_close(mapped[1], convolve(2 * x, weight, bias))


def test_what_takes_the_kernel_and_what_does_not() -> None:
    x, weight = torch.randn(1, 2, 8, 8), torch.randn(4, 2, 3, 3)
    convolution(x, weight, None, True, must_not_run)
    many = torch.randn(32, 2, 3, 3)
    refused = [
        (x.bfloat16(), weight.bfloat16()),
        (x.double(), weight),
        (x.to("meta"), weight.to("meta")),
        (x[:0], weight),
        (x, many),
    ]
    for image, taps in refused:
        with pytest.raises(AssertionError, match="plain operations"):
            convolution(image, taps, None, True, must_not_run)
    with pytest.raises(AssertionError, match="plain operations"), torch.autocast("cpu"):
        convolution(x, weight, None, True, must_not_run)


def test_hooks_and_other_modules_in_the_stem_still_run() -> None:
    tokenizer, seen = AliasFreeTokenizer(1, 8, 4), []
    tokenizer.stem[0].register_forward_hook(lambda *args: seen.append(args))
    x = torch.randn(1, 1, 16, 16)
    expected = tokenizer(x)
    assert len(seen) == 1

    class Doubled(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    other = Doubled(*tokenizer.stem[1].weight.shape[1::-1], 3)
    other.load_state_dict(tokenizer.stem[1].state_dict())
    tokenizer.stem[1] = other
    assert error(tokenizer(x), expected) > 0.01
