"""Laws of grafts: equal at the start, removable, trainable, with the shifts that tokens have."""

from __future__ import annotations

import copy
import functools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import wavevit
from tests.examples import examples
from tests.grafted_models import trained
from wavevit.grafting import branch_parameters, graft, ungraft
from wavevit.grafting.resample import next_power_of_two, resample_patches
from wavevit.layers import TOKENIZERS, Part, Symmetry
from wavevit.testing import assert_close_relative, assert_continuous

TOKENIZER_NAMES = ("dtcwt", "swt", "scattering", "dwt")
PATCHES = (4, 6, 7, 8, 14)
BOUNDS = {torch.float32: 1e-6, torch.float64: 1e-12}


@functools.cache
def plain(patch: int, position: str, pool: str) -> nn.Module:
    """A small ViT; class token or none, learned positions or positions from convolutions."""
    torch.manual_seed(0)
    model = wavevit.create_model(
        "test_vit", patch_size=patch, img_size=4 * patch, position=position, pool=pool
    )
    return model.double().eval()


def noise(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


drawn = {
    "tokenizer": st.sampled_from(TOKENIZER_NAMES),
    "patch": st.sampled_from(PATCHES),
    "seed": st.integers(0, 2**31),
}


@examples(daily=6)
@given(
    **drawn,
    dtype=st.sampled_from(list(BOUNDS)),
    position=st.sampled_from(["learned", "conv"]),
    pool=st.sampled_from(["token", "avg"]),
    lowpass=st.sampled_from([None, 2, 4]),
    rows=st.integers(14, 40),
    columns=st.integers(14, 40),
)
def test_outputs_are_equal_at_the_start_and_after_ungraft(
    tokenizer: str,
    patch: int,
    seed: int,
    dtype: torch.dtype,
    position: str,
    pool: str,
    lowpass: int | None,
    rows: int,
    columns: int,
) -> None:
    model = copy.deepcopy(plain(patch, position, pool)).to(dtype)
    grafted = graft(model, tokenizer, lowpass=lowpass, width=8)
    x = noise(seed, 2, 3, rows, columns, dtype=dtype)
    with torch.no_grad():
        expected = model(x)
        assert_close_relative(grafted(x), expected, bound=BOUNDS[dtype])
        back = ungraft(trained(grafted))
        assert torch.equal(back(x), expected)
    assert list(back.state_dict()) == list(model.state_dict())
    for name, tensor in back.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])
    # Trained weights of the model itself stay when the branch goes.
    with torch.no_grad():
        grafted.head.bias.add_(1)
    assert torch.equal(ungraft(grafted).head.bias, model.head.bias + 1)


@examples(daily=4)
@given(**drawn)
def test_the_branch_has_a_gradient_at_the_start(tokenizer: str, patch: int, seed: int) -> None:
    grafted = graft(plain(patch, "learned", "token"), tokenizer, lowpass=2, width=8)
    grafted(noise(seed, 2, 3, 4 * patch, 4 * patch)).square().sum().backward()
    branch = grafted.tokenizer.graft
    assert branch.proj.weight.grad.norm() > 0
    assert branch.low_pass.gate.grad.abs().sum() > 0
    # One step later the tokenizer itself has one too.
    with torch.no_grad():
        branch.proj.weight -= branch.proj.weight.grad
    grafted.zero_grad()
    grafted(noise(seed, 2, 3, 4 * patch, 4 * patch)).square().sum().backward()
    assert all(p.grad is not None for p in branch_parameters(grafted))
    assert branch.tokenizer.proj.weight.grad.norm() > 0


@examples(daily=8)
@given(**drawn, rows=st.integers(-3, 3), columns=st.integers(-3, 3), lowpass=st.booleans())
@torch.no_grad()
def test_a_circular_shift_by_patches_moves_the_tokens(
    tokenizer: str, patch: int, seed: int, rows: int, columns: int, lowpass: bool
) -> None:
    model = plain(patch, "learned", "token")
    options = {"padding": "circular", "lowpass": 2 if lowpass else None, "width": 8}
    embedding = trained(graft(model, tokenizer, **options)).tokenizer
    x = noise(seed, 1, 3, 3 * patch, 4 * patch)
    shifted = embedding(x.roll((rows * patch, columns * patch), (2, 3)))
    assert_close_relative(shifted, embedding(x).roll((rows, columns), (1, 2)), bound=1e-11)


