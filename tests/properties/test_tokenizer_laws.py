"""What wavelet tokenizers and the lifting downsampler claim beyond running."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from wavevit.data.photographs import NAMES, load_photograph
from wavevit.layers.downsample import DWTDownsample, LiftingDownsample
from wavevit.layers.tokenizers import (
    DTCWTTokenizer,
    PacketTokenizer,
    PatchTokenizer,
    ScatteringTokenizer,
    SubbandTokenizer,
    SWTTokenizer,
)
from wavevit.measure import center_crop, shift_sensitivity
from wavevit.testing import assert_close_relative
from wavevit.testing.strategies import images, sizes

MAGNITUDES = (SWTTokenizer, DTCWTTokenizer, ScatteringTokenizer)
# How far a 1-px shift may move the tokens of photographs, as a share of a patch's way.
SHARES = {
    SWTTokenizer: {4: 1 / 2, 8: 1 / 4, 16: 1 / 7},
    DTCWTTokenizer: {4: 2 / 3, 8: 2 / 5, 16: 1 / 4},
    ScatteringTokenizer: {4: 1.0, 8: 3 / 4, 16: 1 / 2},
}
EVEN = sizes(16, 48, multiple=16)


@functools.cache
def photographs() -> torch.Tensor:
    """The photographs' middles, one pixel larger on every side than what is looked at."""
    views = [center_crop(load_photograph(name, 160)[None, None], (98, 98)) for name in NAMES]
    return (torch.cat(views) - 0.5) / 0.25


def build(cls: type, patch: int, seed: int, padding: str = "circular") -> torch.nn.Module:
    torch.manual_seed(seed)
    own = {"padding": padding} if cls in MAGNITUDES else {}
    tokenizer = cls(1, 64, patch, **own)
    torch.nn.init.normal_(tokenizer.proj.weight, std=tokenizer.proj.weight[0].numel() ** -0.5)
    return tokenizer


def way(tokenizer: torch.nn.Module, kind: str) -> float:
    x = photographs() if kind == "crop" else center_crop(photographs(), (96, 96))
    return shift_sensitivity(tokenizer, x, (1,), kind=kind, crop_size=96).values[0]


@pytest.mark.parametrize("kind", ["circular", "crop"])
@pytest.mark.parametrize("patch", [4, 8, 16])
@examples(daily=3)
@given(seed=st.integers(0, 2**31))
def test_magnitudes_move_less_than_a_patch(patch: int, kind: str, seed: int) -> None:
    reference = way(build(PatchTokenizer, patch, seed), kind)
    for cls, shares in SHARES.items():
        assert way(build(cls, patch, seed), kind) <= shares[patch] * reference, cls
    # Negative controls: coefficients that keep their sign and place move as far as a patch does.
    another = way(build(PatchTokenizer, patch, seed + 1), kind)
    assert min(another, way(build(PacketTokenizer, patch, seed), kind)) > 0.75 * reference


@pytest.mark.parametrize("cls", MAGNITUDES)
@pytest.mark.parametrize("patch", [2, 8, 16])
@pytest.mark.parametrize("padding", ["circular", "zeros"])
@examples(daily=8)
@given(x=images(EVEN, EVEN), axis=st.sampled_from([-2, -1]))
def test_a_mirrored_image_has_mirrored_bands(cls, patch: int, padding: str, x, axis: int) -> None:
    """Tokens stand in the middle of their patches, at every scale and at the borders."""
    tokenizer = build_for(x, cls, patch, padding)
    bands, mirrored = tokenizer.analyse(x), tokenizer.analyse(x.flip(axis)).flip(axis)
    if cls is SWTTokenizer:
        assert_close_relative(mirrored, bands, bound=1e-12)
        return
    bands, mirrored = (b.unflatten(1, (2, -1)) for b in (bands, mirrored))
    order = [5, 4, 3, 2, 1, 0]  # a mirror exchanges 15° and 165°, and so on
    first = 1 + 6 * (patch.bit_length() - 1)
    assert_close_relative(mirrored[:, :, 0], bands[:, :, 0], bound=1e-12)
    swapped = mirrored[:, :, 1:first].unflatten(2, (-1, 6))[:, :, :, order].flatten(2, 3)
    assert_close_relative(swapped, bands[:, :, 1:first], bound=1e-12)
    again = mirrored[:, :, first:].unflatten(2, (-1, 6, 6))[:, :, :, order][:, :, :, :, order]
    assert_close_relative(again.flatten(2, 4), bands[:, :, first:], bound=1e-12)


