"""One graph: compiled without a break, exported with free sizes, run by onnxruntime."""

from __future__ import annotations

import warnings

import onnxruntime as runtime
import pytest
import torch
from torch import nn
from torch.export import Dim

from wavevit.testing import assert_close_relative
from wavevit.wavelets import DWT2, FilterBank, dwt2, filter_bank, idwt2, iswt2, swt2, wavedec2

CASES = [("haar", "periodization"), ("bior2.2", "reflect")]


class _RoundTrip(nn.Module):
    """Module and functions, forth and back."""

    def __init__(self, wavelet: str, mode: str) -> None:
        super().__init__()
        self.forth = DWT2(wavelet, mode)
        self.wavelet, self.mode = wavelet, mode

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        bands = self.forth(x)
        back = idwt2(bands, self.wavelet, self.mode)
        return bands, back, iswt2(swt2(x, self.wavelet, 2), self.wavelet)


def check(outputs, x: torch.Tensor, wavelet: str, mode: str) -> None:
    bands, back, undecimated = outputs
    height, width = x.shape[-2:]
    assert_close_relative(bands, dwt2(x, wavelet, mode))
    assert_close_relative(back[..., :height, :width], x)
    assert_close_relative(undecimated, x)


@pytest.mark.parametrize(("wavelet", "mode"), CASES)
def test_compiles_without_a_break(wavelet: str, mode: str) -> None:
    torch._dynamo.reset()
    model = _RoundTrip(wavelet, mode)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=True)
    for shape in ((2, 3, 12, 17), (3, 3, 30, 16)):
        x = torch.randn(shape, requires_grad=True)
        outputs = compiled(x)
        check(outputs, x, wavelet, mode)
        weight = torch.randn_like(outputs[0])
        (ours,) = torch.autograd.grad((outputs[0] * weight).sum(), x)
        (expected,) = torch.autograd.grad((dwt2(x, wavelet, mode) * weight).sum(), x)
        assert_close_relative(ours, expected)


def test_names_and_banks_are_constants_of_a_graph() -> None:
    torch._dynamo.reset()
    bank = FilterBank(*filter_bank("db4").filters, name="mine")
    x = torch.randn(1, 1, 16, 16)
    for wavelet in ("coif3", bank):  # a name that nobody has looked up yet, a bank by closure
        compiled = torch.compile(
            lambda x, wavelet=wavelet: wavedec2(x, wavelet, "zero", 2).approx,
            fullgraph=True,
            backend="aot_eager",
        )
        assert_close_relative(compiled(x), wavedec2(x, wavelet, "zero", 2).approx)


def test_inductor() -> None:
    torch._dynamo.reset()
    x = torch.randn(2, 3, 16, 17)
    compiled = torch.compile(lambda x: dwt2(x, "db2", "symmetric"), fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's use of what it deprecates
        bands = compiled(x)
    assert_close_relative(bands, dwt2(x, "db2", "symmetric"))


def free_sizes() -> dict[str, dict[int, Dim]]:
    sides = {2: Dim("height", min=8, max=1024), 3: Dim("width", min=8, max=1024)}
    return {"x": {0: Dim("batch", max=64), **sides}}


@pytest.mark.parametrize(("wavelet", "mode"), CASES)
def test_exports_with_free_sizes(wavelet: str, mode: str) -> None:
    model = _RoundTrip(wavelet, mode)
    program = torch.export.export(model, (torch.randn(2, 3, 12, 17),), dynamic_shapes=free_sizes())
    x = torch.randn(5, 3, 23, 30)
    check(program.module()(x), x, wavelet, mode)


@pytest.mark.parametrize(("wavelet", "mode"), CASES)
def test_runs_in_onnxruntime(wavelet: str, mode: str, tmp_path) -> None:
    model = _RoundTrip(wavelet, mode).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            model,
            (torch.randn(2, 3, 12, 17),),
            tmp_path / "transform.onnx",
            dynamo=True,
            dynamic_shapes=free_sizes(),
            verbose=False,
        )
    session = runtime.InferenceSession(tmp_path / "transform.onnx")
    x = torch.randn(3, 3, 21, 26)
    outputs = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    check([torch.from_numpy(output) for output in outputs], x, wavelet, mode)
