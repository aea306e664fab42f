"""Low-passed magnitudes of undecimated details: the kernel equals torch's operations."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.benchmarks.training_steps import held_bytes
from tests.tensors import error
from wavevit.layers.padding import pad_map
from wavevit.layers.tokenizers import AliasFreeTokenizer
from wavevit.wavelets import filter_bank, kernels, swt2
from wavevit.wavelets._engine.details_low_pass import low_passed_details

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5}
CASES = [
    ("haar", 2, "ideal", (64, 64), 8, "circular"),
    ("haar", 1, "short", (13, 17), 4, "zeros"),
    ("haar", 3, "ideal", (9, 30), 4, "circular"),
    ("db4", 2, "ideal", (20, 12), 8, "circular"),
    ("db2", 1, "short", (16, 16), 2, "circular"),
]


def without_kinks(tokenizer: AliasFreeTokenizer, size: tuple[int, int]) -> Tensor:
    """Images whose details are all far from 0: rounding could change the sign of others, and with
    it the gradient of their magnitude."""
    for seed in range(100):
        x = torch.randn(3, 2, *size, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            inner = x.to(tokenizer.proj.weight)
            for conv in tokenizer.stem:
                inner = F.gelu(conv(pad_map(inner, 1, tokenizer.padding)))
            details = swt2(inner, tokenizer.wavelet, tokenizer.scales)[:, :, :, 1:]
        if float(details.abs().min() / details.abs().max()) > 3e-7:
            return x
    raise AssertionError("no seed gives details far from 0")


def must_not_run(x: Tensor) -> Tensor:
    raise AssertionError("plain operations ran, not the kernel")


def compute(
    x: Tensor, wavelet: str = "haar", level: int = 2, size: tuple[int, int] = (2, 3)
) -> Tensor:
    """`low_passed_details` with low-passes that are random, and the same in plain operations."""
    generator = torch.Generator().manual_seed(1)
    shapes = [(n, side) for n, side in zip(size, x.shape[-2:], strict=True)]
    rows, columns = (torch.randn(shape, generator=generator).to(x) for shape in shapes)

    def plain(x: Tensor) -> Tensor:
        details = swt2(x, wavelet, level)[:, :, :, 1:].abs().flatten(2, 3)
        return rows @ torch.cat([x[:, :, None], details], 2) @ columns.T

    return low_passed_details(x, filter_bank(wavelet), level, rows, columns, plain)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize(("wavelet", "scales", "low_pass", "size", "patch", "padding"), CASES)
def test_alias_free_tokens_and_gradients_equal_plain_operations(
    wavelet: str,
    scales: int,
    low_pass: str,
    size: tuple[int, int],
    patch: int,
    padding: str,
    dtype: torch.dtype,
) -> None:
    tokenizer = AliasFreeTokenizer(
        2, 16, patch, scales=scales, wavelet=wavelet, low_pass=low_pass, padding=padding
    ).to(dtype)
    x = without_kinks(tokenizer, size).to(dtype).requires_grad_()

    def results() -> list[Tensor]:
        y = tokenizer(x)
        with torch.no_grad():
            assert error(tokenizer(x), y) < TOLERANCE[dtype]
        return [y, *torch.autograd.grad(y.square().sum(), [x, *tokenizer.parameters()])]

    found = results()
    with kernels(False):
        expected = results()
    assert max(map(error, found, expected)) < 10 * TOLERANCE[dtype]


def test_pieces_of_a_batch_equal_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(3, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    whole = compute(x)
    expected = torch.autograd.grad(whole.square().sum(), x)[0]
    monkeypatch.setattr("wavevit.wavelets._engine.details_low_pass._SAMPLES", 64)
    found = compute(x)
    assert torch.equal(found, whole)
    assert torch.equal(torch.autograd.grad(found.square().sum(), x)[0], expected)


@pytest.mark.parametrize(("wavelet", "level"), [("haar", 1), ("haar", 2), ("db2", 2)])
def test_every_derivative(wavelet: str, level: int) -> None:
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    run = partial(compute, wavelet=wavelet, level=level)
    assert torch.autograd.gradcheck(run, (x,), check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(run, (x,))
    tangent = torch.func.jvp(run, (x.detach(),), (torch.ones_like(x),))[1]
    assert tangent.shape == run(x).shape


def test_magnitudes_of_zero_have_the_gradient_zero() -> None:
    x = torch.ones(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    bands = compute(x)
    of_all, of_images = (
        torch.autograd.grad(part.sum(), x, retain_graph=True)[0] for part in (bands, bands[:, :, 0])
    )
    assert torch.equal(of_all, of_images)
    assert of_images.abs().max() > 0


def test_the_backward_pass_holds_the_images_alone() -> None:
    leaf = torch.randn(2, 3, 32, 32, requires_grad=True)
    inner = leaf * 2  # what is held is not a leaf
    images = inner.numel() * inner.element_size()
    low_passes = 4 * (2 + 3) * 32
    assert held_bytes(lambda: compute(inner)) <= images + low_passes
    with kernels(False):
        assert held_bytes(lambda: compute(inner)) > 2 * images


def test_what_takes_the_kernel_and_what_does_not() -> None:
    x = torch.randn(1, 1, 8, 8)
    identity, bank = torch.eye(8), filter_bank("haar")
    low_passed_details(x, bank, 1, identity, identity, must_not_run)
    refused = [x.bfloat16(), x.to("meta"), torch.empty(0, 1, 8, 8)]
    for other in refused:
        with pytest.raises(AssertionError, match="plain operations"):
            low_passed_details(other, bank, 1, identity, identity, must_not_run)
    with pytest.raises(AssertionError, match="plain operations"), torch.autocast("cpu"):
        low_passed_details(x, bank, 1, identity, identity, must_not_run)