@pytest.mark.parametrize("patch", [7, 8])
@torch.no_grad()
def test_negative_control_other_shifts_do_not_move_the_tokens(patch: int) -> None:
    embedding = trained(graft(plain(patch, "learned", "token"), padding="circular")).tokenizer
    x = noise(0, 1, 3, 4 * patch, 4 * patch)
    found = embedding(x.roll(patch // 2, 2))
    errors = [float((found - embedding(x).roll(k, 1)).norm() / found.norm()) for k in range(4)]
    assert min(errors) > 0.1
    # Nor does a branch with the border of photographs keep a circular shift.
    embedding = trained(graft(plain(patch, "learned", "token"))).tokenizer
    found = embedding(x.roll(patch, 2))
    assert float((found - embedding(x).roll(1, 1)).norm()) > 1e-3 * float(found.norm())


@pytest.mark.parametrize(
    ("position", "padding"), [("none", "circular"), ("learned", "zeros"), ("conv", "zeros")]
)
def test_the_branch_pads_circularly_if_the_model_declares_that_it_keeps_shifts(
    position: str, padding: str
) -> None:
    """Convolutional positions pad with zeros in this model, and break circular shifts."""
    assert graft(plain(8, position, "avg")).tokenizer.graft.options.padding == padding


sides = st.sampled_from([(14, 16), (7, 8), (12, 16), (6, 8), (10, 16), (32, 16), (14, 8)])


@examples(daily=12)
@given(
    ratio=sides,
    seed=st.integers(0, 2**31),
    value=st.floats(-3, 3),
    padding=st.sampled_from(["zeros", "circular"]),
    axis=st.sampled_from([-2, -1]),
)
def test_resampling_keeps_patches_mirrors_and_constants(
    ratio: tuple[int, int], seed: int, value: float, padding: str, axis: int
) -> None:
    patch, target = ratio
    to = functools.partial(
        resample_patches, patch=(patch, patch), target=(target, target), padding=padding
    )
    x = noise(seed, 2, 2, 3 * patch, 2 * patch)
    assert to(x).shape == (2, 2, 3 * target, 2 * target)
    assert_close_relative(to(x.flip(axis)), to(x).flip(axis), bound=1e-12)
    assert_close_relative(to(torch.full_like(x, value)), to(x) * 0 + value, bound=1e-12)
    moved = to(x.roll(patch, axis))
    circular = float((moved - to(x).roll(target, axis)).norm() / moved.norm())
    assert (circular < 1e-12) == (padding == "circular")


def test_resampling_is_accurate_for_smooth_images() -> None:
    """A wave of 12 pixels is the wave at the new places to 1 %; of one image at half a pixel."""
    for patch in (7, 12, 14):
        target = next_power_of_two(patch)
        assert target in (8, 16)
        side = 12 * patch
        places = torch.arange(side, dtype=torch.float64)
        wave = torch.cos(2 * math.pi * (places + 0.5) / 12).expand(1, 1, side, side)
        found = resample_patches(wave, (patch, patch), (target, target), "circular")[0, 0, 0]
        at = (torch.arange(12 * target, dtype=torch.float64) + 0.5) * patch / target
        assert_close_relative(found, torch.cos(2 * math.pi * at / 12), bound=0.01)


@torch.no_grad()
def test_patches_that_are_not_square() -> None:
    embedding = nn.Conv2d(3, 8, (6, 8), stride=(6, 8)).double()
    model = nn.ModuleDict({"patch_embedding": embedding})
    grafted = trained(graft(model, padding="circular"))["patch_embedding"]
    x = noise(0, 1, 3, 18, 32)
    assert grafted(x).shape == (1, 8, 3, 4)
    shifted = grafted(x.roll((6, 8), (2, 3)))
    assert_close_relative(shifted, grafted(x).roll((1, 1), (2, 3)), bound=1e-11)


class HardChoice(Part):
    """Reads the columns of the phase with the larger energy: it jumps where both are equal."""

    def __init__(self, channels: int, dim: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, patch, stride=patch)
        self.symmetry = Symmetry(patch)

    @classmethod
    def build(cls, context, options):
        return cls(context.in_chans, context.dim, context.patch_size)

    def forward(self, x: Tensor) -> Tensor:
        even, odd = (x[..., start::2].square().sum((1, 2, 3)) for start in (0, 1))
        chosen = torch.where((odd > even)[:, None, None, None], x.roll(-1, 3), x)
        return self.proj(chosen).permute(0, 2, 3, 1)


@pytest.mark.parametrize("tokenizer", ["dtcwt", "swt", "hard"])
def test_continuity_is_kept(tokenizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOKENIZERS._classes, "hard", HardChoice)
    model = plain(8, "learned", "token")
    x = noise(3, 2, 3, 32, 32)
    grafted = trained(graft(model, tokenizer, padding="circular"))
    if tokenizer == "hard":  # negative control
        with pytest.raises(AssertionError, match="not continuous"):
            assert_continuous(grafted, x)
    else:
        assert_continuous(grafted, x, path="line")
        assert_continuous(grafted, x)


def test_a_tokenizer_on_another_grid_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Coarse(HardChoice):
        @classmethod
        def build(cls, context, options):
            return cls(context.in_chans, context.dim, 2 * context.patch_size)

    monkeypatch.setitem(TOKENIZERS._classes, "coarse", Coarse)
    with pytest.raises(ValueError, match=r"tokenizer: expected .* \(1, 2, 3, 64\), got 'coarse'"):
        graft(plain(8, "learned", "token"), "coarse")
