"""Multiply-accumulates against hand counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import wavevit
from wavevit.measure import cost, latency_ratios
from wavevit.wavelets import dwt2, idwt2, wavepacket2


class Function(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def test_linear_convolution_and_batch() -> None:
    layer = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.Flatten(), nn.Linear(8 * 4, 5))
    found = cost(layer, torch.zeros(7, 3, 8, 8))
    assert found.macs == 4 * 8 * 3 * 16 + 32 * 5
    assert found.parameters == 8 * 3 * 16 + 8 + 32 * 5 + 5


def test_expanded_parameter_is_an_input_of_a_module() -> None:
    """Learned queries: torch's counter fails on them without gradients."""

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query = nn.Parameter(torch.zeros(1, 1, 4))
            self.frozen = nn.Parameter(torch.zeros(3), requires_grad=False)
            self.inner = nn.Sequential(nn.Linear(4, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(self.query.expand(len(x), 3, -1))

    model = Decoder()
    assert cost(model, torch.zeros(2, 1, 4, 4)).macs == 3 * 4 * 4
    assert [p.requires_grad for p in model.parameters()] == [True, False, True, True]


def test_attention_products_are_counted() -> None:
    def attention(x: torch.Tensor) -> torch.Tensor:
        q = x.flatten(2).transpose(1, 2).unflatten(2, (2, -1)).transpose(1, 2)
        return nn.functional.scaled_dot_product_attention(q, q, q)

    tokens, dim = 16, 12
    found = cost(Function(attention), torch.zeros(2, dim, 4, 4))
    assert found.macs == 2 * tokens * tokens * dim


def test_wavelet_steps_are_counted() -> None:
    image = torch.zeros(2, 3, 16, 16)
    pixels = 3 * 16 * 16
    assert cost(Function(dwt2), image).macs_by_kind["wavelet"] == 4 * pixels
    both = cost(Function(lambda x: idwt2(dwt2(x))), image)
    assert both.macs_by_kind["wavelet"] == 8 * pixels
    packet = cost(Function(lambda x: wavepacket2(x, level=3)), image)
    assert packet.macs_by_kind["wavelet"] == 3 * 4 * pixels


def test_fourier_transforms_are_counted() -> None:
    found = cost(Function(lambda x: torch.fft.fft2(x).real), torch.zeros(1, 1, 8, 8))
    assert found.macs_by_kind["fft"] == 5 * 64 * 6 // 2


def test_vit_small_is_the_published_size() -> None:
    """4.6 GMAC and 22 M parameters at 224 pixels (DeiT-S in the literature)."""
    found = cost(wavevit.create_model("vit_small_patch16"), torch.zeros(1, 3, 224, 224))
    tokens, dim = 197, 384
    blocks = 12 * (12 * tokens * dim**2 + 2 * tokens**2 * dim)
    assert found.macs == blocks + 196 * 768 * dim + dim * 1000
    assert found.macs / 1e9 == pytest.approx(4.6, abs=0.05)
    assert found.parameters == 22_050_664


def test_swin_tiny_by_hand() -> None:
    """Windows of 7 x 7 tokens; 4.5 GMAC and 28 M parameters in Liu et al. 2021."""
    found = cost(wavevit.create_model("swin_tiny"), torch.zeros(1, 3, 224, 224))
    expected = 56**2 * 48 * 96
    for stage, depth in enumerate((2, 2, 6, 2)):
        tokens, dim = (56 >> stage) ** 2, 96 << stage
        if stage:
            expected += tokens * (2 * dim) * dim  # four tokens of half the channels, merged
        expected += depth * (12 * tokens * dim**2 + 2 * tokens * 49 * dim)
    assert found.macs == expected + 768 * 1000
    assert found.macs / 1e9 == pytest.approx(4.5, abs=0.05)


def test_einsum_is_counted_and_pointwise_work_is_not() -> None:
    weight = torch.zeros(7, 3)
    found = cost(lambda x: torch.einsum("bchw,dc->bdhw", x, weight), torch.zeros(2, 3, 4, 5))
    assert found.macs == found.macs_by_kind["matmul"] == 4 * 5 * 3 * 7
    assert found.parameters == 0  # a callable has none
    assert cost(lambda x: x.exp() + x, torch.zeros(2, 3, 4, 5)).macs == 0


def test_latency_is_relative_to_the_reference() -> None:
    models = {"one": nn.Identity(), "two": Function(lambda x: x @ x)}
    ratios = latency_ratios(models, torch.zeros(1, 1, 8, 8), "one", rounds=3)
    assert ratios["one"] == 1.0
    assert set(ratios) == {"one", "two"}
    assert ratios["two"] > 0


def test_timing_shows_progress_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("wavevit.progress._SILENT", 0.0)
    for asked, lines in ((False, 0), (True, 4)):  # two rounds to warm up, two that are timed
        latency_ratios({"one": nn.Identity()}, torch.zeros(1), "one", rounds=2, progress=asked)
        assert len(capsys.readouterr().err.splitlines()) == lines
