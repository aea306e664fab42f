"""Every mixer and the attention downsampler do what they declare: shifts, derivatives, sizes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from wavevit import BackboneConfig, make_stages
from wavevit.layers import MIXERS
from wavevit.layers.positions import SinCosPosition
from wavevit.layers.rotary import Rotary
from wavevit.layers.symmetry import Part
from wavevit.models.parts import make_downsample, make_mixer
from wavevit.testing import assert_close_relative

DIM, PERIOD = 16, 4
CASES = [
    *((name, "none") for name in MIXERS.names()),
    ("window", "relative_bias"),
    ("pooled", "relative_bias"),
    ("attention", "none"),
    ("attention", "relative_bias"),
    *((name, "rope") for name in ("global", "window", "lipschitz")),
]
# What keeps shifts whatever the borders: it does not know where tokens are, or has no borders.
BORDERLESS = {
    ("global", "none"),
    ("lipschitz", "none"),
    ("cross_covariance", "none"),
    ("covariance", "none"),
    ("spatial_reduction", "none"),
}


def part(mixer: str, position: str, padding: str, seed: int = 0, reduction: int = 2) -> Part:
    """A mixer, or the downsampler "attention", whose parameters are all away from their start."""
    torch.manual_seed(seed)
    stages = make_stages(
        depths=(2, 1),
        embed_dims=(DIM, DIM),
        num_heads=2,
        mixer="pooled" if mixer == "attention" else mixer,
        downsample="attention",
        reduction=reduction,
        mixer_options={"window_size": PERIOD} if mixer == "window" else None,
    )
    config = BackboneConfig(
        stages=stages, patch_size=4, img_size=32, position=position, padding=padding
    )
    if mixer == "attention":
        made = make_downsample(config, 1, 0.0)
    else:
        made = make_mixer(config, 0, block=1)
    assert made is not None
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made.double().eval()


def tokens(grid: tuple[int, int], seed: int = 0, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, grid[0] * grid[1], DIM, dtype=torch.float64, generator=generator)


def output_map(made: Part, x: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, h, w, D) of a mixer, or of a downsampler on its own grid."""
    out = made(x, grid)
    out, grid = out if isinstance(out, tuple) else (out, grid)
    return out.unflatten(1, grid)