def build_for(x: torch.Tensor, cls: type, patch: int, padding: str) -> SubbandTokenizer:
    return cls(x.shape[1], 8, patch, padding=padding).to(x.dtype)


@pytest.mark.parametrize("cls", MAGNITUDES)
@pytest.mark.parametrize("padding", ["circular", "zeros"])
@torch.no_grad()
def test_declared_symmetry(cls, padding: str) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, 24, 32, dtype=torch.float64, generator=generator)
    torch.manual_seed(0)
    tokenizer = build_for(x, cls, 8, padding)
    rolled = tokenizer(x.roll((8, -16), (2, 3))).roll((-1, 2), (1, 2))
    error = float((rolled - tokenizer(x)).norm() / tokenizer(x).norm())
    assert tokenizer.symmetry.period == 8
    assert tokenizer.symmetry.circular == (padding == "circular")
    assert (error < 1e-12) == tokenizer.symmetry.circular
    # Negative control: half a patch is no symmetry.
    rolled = tokenizer(x.roll(4, 2))
    shifts = [rolled.roll(k, 1) for k in range(3)]
    assert min(float((r - tokenizer(x)).norm()) for r in shifts) > 1e-3 * float(rolled.norm())


@pytest.mark.parametrize("cls", MAGNITUDES)
@given(x=images(EVEN, EVEN), value=st.floats(-2, 2))
def test_gradients_are_finite_where_nothing_happens(cls, x: torch.Tensor, value: float) -> None:
    flat = torch.full_like(x, value, requires_grad=True)
    tokenizer = build_for(x, cls, 16, "zeros")
    tokenizer(flat).square().sum().backward()
    assert torch.isfinite(flat.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in tokenizer.parameters())


@pytest.mark.parametrize("cls", MAGNITUDES)
@pytest.mark.parametrize("patch", [4, 16])
@given(x=images(EVEN, EVEN), scale=st.floats(0.5, 2))
def test_magnitudes_ignore_an_added_constant(cls, patch: int, x, scale: float) -> None:
    tokenizer = build_for(x, cls, patch, "zeros")
    bands, moved = tokenizer.analyse(x), tokenizer.analyse(x + scale)
    bands, moved = (b.unflatten(1, (2, -1)) for b in (bands, moved))
    # The published Q-shift taps cancel to 1e-5 only.
    assert_close_relative(moved[:, :, 1:], bands[:, :, 1:], bound=1e-3)
    low = moved[:, :, 0] - bands[:, :, 0]
    assert float(low.min()) > 0.9 * scale


@pytest.mark.parametrize("cls", MAGNITUDES)
@pytest.mark.parametrize("patch", [4, 8, 16])
def test_octaves_are_those_of_photographs(cls, patch: int) -> None:
    """Strengths of scales are within a factor of 3 of ``2**octave``, up to one factor for all."""
    tokenizer = cls(1, 8, patch)
    energy = tokenizer.analyse(photographs()[..., :96, :96]).square().mean((0, 2, 3))[1:]
    octaves = -2 * tokenizer.norm.weight.detach().log2()[1:]  # the low-pass has the mean in it
    # A scale's orientations have one octave and differ among themselves.
    per_scale = torch.stack([energy[octaves == octave].mean() for octave in octaves.unique()])
    off = per_scale.sqrt().log2() - octaves.unique()
    assert float((off - off.mean()).abs().max()) < math.log2(3)


@pytest.mark.parametrize(("wavelet", "multiple"), [("haar", 1), ("bior2.2", 2)])
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_lifting_starts_as_the_wavelet(wavelet: str, multiple: int, data, seed: int) -> None:
    x = data.draw(images(sizes(2, 18, multiple), sizes(2, 18, multiple), channels=3))
    torch.manual_seed(seed)
    fixed, learned = (c(3, 5, wavelet).double() for c in (DWTDownsample, LiftingDownsample))
    missing = learned.load_state_dict(fixed.state_dict(), strict=False)
    assert missing.missing_keys == ["lifting.weight"]
    tokens, grid = x.flatten(2).transpose(1, 2), (x.shape[2], x.shape[3])
    expected, smaller = fixed(tokens, grid)
    actual, same = learned(tokens, grid)
    assert same == smaller
    assert_close_relative(actual, expected)
    with torch.no_grad():  # negative control: a weight that has learned is another transform
        learned.lifting.weight.add_(0.3)
    assert not torch.allclose(learned(tokens, grid)[0], expected)


def test_lifting_refuses_other_wavelets() -> None:
    with pytest.raises(ValueError, match=r"wavelet: expected 'haar' or .* lifting steps can start"):
        LiftingDownsample(3, 5, "db2")
