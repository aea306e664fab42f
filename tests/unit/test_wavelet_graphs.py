"""One graph: compiled without a break, exported with symbolic sizes, run by onnxruntime."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnxruntime as runtime
import pytest
import torch
from torch import nn
from torch.export import Dim

from tests.tensors import flat
from wavevit.testing import assert_close_relative
from wavevit.wavelets import (
    DWT2,
    FilterBank,
    Lifting,
    dtcwt2,
    dwt2,
    filter_bank,
    idtcwt2,
    idwt2,
    iswt2,
    iwavepacket2,
    scattering2,
    swt2,
    wavedec2,
    wavepacket2,
    waverec2,
)

CASES = [
    # By day: tests/properties/test_haar_traced.py.
    pytest.param("haar", "periodization", marks=pytest.mark.nightly),
    ("bior2.2", "reflect"),
]


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


def symbolic_sizes(least: int = 9) -> dict[str, dict[int, Dim]]:
    sides = {2: Dim("height", min=least, max=1024), 3: Dim("width", min=least, max=1024)}
    return {"x": {0: Dim("batch", max=64), **sides}}


@pytest.mark.parametrize(("wavelet", "mode"), CASES)
def test_exports_with_symbolic_sizes(wavelet: str, mode: str) -> None:
    model = _RoundTrip(wavelet, mode)
    program = torch.export.export(
        model, (torch.randn(2, 3, 12, 17),), dynamic_shapes=symbolic_sizes()
    )
    x = torch.randn(5, 3, 23, 30)
    check(program.module()(x), x, wavelet, mode)


class _Call(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor):
        return self.function(x)


def there_and_back(forth, back):
    """Coefficients, and the image made of them."""

    def both(x: torch.Tensor):
        coefficients = forth(x)
        return coefficients, back(coefficients, (x.shape[-2], x.shape[-1]))

    return both


LIFTING = Lifting(1, "cdf5/3", steps=2, kernel_size=4)
TRANSFORMS = {
    "wavedec2": there_and_back(
        lambda x: wavedec2(x, level=3), lambda c, size: waverec2(c, output_size=size)
    ),
    "wavedec2 db2": there_and_back(
        lambda x: wavedec2(x, "db2", "smooth", 2),
        lambda c, size: waverec2(c, "db2", "smooth", size),
    ),
    "wavepacket2": there_and_back(
        lambda x: wavepacket2(x, level=2), lambda c, size: iwavepacket2(c, output_size=size)
    ),
    "wavepacket2 db2": there_and_back(
        lambda x: wavepacket2(x, "db2", "antireflect", 2),
        lambda c, size: iwavepacket2(c, "db2", "antireflect", size),
    ),
    "swt2": there_and_back(lambda x: swt2(x, "db2", 2), lambda c, _: iswt2(c, "db2")),
    "dtcwt2": there_and_back(lambda x: dtcwt2(x, 2), lambda c, size: idtcwt2(c, output_size=size)),
    "dtcwt2 periodic": there_and_back(
        lambda x: dtcwt2(x, 2, "near_sym_b", "qshift_d", "periodic"),
        lambda c, size: idtcwt2(c, "near_sym_b", "qshift_d", "periodic", size),
    ),
    "scattering2": scattering2,
    "scattering2 of one scale": lambda x: scattering2(x, 1, 1),
    "lifting": there_and_back(LIFTING, LIFTING.inverse),
}


# What every run exports: each of these has another kind of sum, and `_RoundTrip` above has that of
# "swt2". An export takes about 5 s, one for onnxruntime 10 to 30 s; `make test-nightly` has all
# transforms in both.
EXPORTED = ("wavedec2 db2", "dtcwt2", "lifting")


# Every parity on either level, and sides shorter than the longest extension.
SIZES = [(32, 48), (9, 30), (22, 11), (19, 13)]


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.nightly] * (n not in EXPORTED)) for n in TRANSFORMS],
)
def test_every_transform_exports_with_symbolic_sizes(name: str) -> None:
    transform = TRANSFORMS[name]
    program = torch.export.export(
        _Call(transform), (torch.randn(2, 1, 12, 17),), dynamic_shapes=symbolic_sizes()
    )
    for batch, size in enumerate(SIZES, start=1):
        x = torch.randn(batch, 1, *size)
        with torch.no_grad():
            outputs = zip(flat(program.module()(x)), flat(transform(x)), strict=True)
        for ours, expected in outputs:
            torch.testing.assert_close(
                ours, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max().clamp(min=1))
            )


def test_symbolic_side_has_two_pixels_at_the_coarsest_level() -> None:
    """A limit of torch: a side that may become 1 is not free. Three levels take 8 pixels to 1."""
    with pytest.raises(torch._dynamo.exc.UserError, match="Constraints violated"):
        torch.export.export(
            _Call(lambda x: wavedec2(x, level=3)),
            (torch.randn(2, 1, 12, 17),),
            dynamic_shapes=symbolic_sizes(8),
        )


def test_symbolic_sizes_cannot_choose_the_number_of_levels() -> None:
    """Results are as many as the graph has outputs."""
    with pytest.raises(ValueError, match="level: expected a number in an exported graph"):
        torch.export.export(
            _Call(lambda x: wavedec2(x)),
            (torch.randn(2, 1, 12, 17),),
            dynamic_shapes=symbolic_sizes(),
        )
    program = torch.export.export(_Call(lambda x: wavedec2(x)), (torch.randn(2, 1, 12, 17),))
    assert len(flat(program.module()(torch.randn(2, 1, 12, 17)))) == 4


def session_of(model: nn.Module, channels: int, path: Path) -> runtime.InferenceSession:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            model,
            (torch.randn(2, channels, 12, 17),),
            path / "transform.onnx",
            dynamo=True,
            dynamic_shapes=symbolic_sizes(),
            verbose=False,
        )
    return runtime.InferenceSession(path / "transform.onnx")


def run(session: runtime.InferenceSession, x: torch.Tensor) -> list[torch.Tensor]:
    outputs = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return [torch.from_numpy(output) for output in outputs]


@pytest.mark.nightly  # by day a ViT of wavelet tokens runs there: tests/contract/test_backbone.py
@pytest.mark.parametrize(("wavelet", "mode"), CASES)
def test_runs_in_onnxruntime(wavelet: str, mode: str, tmp_path) -> None:
    session = session_of(_RoundTrip(wavelet, mode).eval(), 3, tmp_path)
    x = torch.randn(3, 3, 21, 26)
    check(run(session, x), x, wavelet, mode)


@pytest.mark.nightly  # likewise
@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_runs_in_onnxruntime(name: str, tmp_path) -> None:
    session = session_of(_Call(TRANSFORMS[name]), 1, tmp_path)
    for batch, size in enumerate(SIZES, start=1):
        x = torch.randn(batch, 1, *size)
        with torch.no_grad():
            outputs = flat(TRANSFORMS[name](x))
        for ours, expected in zip(run(session, x), outputs, strict=True):
            torch.testing.assert_close(
                ours, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max().clamp(min=1))
            )
