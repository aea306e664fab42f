"""The jump scan: closed forms, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from wavevit.measure import jump_scan


def noise(batch: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 1, 8, 9, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("path", ["subpixel", "line"])
def test_a_linear_map_does_not_jump(path: str) -> None:
    scan = jump_scan(lambda x: x.flatten(1), noise(), path=path)
    assert scan.dt < 1e-9
    assert scan.largest_jump < 1e-7
    assert not any(scan.jumps())


def test_variation_of_a_straight_line_is_its_length() -> None:
    x = noise()
    scan = jump_scan(lambda x: x.flatten(1), x, path="line")
    expected = (torch.roll(x, -1, 0) - x).flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)
    assert scan.variation == pytest.approx(expected.tolist())


def test_a_step_function_jumps_by_its_height_where_it_steps() -> None:
    """Along the line from level 0 to level 1 the mean is the time itself; it steps at 0.3."""
    x = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)]).double()

    def step(x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(dim=(1, 2, 3))
        return torch.stack([2 + mean, 3.0 * (mean > 0.3)], dim=1)

    scan = jump_scan(step, x, path="line")
    assert scan.jump[0] == pytest.approx(3 / 2)
    assert scan.place[0] == pytest.approx(0.3, abs=1e-8)
    assert all(scan.jumps())


def test_a_coarse_model_finds_the_same_jump_where_its_rounding_moves_it() -> None:
    """The step is at the middle of the path, where float32 sees it a little too early or late."""
    x = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)]).double()

    def step(at: float):
        def model(x: torch.Tensor) -> torch.Tensor:
            mean = x.mean(dim=(1, 2, 3))
            return torch.stack([2 + mean, 3.0 * (mean > at)], dim=1)

        return model

    for moved in (-1e-6, 0.0, 1e-6):
        seen: list[torch.dtype] = []

        def fine(x: torch.Tensor, seen: list[torch.dtype] = seen) -> torch.Tensor:
            seen.append(x.dtype)
            return step(0.5)(x)

        scan = jump_scan(fine, x, path="line", candidates=1, coarse=step(0.5 + moved))
        assert scan.jump[0] == pytest.approx(3 / 2)
        assert scan.place[0] == pytest.approx(0.5, abs=1e-8)
        assert set(seen) == {torch.float64}
        assert len(seen) < 30  # 17 points and 26 halvings without it
    smooth = jump_scan(lambda x: x.flatten(1), x, path="line", coarse=lambda x: x.flatten(1))
    assert not any(smooth.jumps())
    assert smooth.dt < 1e-9


def test_small_step_is_found_if_candidates_include_it() -> None:
    x = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)]).double()

    def model(x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(dim=(1, 2, 3))
        return torch.stack([5 + 20 * mean**8, 0.5 * (mean > 0.3)], dim=1)

    assert not any(jump_scan(model, x, path="line", candidates=1).jumps())
    assert all(jump_scan(model, x, path="line", candidates=32).jumps())


def test_refuses() -> None:
    with pytest.raises(ValueError, match="images: expected float64"):
        jump_scan(lambda x: x, noise().float())
    with pytest.raises(ValueError, match="at least 2 for path='line'"):
        jump_scan(lambda x: x, noise(1), path="line")
    with pytest.raises(ValueError, match="path: expected one of"):
        jump_scan(lambda x: x, noise(), path="zigzag")
    with pytest.raises(ValueError, match="precision: expected torch"):
        jump_scan(lambda x: x, noise(), precision=torch.float16)


def test_a_model_that_takes_float32_only_is_scanned_in_it() -> None:
    """A step is found, a slope is none, and the scan says how precise it was."""
    x = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)]).double()
    weights = torch.ones(16, 2)

    def smooth(x: torch.Tensor) -> torch.Tensor:
        return 2 + x.flatten(1) @ weights  # refuses float64

    def step(x: torch.Tensor) -> torch.Tensor:
        return smooth(x) + 20.0 * (x.mean(dim=(1, 2, 3)) > 0.3)[:, None]

    with pytest.raises(RuntimeError):
        jump_scan(smooth, x, path="line")
    flat, high = (
        jump_scan(model, x, path="line", precision=torch.float32) for model in (smooth, step)
    )
    assert flat.precision == high.precision == "float32"
    assert flat.dt <= 1e-5
    assert not any(flat.jumps())
    assert all(high.jumps())
    assert high.place[0] == pytest.approx(0.3, abs=1e-4)