def shift_error(made: Part, grid: tuple[int, int], shift: tuple[int, int], seed: int = 0) -> float:
    """How far rolling before and after are apart, relative."""
    x = tokens(grid, seed)
    rolled = x.unflatten(1, grid).roll(shift, dims=(1, 2)).flatten(1, 2)
    with torch.no_grad():
        before, after = output_map(made, x, grid), output_map(made, rolled, grid)
    stride = grid[0] // before.shape[1]
    expected = before.roll((shift[0] // stride, shift[1] // stride), dims=(1, 2))
    return float((after - expected).norm() / before.norm())


@pytest.mark.parametrize(("mixer", "position"), CASES)
@given(rows=st.integers(1, 3), columns=st.integers(1, 3), seed=st.integers(0, 2**31))
def test_declared_shifts_are_kept(
    mixer: str, position: str, rows: int, columns: int, seed: int
) -> None:
    made = part(mixer, position, "circular", seed)
    assert made.symmetry.circular
    period = made.symmetry.period
    assert period in (1, 2, PERIOD)
    grid = (PERIOD * rows, PERIOD * columns)
    assert shift_error(made, grid, (period, -period), seed) < 1e-10


@pytest.mark.parametrize(("mixer", "position"), CASES)
def test_negative_control_other_shifts_and_padding_fail(mixer: str, position: str) -> None:
    """Negative control, and the honesty of ``circular=False``."""
    grid = (2 * PERIOD, 3 * PERIOD)
    made = part(mixer, position, "circular")
    assert made.symmetry.period is not None
    if made.symmetry.period > 1 and mixer != "attention":  # whose output has no half steps
        assert shift_error(made, grid, (1, 0)) > 1e-3
    bordered = part(mixer, position, "zeros")
    assert bordered.symmetry.circular == ((mixer, position) in BORDERLESS)
    error = shift_error(bordered, grid, (made.symmetry.period, -made.symmetry.period))
    assert (error < 1e-10) == bordered.symmetry.circular


@pytest.mark.parametrize(("mixer", "position"), CASES)
@pytest.mark.parametrize("grid", [(1, 1), (1, 5), (7, 3), (9, 11)])
def test_any_grid(mixer: str, position: str, grid: tuple[int, int]) -> None:
    for padding in ("zeros", "circular"):
        made = part(mixer, position, padding, reduction=3)
        out = output_map(made, tokens(grid), grid)
        step = 2 if mixer == "attention" else 1
        assert out.shape == (2, -(-grid[0] // step), -(-grid[1] // step), DIM)
        assert torch.isfinite(out).all()


@pytest.mark.parametrize(("mixer", "position"), CASES)
def test_forward_derivatives(mixer: str, position: str) -> None:
    made, grid = part(mixer, position, "zeros"), (4, 6)
    x, direction = tokens(grid, batch=1), tokens(grid, 1, batch=1)
    step = 1e-6

    def run(x: Tensor) -> Tensor:
        return output_map(made, x, grid)

    with sdpa_kernel(SDPBackend.MATH):
        pushed = torch.func.jvp(run, (x,), (direction,))[1]
        quotient = (run(x + step * direction) - run(x - step * direction)) / (2 * step)
    assert_close_relative(pushed.detach(), quotient, bound=1e-5)


@pytest.mark.parametrize(("mixer", "position"), CASES)
def test_half_precision(mixer: str, position: str) -> None:
    made, grid = part(mixer, position, "zeros"), (5, 6)
    for parameter in made.parameters():
        parameter.data *= 0.5
    expected = output_map(made, tokens(grid), grid)
    half = output_map(made.bfloat16(), tokens(grid).bfloat16(), grid)
    assert half.dtype == torch.bfloat16
    assert_close_relative(half, expected, depth=3)


@pytest.mark.parametrize("mixer", ["global", "lipschitz"])
def test_class_tokens_are_not_rotated(mixer: str) -> None:
    made, plain = part(mixer, "rope", "zeros"), part(mixer, "none", "zeros")
    grid = (2, 3)
    x = tokens((1, 7))
    with torch.no_grad():
        assert not torch.allclose(made(x, grid), plain(x, grid))
    rotary = Rotary(8, "zeros")
    q = torch.randn(2, 2, 7, 8, dtype=torch.float64)
    assert torch.equal(rotary(q, grid)[:, :, 0], q[:, :, 0])


@given(
    rows=st.integers(2, 9),
    columns=st.integers(2, 9),
    closes=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_rotary_scores_see_offsets(rows: int, columns: int, closes: bool, seed: int) -> None:
    """Equal vectors everywhere: scores depend on the offset alone, on a circle modulo the sides."""
    rotary = Rotary(8, "circular" if closes else "zeros")
    torch.manual_seed(seed)
    places = rows * columns
    q, k = (torch.randn(1, 1, 1, 8, dtype=torch.float64).expand(1, 1, places, 8) for _ in "qk")
    turn: Callable[[Tensor], Tensor] = lambda x: rotary(x, (rows, columns))[0, 0]  # noqa: E731
    scores = (turn(q) @ turn(k).T).reshape(rows, columns, rows, columns)
    assert torch.allclose(turn(q).norm(dim=1), q[0, 0].norm(dim=1))
    torch.testing.assert_close(scores[1:, 1:, 1:, 1:], scores[:-1, :-1, :-1, :-1])
    wrapped = scores.roll((1, 1, 1, 1), (0, 1, 2, 3))
    assert torch.allclose(wrapped, scores) == closes


def test_negative_control_absolute_positions_are_not_equivariant() -> None:
    """Negative control: sines that are added are no rotations."""
    position = SinCosPosition(DIM)
    grid = (4, 4)
    x = tokens(grid)
    rolled = x.unflatten(1, grid).roll((1, 0), (1, 2)).flatten(1, 2)
    expected = position(x, grid).unflatten(1, grid).roll((1, 0), (1, 2)).flatten(1, 2)
    assert not torch.allclose(position(rolled, grid), expected)
