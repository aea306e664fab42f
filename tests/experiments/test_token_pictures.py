"""Pictures of adaptive tokens: the transforms beside them are orthonormal, the errors ordered."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from experiments.reporting import token_pictures
from experiments.reporting.token_pictures import block_cosine, haar, kept_errors
from wavevit.layers.tokenizers.start import reference_crops
from wavevit.testing import assert_close_relative


@pytest.mark.parametrize("analyse", [block_cosine, haar])
def test_transforms_are_orthonormal(analyse) -> None:
    x = reference_crops()[:3].double()
    found = [one.flatten(1) for one in (analyse(x), x)]
    products = [one @ one.T for one in found]
    assert found[0].shape == found[1].shape
    assert_close_relative(*products, bound=1e-12)


def test_a_constant_block_has_one_cosine() -> None:
    found = block_cosine(torch.ones(1, 1, 8, 16))
    assert found.shape == (1, 1, 1, 2, 8, 8)
    assert_close_relative(found[..., 0, 0], torch.full((1, 1, 1, 2), 8.0))
    found[..., 0, 0] = 0
    assert float(found.abs().max()) < 1e-5


def test_errors_fall_with_what_is_kept_and_coefficients_are_the_lower_bound() -> None:
    found = kept_errors(reference_crops()[:4])
    for shares, errors in found.values():
        assert list(shares) == sorted(shares)
        assert all(a >= b for a, b in itertools.pairwise(errors))
        assert 0 <= min(errors) < max(errors) <= 1
    # Means over the squares of a quadtree are so many terms of the Haar transform: no fewer terms
    # than the best ones have.
    best = list(zip(*found["Haar, largest coefficients"], strict=True))
    for name in ("adaptive tokens, hard split", "uniform grid of larger patches"):
        for share, error in zip(*found[name], strict=True):
            bounds = [least for kept, least in best if kept >= share]
            assert all(error >= least for least in bounds)
            assert bounds or share > 0.75


def test_pictures_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_pictures, "_SIDE", 64)
    monkeypatch.setattr(token_pictures, "middles", lambda side: reference_crops()[:2])
    paths = token_pictures.write_token_pictures(tmp_path)
    assert [path.name for path in paths] == ["quadtree.png", "kept.png"]
    assert all(path.stat().st_size > 5000 for path in paths)
