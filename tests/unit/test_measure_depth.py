"""Receptive fields and attention distances of networks whose answers are known."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import wavevit
from wavevit.measure import attention_distance, receptive_field


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_a_box_filter_sees_its_box(kernel: int) -> None:
    def box(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, kernel, stride=1, padding=kernel // 2)

    field = receptive_field(box, noise(2, 3, 21, 21))
    assert field.extent == (kernel, kernel)
    assert field.radius == pytest.approx(math.sqrt((kernel**2 - 1) / 6))
    assert field.half_energy <= kernel


def test_effective_receptive_field_is_smaller_than_the_theoretical_one() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*[nn.Conv2d(4, 4, 3, padding=1) for _ in range(5)])
    field = receptive_field(net, noise(2, 4, 33, 33))
    assert field.extent == (11, 11)
    assert field.half_energy < 11 / 1.5
    assert field.stderr >= 0


def test_global_attention_reaches_everywhere_in_one_hop() -> None:
    vit = wavevit.create_model("test_vit", img_size=64, in_chans=1, num_classes=0)
    shallow = receptive_field(
        lambda x: vit.forward_intermediates(x, indices=[0], intermediates_only=True)[0],
        noise(1, 1, 64, 64),
    )
    assert shallow.extent == (64, 64)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (lambda x: x.mean(dim=(2, 3)), "a map of shape"),
        (lambda x: [x], "list"),
        (lambda x: torch.zeros_like(x), "depends on the image"),
        (lambda x: 0 * x, "gradient of 0"),
    ],
)
def test_what_has_no_receptive_field_is_refused(features, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        receptive_field(features, noise(1, 1, 8, 8))


class Attention(nn.Module):
    """Attends alike everywhere (`sharp` 0) or to itself (`sharp` large)."""

    def __init__(self, sharp: float, stride: int = 4, prefix: int = 0, fused: bool = True) -> None:
        super().__init__()
        self.sharp, self.stride, self.prefix, self.fused = sharp, stride, prefix, fused

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2] // self.stride, x.shape[-1] // self.stride
        tokens = torch.eye(self.prefix + h * w).expand(x.shape[0], 2, -1, -1)
        if self.fused:
            return F.scaled_dot_product_attention(self.sharp * tokens, tokens, tokens, scale=1.0)
        return (self.sharp * tokens @ tokens.transpose(-2, -1)).softmax(dim=-1) @ tokens


def mean_distance(h: int, w: int, stride: int) -> float:
    grid = stride * torch.cartesian_prod(torch.arange(float(h)), torch.arange(float(w)))
    return float(torch.cdist(grid, grid).mean())


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_uniform_attention_and_attention_to_oneself(fused: bool, prefix: int) -> None:
    images = noise(2, 1, 16, 32)
    uniform = attention_distance(Attention(0, prefix=prefix, fused=fused), images)
    assert uniform.images == 2
    assert len(uniform.pixels) == 1
    assert uniform.pixels[0] == pytest.approx([mean_distance(4, 8, 4)] * 2, rel=1e-5)
    self_only = attention_distance(Attention(100, prefix=prefix, fused=fused), images)
    assert self_only.by_layer == pytest.approx([0], abs=1e-5)


class Windowed(Attention):
    """Uniform attention inside square windows of `side` tokens."""

    def forward(self, x: Tensor) -> Tensor:
        windows = F.unfold(x, 4 * self.stride, stride=4 * self.stride).shape[-1]
        return super().forward(
            x[:1, :, : 4 * self.stride, : 4 * self.stride].expand(len(x) * windows, -1, -1, -1)
        )


def test_windows_are_measured_within_themselves() -> None:
    distance = attention_distance(Windowed(0), noise(2, 1, 32, 64))
    assert distance.pixels[0] == pytest.approx([mean_distance(4, 4, 4)] * 2, rel=1e-5)


def test_a_swin_looks_less_far_than_a_vit() -> None:
    images = noise(1, 1, 128, 128)
    local, everywhere = (
        attention_distance(wavevit.create_model(name, in_chans=1, img_size=128), images)
        for name in ("test_swin", "test_vit")
    )
    assert local.by_layer[0] < min(everywhere.by_layer) / 2


def test_coarser_keys_stand_in_the_middle_of_what_they_cover() -> None:
    model = wavevit.create_model("test_pvt_v2", in_chans=1, img_size=64)
    assert len(attention_distance(model, noise(1, 1, 64, 64)).pixels) == 4


@pytest.mark.parametrize(
    "model", [nn.Conv2d(1, 1, 3), lambda x: x.flatten(2).transpose(1, 2).softmax(dim=1)]
)
def test_a_model_without_attention_is_refused(model) -> None:
    with pytest.raises(ValueError, match="at least one attention over tokens"):
        attention_distance(model, noise(1, 1, 16, 16))


def test_tokens_of_several_sizes_have_no_grid() -> None:
    model = wavevit.create_model("test_vit", in_chans=1, img_size=64, tokenizer="adaptive")
    for shown in (model, nn.Sequential(model)):
        with pytest.raises(ValueError, match=r"model: .*on a grid.*got a tokenizer .*'adaptive'"):
            attention_distance(shown, noise(1, 1, 64, 64))
    # A pyramid paints them on the finest grid, and attends there.
    pyramid = wavevit.create_model("test_pvt_v2", in_chans=1, img_size=64, tokenizer="adaptive")
    assert attention_distance(pyramid, noise(1, 1, 64, 64)).pixels


@pytest.mark.parametrize("wanted", [False, True])
def test_multihead_attention_is_seen_and_answers_as_before(wanted: bool) -> None:
    """Of a module with zero projections, which attends to everything alike; and only when asked."""
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
    torch.nn.init.zeros_(attention.in_proj_weight)
    answers = []

    def model(x: torch.Tensor) -> torch.Tensor:
        tokens = torch.nn.functional.avg_pool2d(x, 4).flatten(2).transpose(1, 2)
        answers.append(attention(tokens, tokens, tokens, need_weights=wanted))
        return answers[-1][0]

    images = torch.randn(2, 8, 16, 16)
    with torch.no_grad():
        model(images)
    found = attention_distance(model, images)
    centres = torch.arange(4) * 4.0
    grid = torch.cartesian_prod(centres, centres)
    assert found.pixels == (pytest.approx([float(torch.cdist(grid, grid).mean())] * 2),)
    torch.testing.assert_close(answers[1], answers[0])
